//! A relay's metrics: every record that it read must have exactly one documented fate.

use std::collections::{BTreeMap, BTreeSet};

const READ: &str = "audit_relay_records_read_total";
const FATES: &str = "audit_relay_records_total";

/// The fates and reasons that `schemas/README.md` names.
pub(super) const KNOWN: [(&str, &str); 15] = [
    ("audited", ""),
    ("skipped", "unlisted_action"),
    ("skipped", "not_user_initiated"),
    ("skipped", "unknown_principal"),
    ("skipped", "unknown_service"),
    ("skipped", "no_infrastructure_access"),
    ("quarantined", "malformed"),
    ("quarantined", "unsupported_version"),
    ("quarantined", "unknown_principal"),
    ("quarantined", "unlinked_principal"),
    ("quarantined", "no_infrastructure_access"),
    ("quarantined", "unknown_device"),
    ("quarantined", "unknown_location"),
    ("quarantined", "unrouted_region"),
    ("quarantined", "too_large"),
];

/// Returns the number of records that a relay has read, by its metrics. Fails unless in each
/// partition read = audited + skipped + quarantined, all fates are known, and at least one record
/// was read.
#[track_caller]
pub fn assert_accounted(metrics: &str) -> f64 {
    accounted(metrics).unwrap_or_else(|wrong| panic!("{wrong}:\n{metrics}"))
}

pub(super) fn accounted(metrics: &str) -> Result<f64, String> {
    let mut read: BTreeMap<&str, f64> = BTreeMap::new();
    for (labels, value) in series(metrics, READ) {
        *read.entry(label(labels, "partition")?).or_default() += value;
    }
    let mut judged: BTreeMap<&str, f64> = BTreeMap::new();
    let mut fates = BTreeSet::new();
    for (labels, value) in series(metrics, FATES) {
        *judged.entry(label(labels, "partition")?).or_default() += value;
        fates.insert((label(labels, "fate")?, label(labels, "reason")?));
    }
    if fates != BTreeSet::from(KNOWN) {
        return Err(format!("the fates differ from the documented ones: {fates:?}"));
    }
    if read != judged {
        return Err(format!("records read and judged differ by partition: {read:?}, {judged:?}"));
    }
    let total = read.values().sum();
    match total > 0.0 {
        true => Ok(total),
        false => Err("nothing was read".to_string()),
    }
}

/// Returns the labels and value of each series of a metric.
fn series<'a>(metrics: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    let parse = move |line: &'a str| {
        let labels = line.strip_prefix(name)?.strip_prefix('{')?;
        let (labels, value) = labels.split_once("} ")?;
        Some((labels, value.parse().ok()?))
    };
    metrics.lines().filter_map(parse)
}

fn label<'a>(labels: &'a str, name: &str) -> Result<&'a str, String> {
    let mut pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(key, _)| *key == name);
    let value = found.map(|(_, value)| value.trim_matches('"'));
    value.ok_or_else(|| format!("no label {name} in {labels}"))
}
