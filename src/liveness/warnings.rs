//! What somebody should look at although the process works: it shows in `/readyz`, which stays
//! well. Those who know tell it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Warnings, by what they are about.
#[derive(Debug, Default)]
pub struct Warnings(Mutex<BTreeMap<&'static str, String>>);

impl Warnings {
    /// Says what there is to say of something; nothing, if all is well with it.
    pub fn set(&self, what: &'static str, warning: Option<String>) {
        let mut warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match warning {
            Some(warning) => warnings.insert(what, warning),
            None => warnings.remove(what),
        };
    }

    /// One line for each.
    pub fn lines(&self) -> Vec<String> {
        let warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |(what, warning): (&&str, &String)| format!("warning: {what}: {warning}");
        warnings.iter().map(line).collect()
    }
}
