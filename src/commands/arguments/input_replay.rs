//! The arguments of `replay`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use clap::Args;
use jiff::Timestamp;

use super::ConfigArgs;
use super::quarantine::moment;

/// Arguments of `replay`.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["into", "compare"]))]
pub struct InputReplayArgs {
    /// The configuration of the relays, or one that is to be tried out.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Write the events into other topics, exactly as a relay would: `PREFIX<region>` and
    /// `PREFIXquarantine`, which must exist and be empty (`manifest --into PREFIX` prints them).
    #[arg(long, value_name = "PREFIX")]
    pub into: Option<String>,
    /// Go on with a replay into these topics that was interrupted.
    #[arg(long, requires = "into", conflicts_with_all = ["from", "to", "offsets"])]
    pub resume: bool,
    /// Write nothing, and tell how the events differ from those in the outputs. Only what the
    /// relays have processed is compared.
    #[arg(long)]
    pub compare: bool,
    /// Compare with the topics of a replay, `PREFIX<region>` and `PREFIXquarantine`, instead of
    /// the outputs.
    #[arg(long, value_name = "PREFIX", requires = "compare")]
    pub with: Option<String>,
    /// Begin at the first record of each partition from this time on, e.g. `2026-11-30` or
    /// `2026-11-30T12:00:00Z`, or at the `earliest` record.
    #[arg(long, value_name = "TIME", default_value = "earliest")]
    pub from: Edge,
    /// End before the first record from this time on, or behind the `latest` record.
    #[arg(long, value_name = "TIME", default_value = "latest")]
    pub to: Edge,
    /// Read exactly these offsets, e.g. `0:1200-8000,3:0-500`; the end is exclusive. Every replay
    /// prints them.
    #[arg(long, value_name = "RANGES", conflicts_with_all = ["from", "to"])]
    pub offsets: Option<OffsetRanges>,
    /// Judge actions, too, that are older than the history that the tables' topics keep
    /// (`tables.history_hours`): the tables were restored, or never changed since.
    #[arg(long)]
    pub accept_tables: bool,
    /// With --compare, show at most so many differences one by one.
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "into")]
    pub examples: usize,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// A beginning or an end of what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// The first record that is still there.
    Earliest,
    /// Behind the last record.
    Latest,
    /// The first record from this time on.
    At(Timestamp),
}

impl FromStr for Edge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => Ok(Edge::Earliest),
            "latest" => Ok(Edge::Latest),
            _ => moment(text)
                .map(Edge::At)
                .map_err(|error| format!("{error}; or `earliest`, or `latest`")),
        }
    }
}

/// Ranges of offsets, by partition; the end is exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetRanges(pub BTreeMap<i32, (i64, i64)>);

impl FromStr for OffsetRanges {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let range = |text: &str| {
            let (partition, offsets) = text.split_once(':')?;
            let (start, end) = offsets.split_once('-')?;
            let (partition, start, end): (i32, i64, i64) =
                (partition.parse().ok()?, start.parse().ok()?, end.parse().ok()?);
            (partition >= 0 && start >= 0 && start <= end).then_some((partition, (start, end)))
        };
        let mut ranges = BTreeMap::new();
        for part in text.split(',') {
            let (partition, offsets) =
                range(part).ok_or("expected PARTITION:START-END,…, such as 0:1200-8000,3:0-500")?;
            if ranges.insert(partition, offsets).is_some() {
                return Err("a partition is named twice");
            }
        }
        Ok(OffsetRanges(ranges))
    }
}

impl fmt::Display for OffsetRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (partition, (start, end))) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{partition}:{start}-{end}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_printed() {
        let text = "0:1200-8000,3:0-0";
        let ranges: OffsetRanges = text.parse().expect("ranges");
        assert_eq!(ranges.0, BTreeMap::from([(0, (1_200, 8_000)), (3, (0, 0))]));
        assert_eq!(ranges.to_string(), text);
        for bad in ["", "0", "0:1", "0:2-1", "-1:0-1", "0:-1-1", "0:0-1,", "0:0-1,0:1-2", "a:0-1"] {
            assert!(bad.parse::<OffsetRanges>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_edge_is_a_word_or_a_time() {
        assert_eq!("earliest".parse(), Ok(Edge::Earliest));
        assert_eq!("latest".parse(), Ok(Edge::Latest));
        assert_eq!("1970-01-01".parse(), Ok(Edge::At(Timestamp::UNIX_EPOCH)));
        let error = "soon".parse::<Edge>().expect_err("no time");
        assert!(error.contains("earliest"), "{error}");
    }
}
