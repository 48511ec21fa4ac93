//! The commands for Kafka's own tools that the documents show, run by these tools on a real broker,
//! with the names of a test in the place of those of the documents.

use std::path::Path;
use std::process::Command;

use audit_cases::documents::code_blocks;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::tools::write_tools;
use audit_testkit::topics::produce;

use crate::ledger::change;

/// The documents' input topic and consumer group. Another group of theirs begins with its name.
const INPUT: &str = "infrastructure.state-changes";
const GROUP: &str = "audit-relay";

/// Returns the lines of the documents that begin with one of Kafka's tools.
fn shown() -> Vec<(String, String)> {
    let blocks = code_blocks().into_iter().filter(|block| block.language == "sh");
    blocks
        .flat_map(|block| {
            let lines = block.text.lines().filter(|line| line.starts_with("kafka-"));
            lines.map(|line| (block.place.clone(), line.to_string())).collect::<Vec<_>>()
        })
        .collect()
}

#[track_caller]
fn run(line: &str, place: &str, folder: &Path) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&path));
    let output = Command::new("sh")
        .args(["-ec", line])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(folders).expect("a path"))
        .output()
        .expect("runs");
    // The tools exit with 0 after some errors.
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && !text.contains("Error"), "{place}: {line}\n{text}");
}

#[test]
fn the_shown_commands_for_kafka_work() {
    const RECORDS: u64 = 400;
    let broker = KafkaBroker::shared();
    let folder = tempfile::tempdir().expect("a folder");
    write_tools(folder.path()).expect("Kafka's tools");
    let (input, group) = (broker.unique("changes"), broker.unique("group"));
    broker.create_topic(&input, 4);
    produce(broker.bootstrap(), &input, (0..RECORDS).map(change));
    let ends = broker.end_offsets(&input);
    broker.commit(&group, &input, &ends);
    let lines = shown();
    for (place, line) in &lines {
        let with_names = line
            .replace("kafka:9092", broker.bootstrap())
            .replace(INPUT, &input)
            .replace(&format!("--group {GROUP}"), &format!("--group {group}"));
        run(&with_names, place, folder.path());
        let offset = |partition: i32| broker.committed(&group, &input)[&partition];
        match () {
            () if line.contains("--to-earliest") => assert_eq!(offset(0), 0, "{line}"),
            // Partition 3 has less than that, so its end is taken.
            () if line.contains(":3 ") => assert_eq!(offset(3), ends[&3], "{line}"),
            () if line.contains("--from-file") => {
                let copied = broker.committed(&format!("{group}-2"), &input);
                assert_eq!(copied, broker.committed(&group, &input), "{line}");
            }
            () => {}
        }
    }
    let kinds = ["--to-earliest", ":3 ", "--from-file", "--to-datetime"];
    for kind in kinds {
        assert!(lines.iter().any(|(_, line)| line.contains(kind)), "{kind}: {lines:?}");
    }
}
