//! What the steps of the stage share: the action, the tables and the rules. Each step adds its own
//! look-ups in its own file.

use jiff::{SignedDuration, Timestamp};

use crate::classify::UserAction;
use crate::reference::ReferenceTables;
use crate::rules::Rules;

/// Looks up one action in the tables as of its time. [`enrich`](super::enrich) is generic, so it is
/// compiled where it is called; `#[inline]` on methods that only it calls keeps them part of it.
pub(super) struct Lookup<'l, 'a> {
    pub(super) action: &'l UserAction<'a>,
    pub(super) reference: &'a ReferenceTables,
    pub(super) rules: &'a Rules,
}

impl Lookup<'_, '_> {
    /// Returns the time as of which everything is looked up.
    pub(super) const fn moment(&self) -> Timestamp {
        self.action.change.time
    }

    /// Returns how far from that time a version may be valid and still count.
    pub(super) fn tolerance(&self) -> SignedDuration {
        SignedDuration::from_millis(self.rules.policy.clock_skew_ms.into())
    }
}
