//! The judge outside the program: numbered state changes whose demands are known by their number, and a
//! ledger that compares what readers of committed records see with what was demanded.

use std::collections::BTreeMap;
use std::fmt;

use audit_relay::pipeline::fate::FateKind;
use serde_json::{Value, json};

use crate::support::relay::{Deployment, REGIONS};
use crate::support::topics::{Seen, TestRecord, read_committed};

/// Devices in the load; each is in one data center, and so in one region.
const DEVICES: u64 = 60;
/// A data center of each of [`REGIONS`].
const DATA_CENTERS: [&str; 6] = ["syd04", "fra02", "lon06", "tok02", "wdc04", "dal10"];

/// A principal with access and one without.
pub const PRINCIPALS: &str = r#"{"accountId":307608,"userId":6100101,"iamId":"IBMid-270004WA01","name":"operator@example.com","linked":true,"permissions":["REMOTE_MANAGEMENT"],"validFrom":"2018-01-01T00:00:00Z"}
{"accountId":307608,"userId":6100900,"iamId":"IBMid-270004WA09","name":"visitor@example.com","linked":true,"infrastructureAccess":false,"validFrom":"2018-01-01T00:00:00Z"}
"#;

/// What must become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    Audited,
    Skipped,
    Quarantined,
}

/// The demand on the record with this number.
pub fn demand(number: u64) -> Demand {
    match number % 10 {
        0..=3 => Demand::Audited,
        4..=8 => Demand::Skipped,
        _ => Demand::Quarantined,
    }
}

fn device(number: u64) -> u64 {
    // Not in step with the demand, so that every device sees all of them.
    number / 10 % DEVICES
}

/// The region that the record with this number belongs to.
pub fn region(number: u64) -> &'static str {
    REGIONS[device(number) as usize % REGIONS.len()]
}

/// The record with this number.
pub fn change(number: u64) -> TestRecord {
    let (user_type, user) = match number % 10 {
        0..=3 => ("CUSTOMER", json!(6_100_101)),
        8 => ("CUSTOMER", json!("6100900")),
        _ => ("SYSTEM", json!("")),
    };
    let device = device(number);
    let value = json!({
        "accountId": 307_608, "eventCreateDate": "2021-07-14T09:12:44.310001-05:00", "eventName": "Power Off",
        "objectName": "Server", "objectId": 1_000_000 + device, "label": format!("web{device}"),
        "datacenter": DATA_CENTERS[device as usize % 6], "traceId": number.to_string(), "userId": user,
        "userType": user_type, "metaData": "",
    });
    let mut value = value.to_string();
    if demand(number) == Demand::Quarantined {
        value.truncate(value.len() - 2);
    }
    TestRecord {
        key: Some((1_000_000 + device).to_string().into_bytes()),
        value: Some(value.into_bytes()),
        headers: vec![("number".to_string(), Some(number.to_string().into_bytes()))],
        ..TestRecord::default()
    }
}

/// What was wrong, by kind; all zero is the promise.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub lost: Vec<u64>,
    pub doubled: Vec<u64>,
    pub reordered: Vec<u64>,
    pub misrouted: Vec<u64>,
    pub unexpected: Vec<String>,
    pub quarantine_incomplete: Vec<u64>,
    pub events: usize,
    pub quarantined: usize,
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} events, {} quarantined; lost {}, doubled {}, reordered {}, misrouted {}, quarantine incomplete {}, unexpected {}",
            self.events,
            self.quarantined,
            self.lost.len(),
            self.doubled.len(),
            self.reordered.len(),
            self.misrouted.len(),
            self.quarantine_incomplete.len(),
            self.unexpected.len()
        )
    }
}

impl Ledger {
    /// Compares the committed output with what the first `count` records demand.
    #[track_caller]
    pub fn of(bootstrap: &str, deployment: &Deployment, count: u64) -> Ledger {
        let input = read_committed(bootstrap, &deployment.input);
        Ledger::against(bootstrap, deployment, &input, count)
    }

    /// The same with an input that was read before, if it cannot be read any more.
    #[track_caller]
    pub fn against(bootstrap: &str, deployment: &Deployment, input: &[Seen], count: u64) -> Ledger {
        let mut ledger = Ledger::default();
        let mut written = BTreeMap::new();
        for (topic, region) in deployment.outputs().iter().zip(REGIONS) {
            ledger.read_events(&read_committed(bootstrap, topic), region, &mut written);
        }
        let mut kept = BTreeMap::new();
        let quarantine = read_committed(bootstrap, &deployment.quarantine);
        ledger.read_quarantine(&quarantine, input, deployment, &mut kept);
        for number in 0..count {
            let seen = match demand(number) {
                Demand::Audited => written.remove(&number).unwrap_or(0),
                Demand::Quarantined => kept.remove(&number).unwrap_or(0),
                Demand::Skipped => 1,
            };
            match seen {
                0 => ledger.lost.push(number),
                1 => {}
                _ => ledger.doubled.push(number),
            }
        }
        let beyond = written.keys().chain(kept.keys());
        ledger
            .unexpected
            .extend(beyond.map(|number| format!("output for record {number}")));
        ledger
    }

