//! The evidence that a ledger judges: the input and the output topics, as `read_committed`
//! consumers see them.

use std::collections::BTreeMap;

use audit_testkit::relay::{REGIONS, TestDeployment};
use audit_testkit::topics::{Seen, partition_count, read_committed};

/// The complete content of a topic.
#[derive(Clone)]
pub struct Contents {
    pub partitions: i32,
    pub records: Vec<Seen>,
}

/// Reads a topic. Each record of a sealed trail has one more header, the last one, which a verifier
/// of the trail judges.
#[track_caller]
fn read(bootstrap: &str, topic: &str, is_sealed: bool) -> Vec<Seen> {
    let mut records = read_committed(bootstrap, topic);
    if is_sealed {
        for record in &mut records {
            record.headers.pop_if(|(name, _)| name == "audit-chain");
        }
    }
    records
}

/// The input and output of a deployment.
#[derive(Clone)]
pub struct Evidence {
    /// Name of the input topic.
    pub topic: String,
    pub input: Vec<Seen>,
    /// The topic of each of [`REGIONS`].
    pub outputs: Vec<Contents>,
    pub quarantine: Contents,
    /// Whether events must have headers.
    pub event_headers: bool,
}

impl Evidence {
    /// Reads the output topics of a deployment.
    #[track_caller]
    pub fn read(bootstrap: &str, deployment: &TestDeployment, input: &[Seen]) -> Evidence {
        let contents = |topic: &String| Contents {
            partitions: partition_count(bootstrap, topic),
            records: read(bootstrap, topic, !deployment.integrity.is_empty()),
        };
        Evidence {
            topic: deployment.input.clone(),
            input: input.to_vec(),
            outputs: deployment.outputs().iter().map(contents).collect(),
            quarantine: contents(&deployment.quarantine),
            event_headers: deployment.event_headers,
        }
    }

    /// Returns each output topic with its region.
    pub(super) fn regions(&self) -> impl Iterator<Item = (&Contents, &'static str)> {
        self.outputs.iter().zip(REGIONS)
    }

    /// Returns the input records by number. A record read both before and after a truncation is the
    /// same.
    pub(super) fn by_number(&self) -> BTreeMap<u64, &Seen> {
        let numbered = |seen| Some((number(seen)?, seen));
        self.input.iter().filter_map(numbered).collect()
    }

    /// Returns the input records by position. A recreated topic has other records at the same
    /// offsets.
    pub(super) fn by_position(&self) -> BTreeMap<(i32, i64), Vec<&Seen>> {
        let mut originals: BTreeMap<_, Vec<&Seen>> = BTreeMap::new();
        for seen in &self.input {
            let position = (seen.partition, seen.offset);
            originals.entry(position).or_default().push(seen);
        }
        originals
    }
}

/// Returns the number of a record of the load, or of its copy in the quarantine.
pub(super) fn number(seen: &Seen) -> Option<u64> {
    header(seen, "number").parse().ok()
}

/// Returns the last header with this name, as text.
pub fn header(seen: &Seen, name: &str) -> String {
    let found = seen.headers.iter().rev().find(|(key, _)| key == name);
    let value = found.and_then(|(_, value)| value.clone());
    String::from_utf8_lossy(&value.unwrap_or_default()).into_owned()
}
