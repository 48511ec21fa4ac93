//! Shared by test programs: a real Apache Kafka that lives as long as the tests, readers and
//! writers that succeed or fail the test with the reason, relays as processes, a fault-injecting
//! proxy, and seeded random numbers.
//!
//! This crate starts relays and shares no code with them, so that ledgers that judge a relay from
//! outside can depend on it. No test is ever skipped: without a broker a test fails and says what
//! to install.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "an operation that fails must fail the test that called it"
)]

mod admin;
pub mod certificates;
pub mod cluster;
pub mod grants;
pub mod guarded;
mod jars;
pub mod kafka;
mod process;
pub mod proxy;
pub mod random;
pub mod relay;
pub mod segments;
mod server;
pub mod tools;
pub mod topics;
pub mod wire;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
pub use jars::java;
use rdkafka::ClientConfig;

/// The limit of each request and wait in this crate, unless a test sets its own.
pub const REQUEST_MAX: Duration = Duration::from_secs(60);

/// Returns a client's settings. The client reconnects to a restarting broker five times a second;
/// by default the pauses grow to ten seconds.
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

/// Returns cargo's folder for the files of tests; or a folder beside the test, if the compiled test
/// was copied elsewhere.
pub fn scratch() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe().context("find the running test")?;
    // Cargo puts a test into `<target>/<profile>/deps`.
    let deps = test.parent().filter(|folder| folder.ends_with("deps"));
    let target = deps.and_then(|deps| deps.ancestors().nth(2));
    let scratch = target.map_or_else(|| test.with_file_name("tmp"), |it| it.join("tmp"));
    std::fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
    Ok(scratch)
}

/// Fails the calling test if the result is an error. Not a closure: it would hide the caller's
/// line.
#[track_caller]
fn or_fail<T>(result: anyhow::Result<T>, what: std::fmt::Arguments<'_>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what}: {error:#}"),
    }
}

/// Runs a program until it ends, with its output in `log`.
///
/// # Errors
/// The program cannot be started, fails, or takes too long; the error then contains the end of the
/// log.
pub fn run(command: &mut Command, log: &Path, limit: Duration) -> anyhow::Result<()> {
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

/// Returns the last 20 lines of a log, and before them the last 10 earlier errors: a failing broker
/// logs the reason and then a long shutdown.
pub fn last_lines(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let (before, last) = lines.split_at(lines.len().saturating_sub(20));
    let is_error =
        |line: &&&str| ["ERROR", "FATAL", "Exception: "].iter().any(|word| line.contains(word));
    let mut shown: Vec<&str> = before.iter().rev().filter(is_error).take(10).copied().collect();
    shown.reverse();
    shown.extend(last);
    shown.join("\n")
}
