//! Relays under test: real processes with their own configuration and topics.

mod deployment;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::guarded::Guarded;
use crate::{REQUEST_MAX, last_lines, or_fail};

pub use self::deployment::{REGIONS, TestDeployment};

/// How long a relay may take to reach the state that a test waits for, on a busy machine.
const PROGRESS_MAX: Duration = Duration::from_secs(180);
/// How long a relay may take to answer a page request.
const PAGE_MAX: Duration = Duration::from_secs(30);

/// A running relay.
pub struct Relay {
    pub(crate) process: Guarded,
    log: PathBuf,
    admin: Option<SocketAddr>,
}

impl Relay {
    fn await_address(&mut self) -> anyhow::Result<SocketAddr> {
        let since = Instant::now();
        loop {
            if let Some(address) = self.find_address()? {
                return Ok(address);
            }
            if let Some(status) = self.process.ended()? {
                bail!("the relay ended with {status}:\n{}", last_lines(&self.log));
            }
            if since.elapsed() > REQUEST_MAX {
                bail!("no admin address in the log:\n{}", last_lines(&self.log));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Reads the admin address from the log line of the start.
    fn find_address(&self) -> anyhow::Result<Option<SocketAddr>> {
        let log = fs::read_to_string(&self.log)?;
        let after = log.split("\"admin\":\"").nth(1);
        let address = after.and_then(|rest| rest.split('"').next());
        let parse = |address: &str| address.parse().context("the admin address in the log");
        address.map(parse).transpose()
    }

    /// Looks for the admin address of a spawned relay. Returns whether it is known now.
    pub fn find_admin(&mut self) -> bool {
        if self.admin.is_none() {
            self.admin = self.find_address().ok().flatten();
        }
        self.admin.is_some()
    }

    /// The relay's exit status, if it has ended.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.process.ended()
    }

    /// The path of the log.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Sends a signal. Returns an error if that fails.
    pub fn try_signal(&mut self, signal: &str) -> anyhow::Result<()> {
        self.process.signal(signal)
    }

    /// Sends a signal.
    #[track_caller]
    pub fn signal(&mut self, signal: &str) {
        or_fail(self.process.signal(signal), format_args!("SIG{signal}"));
    }

    /// Waits until the relay has ended.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        or_fail(self.process.wait(REQUEST_MAX, &self.log), format_args!("wait for the relay"))
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the address of the admin server.
    pub fn admin_address(&self) -> String {
        self.admin.expect("the relay has started").to_string()
    }

    /// Returns the status and body of an admin page.
    pub fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let address = self.admin.context("no admin address")?;
        let mut stream = TcpStream::connect_timeout(&address, PAGE_MAX)?;
        stream.set_read_timeout(Some(PAGE_MAX))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
        let status = head.split(' ').nth(1).context("no status")?;
        Ok((status.parse()?, body.to_string()))
    }

    /// Waits until the relay reports that it is ready.
    #[track_caller]
    pub fn await_ready(&self) {
        self.await_page("/readyz", |status, _| status == 200);
    }

    /// Waits until a page satisfies a condition, and returns its body.
    #[track_caller]
    pub fn await_page(&self, path: &str, done: impl Fn(u16, &str) -> bool) -> String {
        let since = Instant::now();
        loop {
            let answer = self.get(path);
            match &answer {
                Ok((status, body)) if done(*status, body) => return body.clone(),
                _ if since.elapsed() > PROGRESS_MAX => {
                    panic!("{path} stays at {answer:?}:\n{}", last_lines(&self.log))
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Returns the sum of a metric's series that contain `label`. Fails the test if there is no
    /// such series.
    #[track_caller]
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let (_, body) = or_fail(self.get("/metrics"), format_args!("/metrics"));
        measured(&body, name, label)
            .unwrap_or_else(|| panic!("no series of {name} with {label:?}:\n{body}"))
    }

    /// Waits until the sum of a metric's series that contain `label` satisfies a condition. A
    /// missing series never satisfies it, so a renamed metric fails the test.
    #[track_caller]
    pub fn await_metric(&self, name: &str, label: &str, done: impl Fn(f64) -> bool) -> String {
        self.await_page("/metrics", |_, body| measured(body, name, label).is_some_and(&done))
    }
}

/// Returns the sum of a metric's series that contain `label`. A missing series is `None` and not 0,
/// so that a renamed metric is noticed.
pub fn measured(metrics: &str, name: &str, label: &str) -> Option<f64> {
    let value = |line: &str| -> Option<f64> {
        let rest = line.strip_prefix(name)?;
        let is_meant = rest.starts_with(['{', ' ']) && rest.contains(label);
        is_meant.then(|| rest.rsplit(' ').next()?.parse().ok())?
    };
    let found: Vec<f64> = metrics.lines().filter_map(value).collect();
    (!found.is_empty()).then(|| found.iter().sum())
}
