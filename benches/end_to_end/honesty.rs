//! Before anything is compared with it: a raw copy must have written what the relay writes. Both
//! read the same records, and what came out must agree in everything but the content of the events.

use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::fleet::{Contestant, Run, Tuning};
use super::lab::{DataKey, Lab};
use super::records::Mix;
use audit_testkit::topics::{Seen, read_committed};

const RECORDS: usize = 20_000;
const INTERVAL: Duration = Duration::from_millis(10);
const QUARANTINED_HEADERS: usize = 6;

/// What must be equal of a record that was written.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    topic: String,
    partition: i32,
    /// Tells the records apart: each input record has its own.
    timestamp: Option<i64>,
    key: Option<Vec<u8>>,
    length: usize,
    /// Names, and lengths of the values.
    headers: Vec<(String, usize)>,
}

impl From<Seen> for Shape {
    fn from(seen: Seen) -> Shape {
        let length = |value: Option<Vec<u8>>| value.map_or(0, |value| value.len());
        Shape {
            topic: seen.topic,
            partition: seen.partition,
            timestamp: seen.timestamp,
            key: seen.key,
            length: length(seen.value),
            headers: seen.headers.into_iter().map(|(name, value)| (name, length(value))).collect(),
        }
    }
}

/// An error where the two did not write the same.
pub fn check(lab: &mut Lab, relay: &Contestant, raw_copy: &Contestant) -> anyhow::Result<()> {
    let data = lab.data(DataKey {
        mix: Mix { audited: 250, malformed: 10, strangers: 0 },
        bytes: 512,
        partitions: 12,
        records: RECORDS,
        planned: true,
    })?;
    let mut written = Vec::new();
    for contestant in [relay, raw_copy] {
        let run = Run { contestant, tuning: Tuning::default(), data: &data, interval: INTERVAL };
        run.to_the_end(lab)?;
        written.push(shapes(lab));
    }
    let copied = written.pop().context("two sides")?;
    let relayed = written.pop().context("two sides")?;
    let quarantined = |it: &&Shape| it.headers.len() == QUARANTINED_HEADERS;
    ensure!(
        relayed.iter().any(|it| !quarantined(&it)) && relayed.iter().any(|it| quarantined(&it)),
        "the relay wrote nothing of one kind"
    );
    for (left, right) in relayed.iter().zip(&copied) {
        if left != right {
            bail!("the relay wrote {left:?}, the raw copy {right:?}");
        }
    }
    ensure!(
        relayed.len() == copied.len(),
        "the relay wrote {} records, the raw copy {}",
        relayed.len(),
        copied.len()
    );
    eprintln!("the raw copy writes what the relay writes: {} records compared", copied.len());
    Ok(())
}

fn shapes(lab: &Lab) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for topic in lab.outputs() {
        let seen = read_committed(lab.broker().bootstrap(), &topic);
        shapes.extend(seen.into_iter().map(Shape::from));
    }
    // Records of several input partitions meet in one output partition, in an order that is
    // nobody's.
    shapes.sort_by(|left, right| {
        let place = |it: &Shape| (it.topic.clone(), it.partition, it.timestamp);
        place(left).cmp(&place(right))
    });
    shapes
}
