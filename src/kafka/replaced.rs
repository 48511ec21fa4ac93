//! Reports producers that were replaced although the loop did not ask for it.

use std::fmt;
use std::sync::Arc;

/// Called with the reason when a producer is replaced although the loop did not ask for it.
#[derive(Clone)]
pub struct OnReplaced(pub(super) Arc<dyn Fn(Replaced) + Send + Sync>);

/// Why a producer was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// Its client may have sent a request twice, or would fail the next transaction because of
    /// records that failed.
    Spent,
    /// It could not abort its transaction.
    Unabortable,
}

impl Replaced {
    /// Returns the label value in metrics.
    pub const fn reason(self) -> &'static str {
        match self {
            Replaced::Spent => "spent",
            Replaced::Unabortable => "unabortable",
        }
    }
}

impl OnReplaced {
    /// Creates a callback.
    pub fn new(callback: impl Fn(Replaced) + Send + Sync + 'static) -> Self {
        OnReplaced(Arc::new(callback))
    }
}

impl Default for OnReplaced {
    /// Ignores all replacements.
    fn default() -> Self {
        OnReplaced::new(|_| {})
    }
}

impl fmt::Debug for OnReplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnReplaced")
    }
}
