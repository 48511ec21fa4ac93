//! The optional contestant that is a Kafka Streams program: builds it from `benches/kafka_streams`
//! with Maven, and writes the settings of its runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, bail};

use super::fixture::{ConfigOverrides, Fixture};
use super::records::listed_events;
use audit_testkit::{java, run, scratch};

/// With an empty local repository Maven needs half a minute; this allows for slow connections.
const BUILD_MAX: Duration = Duration::from_secs(600);
/// A fixed heap, and the collector that costs the least CPU with one or two busy threads.
const JVM: [&str; 4] =
    ["-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"];
const HOW_TO_FIX: &str = "the scenarios with Kafka Streams need Maven and a JDK, 17 or later, both \
    on PATH (Debian: apt-get install maven default-jdk-headless)";

/// Returns the command that runs the program with these settings.
pub fn command(
    fixture: &Fixture,
    overrides: &ConfigOverrides<'_>,
    plan: &Path,
) -> anyhow::Result<Command> {
    let settings = settings(fixture, overrides, plan)?;
    let mut command = Command::new(java()?);
    command.args(JVM).arg("-cp").arg(class_path()?).arg("streams.Main").arg(settings);
    Ok(command)
}

/// Builds the program once and returns its class path.
fn class_path() -> anyhow::Result<&'static str> {
    static CLASS_PATH: OnceLock<String> = OnceLock::new();
    if let Some(class_path) = CLASS_PATH.get() {
        return Ok(class_path);
    }
    let folder = scratch()?.join("kafka-streams");
    build(&folder)?;
    let path = folder.display();
    Ok(CLASS_PATH.get_or_init(|| format!("{path}/classes:{path}/libs/*")))
}

/// Compiles what has changed, and downloads what is missing.
fn build(folder: &Path) -> anyhow::Result<()> {
    eprintln!("  building benches/kafka_streams with Maven");
    let mut version = Command::new("mvn");
    version.arg("-version").stdout(Stdio::null()).stderr(Stdio::null());
    if !version.status().is_ok_and(|status| status.success()) {
        bail!("there is no `mvn` on PATH: {HOW_TO_FIX}");
    }
    fs::create_dir_all(folder)?;
    let mut maven = Command::new("mvn");
    maven
        .args(["-q", "-B", "compile", "dependency:copy-dependencies", "-f"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/kafka_streams/pom.xml"))
        .arg(format!("-Dfolder={}", folder.display()));
    run(&mut maven, &folder.join("maven.log"), BUILD_MAX)
        .with_context(|| format!("build benches/kafka_streams; {HOW_TO_FIX}"))
}

/// Writes the program's settings and returns their path.
fn settings(
    fixture: &Fixture,
    overrides: &ConfigOverrides<'_>,
    plan: &Path,
) -> anyhow::Result<PathBuf> {
    let instance = &overrides.instance;
    let state = fixture.path(&format!("{instance}.state")).display().to_string();
    let settings = [
        ("bootstrap.servers", fixture.broker().bootstrap()),
        ("group", overrides.group),
        ("instance", instance),
        ("topic", overrides.topic),
        ("outputs", &fixture.outputs().join(",")),
        ("workers", &overrides.workers.to_string()),
        ("commit.interval.ms", &overrides.max_age_ms.to_string()),
        ("headers", &overrides.headers.to_string()),
        ("listed", &listed_events().collect::<Vec<_>>().join(",")),
        ("plan", &plan.display().to_string()),
        ("state.dir", &state),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    let lines: String = settings.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    let path = fixture.path(&format!("{instance}.properties"));
    fs::write(&path, lines)?;
    Ok(path)
}
