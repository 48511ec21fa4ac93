//! The arguments of `quarantine`.

use audit_judge::fate::QuarantineReason;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::ConfigArgs;
use crate::quarantine::case::Place;

/// What `quarantine` does.
#[derive(Debug, Clone, Subcommand)]
pub enum QuarantineCommand {
    /// Count what is open, with what to do about it.
    Groups(GroupsArgs),
    /// List records.
    List(ListArgs),
    /// Show one record: its headers and bytes, what became of it, and what a relay would say now.
    Show(ShowArgs),
    /// Judge records again, and write the events of those that can be audited now.
    Replay(ReplayArgs),
    /// Close records without an event, for example when their producer has sent them again.
    Done(DoneArgs),
}

/// Which records are meant. Each further option makes it fewer.
#[derive(Debug, Clone, Default, Args)]
pub struct SelectionArgs {
    /// Quarantined for this reason. May be given several times.
    #[arg(long, value_name = "REASON", value_parser = reasons())]
    pub reason: Vec<String>,
    /// With this text in the detail.
    #[arg(long, value_name = "TEXT")]
    pub detail_contains: Option<String>,
    /// Of this device: `objectId` of the record.
    #[arg(long, value_name = "ID")]
    pub device: Option<String>,
    /// Of this account: `accountId` of the record.
    #[arg(long, value_name = "ID")]
    pub account: Option<String>,
    /// Written since this time, e.g. `2026-11-30` or `2026-11-30T12:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<Timestamp>,
    /// Written before this time.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<Timestamp>,
    /// At this place of the quarantine topic. May be given several times.
    #[arg(long = "record", value_name = "PARTITION/OFFSET")]
    pub records: Vec<Place>,
}

/// Arguments of `quarantine groups`.
#[derive(Debug, Clone, Args)]
pub struct GroupsArgs {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The selection.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// What the groups are.
    #[arg(long, value_enum, default_value_t = GroupBy::Reason)]
    pub by: GroupBy,
    /// Count closed records too.
    #[arg(long)]
    pub all: bool,
    /// Print one JSON object for each group instead of text.
    #[arg(long)]
    pub json: bool,
    /// Print what is open as metrics, for a file that Prometheus' node exporter reads.
    #[arg(long, conflicts_with_all = ["json", "by", "all"])]
    pub prometheus: bool,
}

/// What makes a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GroupBy {
    /// The reason.
    Reason,
    /// The reason in words.
    Detail,
    /// The input topic.
    Topic,
    /// The day on which the record was written, in UTC.
    Day,
}

/// Arguments of `quarantine list`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The selection.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// List closed records too.
    #[arg(long)]
    pub all: bool,
    /// List at most so many.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub limit: u64,
    /// Print one JSON object for each record instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `quarantine show`.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The place of the record in the quarantine topic.
    #[arg(value_name = "PARTITION/OFFSET")]
    pub place: Place,
}

/// Which records are closed, and by whom.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true)
    .args(["reason", "detail_contains", "device", "account", "since", "until", "records", "all"]))]
pub struct ClosingArgs {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The selection.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// All open records.
    #[arg(long)]
    pub all: bool,
    /// Who does this; written down with the outcome.
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub by: String,
    /// Why; written down with the outcome.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `quarantine replay`.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// The records.
    #[command(flatten)]
    pub closing: ClosingArgs,
    /// Write nothing, and tell what would become of the records.
    #[arg(long)]
    pub dry_run: bool,
    /// Replay at most so many.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Judge actions, too, that are older than the history that the tables' topics keep
    /// (`tables.history_hours`): the tables were restored, or never changed since.
    #[arg(long)]
    pub accept_tables: bool,
    /// Do not look whether the events are in the outputs already, because their producer has sent
    /// the records again. Looking reads the outputs from the oldest record's time on.
    #[arg(long)]
    pub no_scan: bool,
}

/// Arguments of `quarantine done`.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("note", |note| note.required(true)))]
pub struct DoneArgs {
    /// The records.
    #[command(flatten)]
    pub closing: ClosingArgs,
}

fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(QuarantineReason::ALL.iter().map(|reason| reason.name()))
}

/// Reads a time, or a day in UTC.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    // The parser of days accepts a time without its zone too, and drops it.
    let day: Option<Date> = text.parse().ok().filter(|day: &Date| day.to_string() == text);
    let day = day.ok_or(
        "expected a day or a time with its zone, such as 2026-11-30 or 2026-11-30T12:00:00Z",
    )?;
    let midnight = day.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
    Ok(midnight.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_day_or_a_time() {
        for (text, expected) in [
            ("2026-11-30", "2026-11-30T00:00:00Z"),
            ("2026-11-30T12:30:00Z", "2026-11-30T12:30:00Z"),
            ("2026-11-30T12:30:00+02:00", "2026-11-30T10:30:00Z"),
        ] {
            assert_eq!(moment(text).expect(text).to_string(), expected);
        }
        for bad in ["yesterday", "2026-13-01", "2026-11-30T12:30:00"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
