//! A process under test, measured from outside: its memory, and what it has used, as the
//! operating system reports them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::usage::Usage;
use audit_testkit::guarded::Guarded;
use audit_testkit::{REQUEST_MAX, last_lines};

/// A running process. It ends when this value is dropped or the benchmark ends.
pub struct Process {
    guarded: Guarded,
    pid: u32,
    is_jvm: bool,
    log: PathBuf,
}

impl Process {
    /// Starts a program. The guard removes `directory` if the benchmark is killed.
    pub fn spawn(command: &Command, directory: &Path, log: PathBuf) -> anyhow::Result<Process> {
        fs::write(&log, "")?;
        let guarded = Guarded::spawn(command, directory, &log)?;
        let pid = guarded.pid();
        let is_jvm = Path::new(command.get_program()).ends_with("java");
        Ok(Process { guarded, pid, is_jvm, log })
    }

    /// What the process has used so far.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        if self.is_jvm { Usage::of_jvm(self.pid) } else { Usage::of(self.pid) }
    }

    /// Current resident memory, in bytes.
    pub fn resident(&self) -> anyhow::Result<u64> {
        self.status("VmRSS:")
    }

    /// Peak resident memory, in bytes.
    pub fn peak(&self) -> anyhow::Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
        let kib: u64 = kib.with_context(|| format!("no {name}"))?.trim().parse()?;
        Ok(kib * 1_024)
    }

    /// Fails with the end of the log if the process has ended.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        match self.guarded.ended()? {
            None => Ok(()),
            Some(status) => bail!("the process ended with {status}:\n{}", last_lines(&self.log)),
        }
    }

    /// Sends SIGTERM and waits until the process has ended.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.guarded.signal("TERM")?;
        self.guarded.wait(REQUEST_MAX, &self.log)?;
        Ok(())
    }
}
