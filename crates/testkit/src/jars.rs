//! Finds Java and the jars of Apache Kafka: those of `KAFKA_HOME`, or the published ones, which
//! Maven downloads once below cargo's target directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};

use crate::{run, scratch};

const VERSION: &str = "4.3.1";
/// With an empty local repository Maven needs half a minute; this allows for slow connections.
const DOWNLOAD_MAX: Duration = Duration::from_secs(600);
/// log4j-slf4j-impl is the binding for slf4j 1.7, at the version of Kafka's own log4j-core.
const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>audit-relay</groupId>
  <artifactId>broker-for-tests</artifactId>
  <version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>4.3.1</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>4.3.1</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.4</version></dependency>
  </dependencies>
</project>
"#;
const HOW_TO_FIX: &str = "\
Tests against a real Apache Kafka are never skipped. Provide one of these:
  - Java 17 or newer and Maven, both on PATH (Debian: apt-get install default-jre-headless maven): the broker is then downloaded
  - Java 17 or newer, and KAFKA_HOME set to an unpacked Apache Kafka 4 (the folder that holds libs/)
  - AUDIT_RELAY_TEST_BOOTSTRAP set to the address of a running cluster; tests that stop a broker need Java all the same";

/// A Java and the class path of Apache Kafka.
pub(crate) struct Kafka {
    java: PathBuf,
    class_path: String,
}

impl Kafka {
    /// Finds both. The error says what is missing and how to provide it.
    pub(crate) fn find() -> anyhow::Result<Kafka> {
        let java = java()?;
        let jars = match std::env::var_os("KAFKA_HOME") {
            Some(home) => jars_of_home(Path::new(&home))?,
            None => published_jars()?,
        };
        Ok(Kafka { java, class_path: format!("{}/*", jars.display()) })
    }

    /// Returns the command line that runs one of Kafka's main classes with these JVM flags.
    pub(crate) fn command_line(&self, jvm: &[&str], main_class: &str) -> Command {
        let mut command = Command::new(&self.java);
        command.args(jvm).args(["-cp", &self.class_path, main_class]);
        command
    }
}

/// Returns the Java program of `JAVA_HOME`, or the one on `PATH`.
///
/// # Errors
/// There is none; the error says what to install.
pub fn java() -> anyhow::Result<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    let candidates = home.into_iter().chain([PathBuf::from("java")]);
    for java in candidates {
        if answers(&java, "-version") {
            return Ok(java);
        }
    }
    bail!("no `java` in JAVA_HOME or on PATH.\n{HOW_TO_FIX}")
}

fn answers(program: &Path, version_flag: &str) -> bool {
    let status = Command::new(program)
        .arg(version_flag)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

fn jars_of_home(home: &Path) -> anyhow::Result<PathBuf> {
    let jars = home.join("libs");
    ensure!(
        jars.is_dir(),
        "KAFKA_HOME is {}, which holds no libs/ folder.\n{HOW_TO_FIX}",
        home.display()
    );
    Ok(jars)
}

/// Returns the cached jars, downloaded if necessary. The folder gets its name when it is complete,
/// so that an interrupted download is never used. The lock lets one test process download while the
/// others wait.
fn published_jars() -> anyhow::Result<PathBuf> {
    let scratch = scratch()?;
    let jars = scratch.join(format!("kafka-{VERSION}"));
    let lock = File::create(scratch.join(format!("kafka-{VERSION}.lock")))?;
    lock.lock().context("wait for the download lock")?;
    if !jars.is_dir() {
        download(&scratch, &jars)?;
    }
    Ok(jars)
}

fn download(scratch: &Path, jars: &Path) -> anyhow::Result<()> {
    let maven = Path::new("mvn");
    if !answers(maven, "-version") {
        bail!(
            "KAFKA_HOME is not set, and there is no `mvn` on PATH to download Kafka.\n{HOW_TO_FIX}"
        );
    }
    let project = tempfile::Builder::new().prefix("kafka-download-").tempdir_in(scratch)?;
    fs::write(project.path().join("pom.xml"), POM)?;
    let mut copy = Command::new(maven);
    copy.current_dir(project.path())
        .args(["-q", "-B", "dependency:copy-dependencies"])
        .args(["-DoutputDirectory=libs", "-DincludeScope=runtime"]);
    run(&mut copy, &project.path().join("maven.log"), DOWNLOAD_MAX).map_err(|error| {
        anyhow!("download Apache Kafka {VERSION} with Maven: {error:#}\n{HOW_TO_FIX}")
    })?;
    let complete = project.path().join("libs");
    let server = format!("kafka_2.13-{VERSION}.jar");
    ensure!(complete.join(&server).is_file(), "Maven copied no {server}");
    fs::rename(&complete, jars).context("put the downloaded jars into place")
}
