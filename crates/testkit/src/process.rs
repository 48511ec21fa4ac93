//! What the kernel knows of a running relay: its files in `/proc`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use crate::or_fail;
use crate::relay::Relay;

impl Relay {
    /// The path of a file in the process's folder of `/proc`.
    pub fn proc(&self, name: &str) -> PathBuf {
        format!("/proc/{}/{name}", self.process.pid()).into()
    }

    /// Peak resident memory, in bytes.
    #[track_caller]
    pub fn peak_resident(&self) -> u64 {
        or_fail(self.try_peak_resident(), format_args!("read the peak"))
    }

    fn try_peak_resident(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kibibytes: u64 = kibibytes.context("no VmHWM")?.parse()?;
        Ok(kibibytes * 1024)
    }
}
