//! Reports what the stages find while [`judge_traced`](crate::judge_traced) judges a record. A
//! program that prints these reports explains the judgement itself, not a repetition of it.

use crate::classify::UserAction;
use crate::enrich::{AttributedAction, KeyLookups};
use crate::fate::Audited;
use crate::parse::record::Record;

/// Receives what each stage found. A stage reports its result only if the record goes on, so the
/// stage behind the last result is the one that decided the fate. Each method does nothing by
/// default.
#[allow(unused_variables, reason = "the names of the arguments are documentation")]
pub trait Trace {
    /// *Parse* read the fields of the record.
    fn parsed(&mut self, record: &Record<'_>) {}

    /// The record is a CloudEvent. Discard what was reported: the reports begin again, about the
    /// record that it holds.
    fn unwrapped(&mut self) {}

    /// *Classify* found an action of a user or a service.
    fn classified(&mut self, action: &UserAction<'_>) {}

    /// *Enrich* looks keys up in the tables. Comes before its result, and also if it has none.
    fn looked_up(&mut self, lookups: &KeyLookups<'_, '_>) {}

    /// *Enrich* attributed the action.
    fn attributed(&mut self, action: &AttributedAction<'_>) {}

    /// *Route* found the region among those with an output topic.
    fn routed(&mut self, region: &str) {}

    /// *Format* wrote the event.
    fn formatted(&mut self, audited: &Audited) {}
}

/// Ignores every report. It compiles to nothing.
pub(crate) struct NoTrace;

impl Trace for NoTrace {}

#[cfg(test)]
mod tests;
