//! Producers that were replaced although the loop did not ask for it.

use std::fmt;
use std::sync::Arc;

/// Told why a producer was replaced although the loop did not ask for it.
#[derive(Clone)]
pub struct OnReplaced(pub(super) Arc<dyn Fn(Replaced) + Send + Sync>);

/// Why a producer was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// Its client may have sent a request twice, or has to skip the numbers of records that failed.
    Spent,
    /// It could not abort.
    Unabortable,
}

impl Replaced {
    /// As metrics say it.
    pub const fn reason(self) -> &'static str {
        match self {
            Replaced::Spent => "spent",
            Replaced::Unabortable => "unabortable",
        }
    }
}

impl OnReplaced {
    /// Calls this.
    pub fn new(told: impl Fn(Replaced) + Send + Sync + 'static) -> Self {
        OnReplaced(Arc::new(told))
    }
}

impl Default for OnReplaced {
    /// Nobody wants to know.
    fn default() -> Self {
        OnReplaced::new(|_| {})
    }
}

impl fmt::Debug for OnReplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnReplaced")
    }
}
