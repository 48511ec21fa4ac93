//! `quarantine groups`: how many records are open, since when, and what to do about them.

use std::collections::BTreeMap;

use audit_judge::fate::QuarantineReason;
use prometheus::core::Collector;
use prometheus::{GaugeVec, Opts, TextEncoder};
use serde_json::json;

use super::archive::{Archive, Found};
use super::time;
use crate::commands::arguments::{GroupBy, GroupsArgs};
use crate::commands::{load_config, print, visible};

/// The metrics of `--prometheus`: how many records are open, and when the oldest was written.
pub const METRIC_NAMES: [&str; 2] =
    ["audit_relay_quarantine_open_records", "audit_relay_quarantine_oldest_open_timestamp_seconds"];

/// The records of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    open: u64,
    closed: u64,
    /// When the first and the last of them were written, in milliseconds since 1970.
    oldest: i64,
    newest: i64,
}

/// Prints the groups.
///
/// # Errors
/// Fails if the topic cannot be read.
pub(super) fn groups(arguments: &GroupsArgs) -> anyhow::Result<()> {
    let config = load_config(&arguments.config)?;
    let archive = Archive::open(&config)?;
    let outcomes = archive.outcomes()?;
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let meant = (&arguments.selection, arguments.all);
    let foreign = archive.select(&archive.everything()?, &outcomes, meant, &mut |found| {
        let time = found.record.timestamp_ms;
        let group = groups.entry(key(arguments.by, found)).or_insert(Group {
            open: 0,
            closed: 0,
            oldest: time,
            newest: time,
        });
        match found.is_open() {
            true => group.open += 1,
            false => group.closed += 1,
        }
        group.oldest = group.oldest.min(time);
        group.newest = group.newest.max(time);
        Ok(())
    })?;
    match arguments {
        GroupsArgs { prometheus: true, .. } => {
            print(metrics(&groups, &config.input.group)?.trim_end())?;
        }
        GroupsArgs { json: true, .. } => print_json(&groups)?,
        _ => print_text(&groups, arguments, foreign)?,
    }
    Ok(())
}

/// Returns what is open as metrics: each reason has its number, which may be zero, so that an alert
/// ends, and the time of the oldest record, if there is one.
fn metrics(groups: &BTreeMap<String, Group>, group: &str) -> anyhow::Result<String> {
    let [open, oldest] = METRIC_NAMES;
    let gauge = |name, help| GaugeVec::new(Opts::new(name, help), &["group", "reason"]);
    let open = gauge(open, "Quarantined records without a final outcome.")?;
    let oldest = gauge(oldest, "When the oldest of them was written, in seconds since 1970.")?;
    for reason in QuarantineReason::ALL {
        open.with_label_values(&[group, reason.name()]).set(0.0);
    }
    for (reason, found) in groups {
        open.with_label_values(&[group, reason]).set(found.open as f64);
        oldest.with_label_values(&[group, reason]).set(found.oldest as f64 / 1_000.0);
    }
    let families = [open.collect(), oldest.collect()].concat();
    Ok(TextEncoder::new().encode_to_string(&families)?)
}

fn key(by: GroupBy, found: &Found<'_>) -> String {
    match by {
        GroupBy::Reason => found.reason().to_string(),
        GroupBy::Detail => found.detail().to_string(),
        GroupBy::Topic => found.case.id.topic.clone(),
        GroupBy::Day => time(found.record.timestamp_ms).chars().take(10).collect(),
    }
}

fn print_json(groups: &BTreeMap<String, Group>) -> anyhow::Result<()> {
    for (name, Group { open, closed, oldest, newest }) in groups {
        let (oldest, newest) = (time(*oldest), time(*newest));
        print(
            json!({ "group": name, "open": open, "closed": closed, "oldest": oldest, "newest": newest }),
        )?;
    }
    Ok(())
}

fn print_text(
    groups: &BTreeMap<String, Group>,
    arguments: &GroupsArgs,
    foreign: u64,
) -> anyhow::Result<()> {
    if groups.is_empty() {
        print("Nothing is open.")?;
    }
    let width = groups.keys().map(|name| visible(name).chars().count()).max().unwrap_or_default();
    for (name, group) in groups {
        let (oldest, newest) = (time(group.oldest), time(group.newest));
        let closed = match arguments.all {
            true => format!("{:>9} closed  ", group.closed),
            false => String::new(),
        };
        let name = visible(name);
        print(format_args!(
            "{name:<width$}  {:>9} open  {closed}{oldest:<20}  {newest}",
            group.open
        ))?;
    }
    if arguments.by == GroupBy::Reason {
        for name in groups.iter().filter(|(_, group)| group.open > 0).map(|(name, _)| name) {
            print(format_args!("\n{}: {}", visible(name), remedy(name)))?;
        }
    }
    if foreign > 0 {
        print(format_args!("\n{foreign} records are not a relay's, and are left alone"))?;
    }
    Ok(())
}

/// Returns what to do about the records of a reason.
fn remedy(reason: &str) -> &'static str {
    use QuarantineReason::*;
    let known = QuarantineReason::ALL.iter().find(|known| known.name() == reason);
    match known {
        Some(Malformed) => {
            "they stay malformed: correct the producer, have it send them again, then close these with `done`"
        }
        Some(UnsupportedVersion) => {
            "upgrade the relays to a version that reads them, then `replay`"
        }
        Some(UnknownPrincipal) => {
            "publish the principals with a validFrom that is early enough, then `replay`"
        }
        Some(UnlinkedPrincipal) => "link the users in the principals, then `replay`",
        Some(NoInfrastructureAccess) => {
            "look into them: someone acted without access; correct the principals and `replay`, or `done`"
        }
        Some(UnknownDevice) => "publish the devices with their accounts, then `replay`",
        Some(UnknownLocation) => "add the data centers to the location table, then `replay`",
        Some(UnroutedRegion) => "add the region to output.regions, and its topic, then `replay`",
        Some(TooLarge) => "raise output.max_message_bytes and the topic's limit, then `replay`",
        None => "this version of the program does not know the reason: use a newer one",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_metrics_have_every_reason() {
        let group = Group { open: 7, closed: 0, oldest: 1_500, newest: 9_000 };
        let groups = BTreeMap::from([("malformed".to_string(), group)]);
        let metrics = metrics(&groups, "audit").expect("metrics");
        let of = |name: &str, reason: &str| {
            let start =
                format!("audit_relay_quarantine_{name}{{group=\"audit\",reason=\"{reason}\"}} ");
            metrics.lines().find_map(|line| line.strip_prefix(&start)).map(String::from)
        };
        assert_eq!(of("open_records", "malformed").as_deref(), Some("7"));
        assert_eq!(of("oldest_open_timestamp_seconds", "malformed").as_deref(), Some("1.5"));
        assert_eq!(of("oldest_open_timestamp_seconds", "too_large"), None);
        for reason in QuarantineReason::ALL.iter().filter(|reason| reason.name() != "malformed") {
            assert_eq!(of("open_records", reason.name()).as_deref(), Some("0"));
        }
    }

    #[test]
    fn every_reason_has_a_remedy_of_its_own() {
        let remedies: BTreeSet<&str> =
            QuarantineReason::ALL.iter().map(|reason| remedy(reason.name())).collect();
        assert_eq!(remedies.len(), QuarantineReason::ALL.len());
        assert!(!remedies.contains(remedy("of another version")));
    }
}
