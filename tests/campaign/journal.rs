//! The log of a run: one JSON object per line, from which the faults can be replayed.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use serde_json::{Value, json};

/// Writes each line at once, so that an interrupted run leaves a usable log.
pub struct Journal {
    file: File,
    begun: Instant,
    /// Whether to print each line as well.
    verbose: bool,
}

impl Journal {
    pub fn create(path: &Path, verbose: bool) -> anyhow::Result<Journal> {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        Ok(Journal { file, begun: Instant::now(), verbose })
    }

    pub fn write(&mut self, what: &str, value: Value) -> anyhow::Result<()> {
        let at_ms = self.begun.elapsed().as_millis() as u64;
        let mut line = json!({ "at_ms": at_ms });
        line[what] = value;
        if self.verbose {
            println!("{line}");
        }
        writeln!(self.file, "{line}").context("write the log of the faults")
    }
}