    fn read_events(&mut self, events: &[Seen], region: &str, written: &mut BTreeMap<u64, u32>) {
        let mut last_of_device: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for seen in events {
            self.events += 1;
            let value = seen.value.as_deref().unwrap_or_default();
            let event: Value = serde_json::from_slice(value).unwrap_or_default();
            let Some(number) = event["correlationId"]
                .as_str()
                .and_then(|id| id.parse().ok())
            else {
                self.unexpected.push(format!("not an event: {event}"));
                continue;
            };
            *written.entry(number).or_default() += 1;
            let key = (1_000_000 + device(number)).to_string().into_bytes();
            if region != self::region(number) || seen.key.as_deref() != Some(key.as_slice()) {
                self.misrouted.push(number);
            }
            match last_of_device.insert(key, number) {
                // Equal is doubled, and is counted as that.
                Some(last) if last > number => self.reordered.push(number),
                _ => {}
            }
        }
    }

    /// Each record must be the original, whole, and say where it came from.
    fn read_quarantine(
        &mut self,
        quarantine: &[Seen],
        input: &[Seen],
        deployment: &Deployment,
        kept: &mut BTreeMap<u64, u32>,
    ) {
        // A topic that was made anew has other records at the same offsets.
        let mut originals: BTreeMap<(i32, i64), Vec<&Seen>> = BTreeMap::new();
        for seen in input {
            let position = (seen.partition, seen.offset);
            originals.entry(position).or_default().push(seen);
        }
        for seen in quarantine {
            self.quarantined += 1;
            let header = |name: &str| -> String {
                let found = seen.headers.iter().rev().find(|(key, _)| key == name);
                let value = found
                    .and_then(|(_, value)| value.clone())
                    .unwrap_or_default();
                String::from_utf8_lossy(&value).into_owned()
            };
            let Ok(number) = header("number").parse::<u64>() else {
                self.unexpected
                    .push(format!("quarantined without number: {seen:?}"));
                continue;
            };
            *kept.entry(number).or_default() += 1;
            let position = header("audit-relay-partition")
                .parse()
                .ok()
                .zip(header("audit-relay-offset").parse().ok());
            let found = position.and_then(|position| originals.get(&position));
            let mut found = found.into_iter().flatten();
            let whole = found.any(|original| {
                original.key == seen.key
                    && original.value == seen.value
                    && original.timestamp == seen.timestamp
                    && seen.headers.starts_with(&original.headers)
            });
            let said = header("audit-relay-reason") == "malformed"
                && header("audit-relay-topic") == deployment.input
                && header("audit-relay-version") == env!("CARGO_PKG_VERSION")
                && !header("audit-relay-detail").is_empty();
            if !(whole && said) {
                self.quarantine_incomplete.push(number);
            }
        }
    }

    /// Fails the test unless everything is there once, in order, in its place.
    #[track_caller]
    pub fn assert_clean(&self) {
        self.assert_clean_but_for(&[]);
    }

    /// The same, but these, and no others, are lost.
    #[track_caller]
    pub fn assert_clean_but_for(&self, lost: &[u64]) {
        let expected = Ledger {
            lost: lost.to_vec(),
            events: self.events,
            quarantined: self.quarantined,
            ..Ledger::default()
        };
        assert!(*self == expected, "{self}\n{self:?}");
        assert!(self.events > 0 && self.quarantined > 0, "{self}");
    }
}

/// The records of each kind in a relay's metrics; fails unless read = audited + skipped + quarantined in
/// every partition.
#[track_caller]
pub fn assert_accounted(metrics: &str) -> f64 {
    use crate::support::relay::sum;
    let mut total = 0.0;
    for partition in 0..64 {
        let label = format!("partition=\"{partition}\"");
        let read = sum(metrics, "audit_relay_records_read_total", &label);
        let judged = sum(metrics, "audit_relay_records_total", &label);
        assert_eq!(read, judged, "partition {partition}:\n{metrics}");
        total += read;
    }
    let fates: f64 = FateKind::all()
        .map(|kind| {
            let labels = format!("fate=\"{}\",partition=", kind.fate());
            let reason = format!("reason=\"{}\"", kind.reason());
            let series = metrics
                .lines()
                .filter(|line| line.contains(&labels) && line.contains(&reason));
            series
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .sum::<f64>()
        })
        .sum();
    assert_eq!(total, fates, "a fate that is not known:\n{metrics}");
    total
}
