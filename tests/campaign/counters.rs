//! Parses a relay's page at `/metrics`, and checks that its counters add up. A missing series is an
//! error, never zero. The pages are fetched elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use serde::Serialize;

const READ: &str = "audit_relay_records_read_total";
const FATES: &str = "audit_relay_records_total";
const DELETED: &str = "audit_relay_deleted_offsets_total";
/// The fates that occur in this load, each with its possible reasons.
const REASONS: [(&str, &[&str]); 3] = [
    ("audited", &[""]),
    ("skipped", &["unlisted_action", "not_user_initiated", "no_infrastructure_access"]),
    ("quarantined", &["malformed", "unknown_principal", "unknown_device", "unknown_location"]),
];

/// The counters of all processes together, as of the last scrape of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Counted {
    pub processes: u64,
    pub read: f64,
    pub audited: f64,
    pub skipped: f64,
    pub quarantined: f64,
    pub committed: f64,
    pub aborted: f64,
    pub broken: f64,
    pub fenced: f64,
    pub rebuilds: f64,
    pub rebalances: f64,
    pub barriers: f64,
    /// Offsets that a relay counted as deleted; the campaign deletes none.
    pub deleted: f64,
    pub peak_resident_bytes: f64,
}

/// One sample line of a page.
struct Series<'a> {
    name: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    value: f64,
}

/// All series of a page.
pub struct Page<'a>(Vec<Series<'a>>);

impl<'a> Page<'a> {
    /// Parses a page; fails if a line does not have the format.
    pub fn parse(page: &'a str) -> anyhow::Result<Page<'a>> {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let lines = lines.filter(|line| !line.trim().is_empty());
        let parse = |line: &'a str| Series::parse(line).with_context(|| format!("line {line:?}"));
        Ok(Page(lines.map(parse).collect::<anyhow::Result<_>>()?))
    }

    /// Sums a metric over all series with these labels; fails if there is none.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> anyhow::Result<f64> {
        let has = |series: &&Series<'_>| {
            let mut labels = labels.iter();
            series.name == name
                && labels.all(|(name, value)| series.labels.get(name) == Some(value))
        };
        let mut found = self.0.iter().filter(has).peekable();
        ensure!(found.peek().is_some(), "no series {name} {labels:?}");
        Ok(found.map(|series| series.value).sum())
    }
}

impl<'a> Series<'a> {
    /// Parses a line, assuming that no label value contains a space, comma or quotation mark.
    fn parse(line: &'a str) -> Option<Series<'a>> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        let pairs = labels.split(',').filter(|pair| !pair.is_empty());
        let pair = |pair: &'a str| {
            let (name, value) = pair.split_once('=')?;
            Some((name, value.strip_prefix('"')?.strip_suffix('"')?))
        };
        Some(Series {
            name,
            labels: pairs.map(pair).collect::<Option<_>>()?,
            value: value.parse().ok()?,
        })
    }
}

impl Counted {
    /// Reads the counters of a process. Those counted by partition may only be missing while
    /// nothing has been committed. `before`, the counters of an earlier page, decides that, since a
    /// first commit may happen while a page is written.
    pub fn of(page: &Page<'_>, before: &Counted) -> anyhow::Result<Counted> {
        let all = |name| page.sum(name, &[]);
        let result = |result| page.sum("audit_relay_transactions_total", &[("result", result)]);
        let by_partition = |name, labels: &[(&str, &str)]| match page.sum(name, labels) {
            Err(_) if before.committed == 0.0 => Ok(0.0),
            found => found,
        };
        Ok(Counted {
            processes: 0,
            read: by_partition(READ, &[])?,
            audited: by_partition(FATES, &[("fate", "audited")])?,
            skipped: by_partition(FATES, &[("fate", "skipped")])?,
            quarantined: by_partition(FATES, &[("fate", "quarantined")])?,
            committed: result("committed")?,
            aborted: result("aborted")?,
            broken: result("broken")?,
            fenced: result("fenced")?,
            rebuilds: all("audit_relay_producer_rebuilds_total")?,
            rebalances: all("audit_relay_rebalances_total")?,
            barriers: all("audit_relay_table_barriers_total")?,
            deleted: by_partition(DELETED, &[])?,
            peak_resident_bytes: all("process_resident_memory_bytes")?
                .max(before.peak_resident_bytes),
        })
    }

    pub fn add(&mut self, other: &Counted) {
        self.read += other.read;
        self.audited += other.audited;
        self.skipped += other.skipped;
        self.quarantined += other.quarantined;
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.broken += other.broken;
        self.fenced += other.fenced;
        self.rebuilds += other.rebuilds;
        self.rebalances += other.rebalances;
        self.barriers += other.barriers;
        self.deleted += other.deleted;
        self.peak_resident_bytes = self.peak_resident_bytes.max(other.peak_resident_bytes);
    }
}

/// The findings in the page of an idle relay.
#[derive(Debug, Default)]
pub struct Account {
    /// Partitions of which records were read.
    pub partitions_read: BTreeSet<String>,
    pub violations: Vec<String>,
}

/// Checks that in every partition the number of fates equals the number of records read, and that
/// each fate occurs in this load.
pub fn check_account(page: &Page<'_>) -> Account {
    let mut account = Account::default();
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for series in page.0.iter().filter(|series| [READ, FATES].contains(&series.name)) {
        let Some(partition) = series.labels.get("partition") else {
            account.violations.push(format!("{} without a partition", series.name));
            continue;
        };
        let (read, fates) = sums.entry(partition).or_default();
        if series.name == READ {
            *read += series.value;
            continue;
        }
        *fates += series.value;
        if series.value > 0.0 && !series.is_expected() {
            let (labels, value) = (&series.labels, series.value);
            account.violations.push(format!("{value} records are {labels:?}"));
        }
    }
    for (partition, (read, fates)) in sums {
        if read != fates {
            let what = format!("partition {partition}: {read} read, {fates} fates");
            account.violations.push(what);
        }
        if read > 0.0 {
            account.partitions_read.insert(partition.to_string());
        }
    }
    account
}

impl Series<'_> {
    fn is_expected(&self) -> bool {
        let [fate, reason] = ["fate", "reason"].map(|label| self.labels.get(label).unwrap_or(&"-"));
        let mut known = REASONS.iter();
        known.any(|(known, reasons)| known == fate && reasons.contains(reason))
    }
}
