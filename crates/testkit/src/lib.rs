//! What test programs share: a real Apache Kafka that is started for the tests and dies with them,
//! readers and writers that either do what they say or fail the test with the reason, relays as
//! processes, a proxy that does harm, and chance from a seed.
//!
//! This crate knows how to start a relay, and shares no code with it: ledgers that judge a relay
//! from outside may rest on all of it. Nothing here is ever skipped: without a broker a test fails
//! and says what to install.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot do as it says fails the test that called it"
)]

mod admin;
pub mod certificates;
pub mod cluster;
pub mod grants;
pub mod guarded;
mod jars;
pub mod kafka;
pub mod proxy;
pub mod random;
pub mod relay;
pub mod segments;
mod server;
pub mod topics;
pub mod wire;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::ClientConfig;

/// The limit of every single request and wait in this support, unless a test names its own.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(60);

/// A client's settings: a broker that is just starting or restarting is looked for five times a
/// second, where the default would let the pauses grow to ten seconds.
pub fn client_config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("broker.address.family", "v4")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "200")
        .set("allow.auto.create.topics", "false");
    config
}

/// Cargo's folder for what tests leave behind, or, when the compiled test was carried elsewhere,
/// one beside the test itself.
pub fn scratch() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("find the running test")?;
    // Cargo puts a test into `<target>/<profile>/deps`.
    let deps = test.parent().filter(|folder| folder.ends_with("deps"));
    let target = deps.and_then(|deps| deps.ancestors().nth(2));
    let scratch = target.map_or_else(|| test.with_file_name("tmp"), |it| it.join("tmp"));
    std::fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
    Ok(scratch)
}

/// Fails the calling test when the result is an error; a closure would hide the caller's line.
#[track_caller]
fn settled<T>(result: anyhow::Result<T>, what: std::fmt::Arguments<'_>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:#}"),
    }
}

/// Runs a program to its end, its output going to `log`; an error holds the end of that log.
fn run(command: &mut Command, log: &Path, limit: Duration) -> anyhow::Result<()> {
    let output = File::create(log).with_context(|| format!("create {}", log.display()))?;
    let mut child = command
        .stdin(std::process::Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .with_context(|| format!("start {:?}", command.get_program()))?;
    let started = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => bail!("{command:?} ended with {status}:\n{}", last_lines(log)),
            None if started.elapsed() > limit => {
                child.kill()?;
                child.wait()?;
                bail!("{command:?} took over {limit:?}:\n{}", last_lines(log));
            }
            None => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The last 20 lines of a log, for an error message, after the last 10 errors before them: a
/// broker that gives up says why and then shuts down at length.
pub fn last_lines(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let (before, last) = lines.split_at(lines.len().saturating_sub(20));
    let is_error =
        |line: &&&str| ["ERROR", "FATAL", "Exception: "].iter().any(|word| line.contains(word));
    let mut told: Vec<&str> = before.iter().rev().filter(is_error).take(10).copied().collect();
    told.reverse();
    told.extend(last);
    told.join("\n")
}
