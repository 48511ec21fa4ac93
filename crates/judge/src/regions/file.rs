//! Reads the text of a location table into its entries, and reports every problem. It does not look
//! up places.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Deserialize;
use toml::{Table, Value};

use super::locations::{CODE_BYTES_MAX, Locations, Period};
use super::names::{NameTexts, Names};
use crate::data_file;
use crate::data_file::{Report, is_slug};

const TABLE_KEYS: &[&str] = &["profiles", "names"];
const ENTRY_KEYS: &[&str] = &["data_centers", "region", "valid_from", "valid_to"];

#[derive(Default, Deserialize)]
struct Head {
    profiles: BTreeSet<String>,
    #[serde(default)]
    names: NameTexts,
}

#[derive(Deserialize)]
struct Entry {
    data_centers: Vec<String>,
    region: RegionText,
    valid_from: Option<Value>,
    valid_to: Option<Value>,
}

/// One region for all profiles, or one for each profile.
#[derive(Deserialize)]
#[serde(untagged, expecting = "`region` must be one name, or a table of one name for each profile")]
enum RegionText {
    Same(String),
    ByProfile(BTreeMap<String, String>),
}

/// Reads a whole table. The result is usable only if no problem was reported.
pub(super) fn read_table(mut table: Table, profile: &str, report: &mut Report<'_>) -> Locations {
    let entries = report.accept(data_file::take_rows(&mut table, "entry"));
    let head = read_head(table, profile, report);
    let mut locations =
        Locations { periods: HashMap::new(), regions: BTreeSet::new(), names: Names::default() };
    if entries.as_ref().is_some_and(Vec::is_empty) {
        report.say("has no entry: add [[entry]] rows");
    }
    for (position, table) in entries.unwrap_or_default().into_iter().enumerate() {
        report.row = Some(label(&table, position));
        if let Some(entry) = read_entry(table, report) {
            add_entry(&mut locations, entry, &head.profiles, profile, report);
        }
    }
    report.row = None;
    let codes = locations.periods.keys().map(String::as_str).collect();
    locations.names = Names::read(&head.names, &codes, report);
    locations
}

fn read_head(mut table: Table, profile: &str, report: &mut Report<'_>) -> Head {
    for message in data_file::take_unknown(&mut table, TABLE_KEYS) {
        report.say(message);
    }
    let head = report.accept(data_file::read::<Head>(table));
    if let Some(Head { profiles, .. }) = &head
        && !profiles.contains(profile)
    {
        let known: Vec<_> = profiles.iter().map(String::as_str).collect();
        report.say(format!("unknown profile `{profile}`: this table has {}", known.join(", ")));
    }
    head.unwrap_or_default()
}

fn label(table: &Table, position: usize) -> String {
    let codes = table.get("data_centers").and_then(Value::as_array);
    let first = codes.and_then(|codes| codes.first()).and_then(Value::as_str);
    match first {
        Some(code) => format!("entry {} ({code})", position + 1),
        None => format!("entry {}", position + 1),
    }
}

fn read_entry(mut table: Table, report: &mut Report<'_>) -> Option<Entry> {
    for message in data_file::take_unknown(&mut table, ENTRY_KEYS) {
        report.say(message);
    }
    let entry: Entry = report.accept(data_file::read(table))?;
    if entry.data_centers.is_empty() {
        report.say("`data_centers` is empty: name some or remove the entry");
    }
    for code in &entry.data_centers {
        if !is_slug(code) || code.len() > CODE_BYTES_MAX {
            report.say(format!(
                "`{code}` is not a data center's code: write up to {CODE_BYTES_MAX} of a-z, 0-9 and -, without a suffix"
            ));
        }
    }
    Some(entry)
}

fn add_entry(
    locations: &mut Locations,
    entry: Entry,
    profiles: &BTreeSet<String>,
    profile: &str,
    report: &mut Report<'_>,
) {
    let region = read_region(entry.region, profiles, profile, report).unwrap_or_default();
    let from = read_time("valid_from", entry.valid_from, report);
    let to = read_time("valid_to", entry.valid_to, report);
    if let (Some(from), Some(to)) = (from, to)
        && to <= from
    {
        // Such an entry never applies, so it cannot overlap another.
        report.say(format!(
            "`valid_to` ({to}) is not after `valid_from` ({from}): correct one of them"
        ));
        return;
    }
    for code in &entry.data_centers {
        let region = region.clone();
        report.accept(locations.add(code, Period { from, to, region }));
    }
}

/// Reads the region of the chosen profile. Checks those of the others too.
fn read_region(
    text: RegionText,
    profiles: &BTreeSet<String>,
    profile: &str,
    report: &mut Report<'_>,
) -> Option<String> {
    let by_profile = match text {
        RegionText::Same(region) => BTreeMap::from([(profile.to_owned(), region)]),
        RegionText::ByProfile(regions) => {
            for missing in profiles.iter().filter(|name| !regions.contains_key(*name)) {
                report.say(format!("no region for the profile `{missing}`: add one"));
            }
            for unknown in regions.keys().filter(|name| !profiles.contains(*name)) {
                report.say(format!(
                    "a region for the unknown profile `{unknown}`: add it to `profiles` or remove it"
                ));
            }
            regions
        }
    };
    for region in by_profile.values().filter(|region| !is_slug(region)) {
        report
            .say(format!("`{region}` is not a region's name: write one or more of a-z, 0-9 and -"));
    }
    by_profile.get(profile).cloned()
}

/// Reads a date, which means midnight UTC, or a time with an offset.
fn read_time(key: &str, value: Option<Value>, report: &mut Report<'_>) -> Option<Timestamp> {
    // A time becomes text here, quoted or not. Any other value then fails to parse.
    let text = match value? {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    let is_date = text.len() == "2020-12-01".len();
    let whole = if is_date { format!("{text}T00:00:00Z") } else { text.clone() };
    report.accept(whole.parse().map_err(|_| {
        format!("`{key}` is {text}: write a date such as 2020-12-01, or a time with an offset such as 2020-12-01T00:00:00Z")
    }))
}
