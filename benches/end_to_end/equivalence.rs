//! Checks that another contestant, such as the raw copy, does the relay's job: both sides read the
//! same records, and their output must agree in everything except the content of the events.

use std::time::Duration;

use anyhow::{Context, bail, ensure};

use super::fixture::{DataKey, Fixture};
use super::records::Mix;
use super::runs::{Contestant, Run, Tuning};
use audit_relay::quarantine::headers::REASON;
use audit_testkit::topics::{Seen, read_committed};

const RECORDS: usize = 20_000;
const INTERVAL: Duration = Duration::from_millis(10);

/// The properties in which the output records must agree.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    topic: String,
    partition: i32,
    /// Identifies the record: each input record has its own timestamp.
    timestamp: Option<i64>,
    key: Option<Vec<u8>>,
    length: usize,
    /// Header names and the lengths of their values.
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

/// Fails if the two sides wrote different output.
pub fn check(fixture: &mut Fixture, relay: &Contestant, other: &Contestant) -> anyhow::Result<()> {
    let data = fixture.data(DataKey {
        mix: Mix { audited: 250, malformed: 10, unknown_principals: 0 },
        bytes: 512,
        partitions: 12,
        records: RECORDS,
        planned: true,
    })?;
    let mut written = Vec::new();
    for contestant in [relay, other] {
        let run = Run {
            contestant,
            tuning: Tuning::default(),
            data: &data,
            interval: INTERVAL,
            warm_up: 0,
        };
        run.to_the_end(fixture)?;
        written.push(shapes(fixture));
    }
    let copied = written.pop().context("two sides")?;
    let relayed = written.pop().context("two sides")?;
    let quarantined = |it: &&Shape| it.headers.iter().any(|(name, _)| name == REASON);
    let quarantined = relayed.iter().filter(quarantined).count();
    let events = relayed.len() - quarantined;
    ensure!(
        events > 0 && quarantined > 0,
        "the relay wrote {events} events and {quarantined} quarantined records; expected some of each"
    );
    for (left, right) in relayed.iter().zip(&copied) {
        if left != right {
            bail!("the relay wrote {left:?}, {} {right:?}", other.name);
        }
    }
    ensure!(
        relayed.len() == copied.len(),
        "the relay wrote {} records, {} {}",
        relayed.len(),
        other.name,
        copied.len()
    );
    eprintln!("{} writes what the relay writes: {} records compared", other.name, copied.len());
    Ok(())
}

fn shapes(fixture: &Fixture) -> Vec<Shape> {
    let mut shapes = Vec::new();
    for topic in fixture.outputs() {
        let seen = read_committed(fixture.broker().bootstrap(), &topic);
        shapes.extend(seen.into_iter().map(Shape::from));
    }
    // Records of several input partitions share an output partition in no defined order.
    shapes.sort_by(|left, right| {
        let place = |it: &Shape| (it.topic.clone(), it.partition, it.timestamp);
        place(left).cmp(&place(right))
    });
    shapes
}
