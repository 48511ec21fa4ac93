//! `quarantine`: shows what could not be judged, judges it again once the cause is corrected, and
//! writes down what became of it.

mod archive;
mod closing;
mod done;
mod groups;
mod judging;
mod list;
mod present;
mod replay;
mod selection;
mod show;
mod writing;

pub use self::groups::METRIC_NAMES;
use crate::commands::arguments::QuarantineCommand;

/// Runs a command.
///
/// # Errors
/// Fails if the configuration is invalid, the cluster does not answer, or records stay open that
/// were to be closed ([`StillOpen`](crate::quarantine::tally::StillOpen)).
pub fn quarantine(command: &QuarantineCommand) -> anyhow::Result<()> {
    match command {
        QuarantineCommand::Groups(arguments) => groups::groups(arguments),
        QuarantineCommand::List(arguments) => list::list(arguments),
        QuarantineCommand::Show(arguments) => show::show(arguments),
        QuarantineCommand::Replay(arguments) => replay::replay(arguments),
        QuarantineCommand::Done(arguments) => done::done(arguments),
    }
}

/// Returns a time for people and programs; nothing for a record without one.
fn time(timestamp_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(timestamp_ms).ok().filter(|_| timestamp_ms >= 0);
    time.map(|time| format!("{time:.0}")).unwrap_or_default()
}
