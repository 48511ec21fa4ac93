//! Apache Kafka's command line tools, as its distribution has them: scripts that start a main
//! class.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;

use crate::jars::Kafka;

/// The scripts, and what they start.
const TOOLS: [(&str, &str); 3] = [
    ("kafka-topics.sh", "org.apache.kafka.tools.TopicCommand"),
    ("kafka-acls.sh", "org.apache.kafka.tools.AclCommand"),
    ("kafka-consumer-groups.sh", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
];
/// Starts a short program quickly.
const JVM: [&str; 3] = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m"];

/// Writes the tools into a folder.
///
/// # Errors
/// Fails if there is no Kafka or no Java, or if the folder cannot be written.
pub fn write_tools(folder: &Path) -> anyhow::Result<()> {
    let kafka = Kafka::find()?;
    for (name, main_class) in TOOLS {
        let command = kafka.command_line(&JVM, main_class);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<String> =
            words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let script = format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "));
        let path = folder.join(name);
        fs::write(&path, script).with_context(|| format!("write {}", path.display()))?;
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
    }
    Ok(())
}
