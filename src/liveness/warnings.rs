//! Warnings that `/readyz` shows although the process is ready: something needs an operator's
//! attention, but no work has stopped.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::lock::lock;

/// Warnings, by their subject.
#[derive(Debug, Default)]
pub struct Warnings(Mutex<BTreeMap<&'static str, String>>);

impl Warnings {
    /// Sets the warning about a subject, or clears it.
    pub fn set(&self, subject: &'static str, warning: Option<String>) {
        let mut warnings = lock(&self.0);
        match warning {
            Some(warning) => warnings.insert(subject, warning),
            None => warnings.remove(subject),
        };
    }

    /// Returns one line per warning, beginning with its subject.
    pub fn lines(&self) -> Vec<String> {
        let line = |(subject, warning): (&&str, &String)| format!("{subject}: {warning}");
        lock(&self.0).iter().map(line).collect()
    }
}
