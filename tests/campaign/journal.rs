//! The log of a run: one JSON object a line, from which the faults can be made again.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use serde_json::{Value, json};

/// Writes as things happen, so that a run that is cut off leaves what came before.
pub struct Journal {
    file: File,
    begun: Instant,
    /// Whether a person watches.
    aloud: bool,
}

impl Journal {
    pub fn create(path: &Path, aloud: bool) -> anyhow::Result<Journal> {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        Ok(Journal { file, begun: Instant::now(), aloud })
    }

    pub fn write(&mut self, what: &str, value: Value) -> anyhow::Result<()> {
        let at_ms = self.begun.elapsed().as_millis() as u64;
        let mut line = json!({ "at_ms": at_ms });
        line[what] = value;
        if self.aloud {
            println!("{line}");
        }
        writeln!(self.file, "{line}").context("write the log of the faults")
    }
}
