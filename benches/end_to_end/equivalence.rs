//! Checks that another contestant does the relay's job: both sides read the same records. A raw
//! copy's output must agree in everything except the content of the events, another relay's to the
//! byte.

use std::fmt::Debug;
use std::time::Duration;

use anyhow::ensure;

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

/// Fails if the other side's output differs from the relay's in anything but content.
pub fn check(fixture: &mut Fixture, relay: &Contestant, other: &Contestant) -> anyhow::Result<()> {
    let compared = compare(fixture, [relay, other], 512, &|seen| Shape::from(seen))?;
    eprintln!("{} writes what the relay writes: {compared} records compared", other.name);
    Ok(())
}

/// Fails if two relays' outputs differ in a single byte: of a key, a value, a header or a
/// timestamp.
pub fn check_equal(
    fixture: &mut Fixture,
    relay: &Contestant,
    other: &Contestant,
) -> anyhow::Result<()> {
    let mut compared = 0;
    for bytes in [512, 4_096] {
        // Committed in other batches, a record has another offset.
        let whole = |seen| Seen { offset: 0, ..seen };
        compared += compare(fixture, [relay, other], bytes, &whole)?;
    }
    eprintln!("{} writes the same bytes as the relay: {compared} records compared", other.name);
    Ok(())
}

/// Compares what `view` shows of both sides' output. Returns the number of records.
fn compare<T: PartialEq + Debug>(
    fixture: &mut Fixture,
    sides: [&Contestant; 2],
    bytes: usize,
    view: &dyn Fn(Seen) -> T,
) -> anyhow::Result<usize> {
    let data = fixture.data(DataKey {
        mix: Mix { audited: 250, malformed: 10, unknown_principals: 0 },
        bytes,
        partitions: 12,
        records: RECORDS,
        planned: true,
    })?;
    let written = |contestant| {
        let run = Run {
            contestant,
            tuning: Tuning::default(),
            data: &data,
            interval: INTERVAL,
            warm_up: 0,
        };
        run.to_the_end(fixture)?;
        anyhow::Ok(output(fixture))
    };
    let [relayed, other] = [written(sides[0])?, written(sides[1])?];
    let quarantined = |seen: &&Seen| seen.headers.iter().any(|(name, _)| name == REASON);
    let quarantined = relayed.iter().filter(quarantined).count();
    let events = relayed.len() - quarantined;
    ensure!(
        events > 0 && quarantined > 0,
        "the relay wrote {events} events and {quarantined} quarantined records; expected some of each"
    );
    let name = &sides[1].name;
    let (of_relay, of_other) = (relayed.len(), other.len());
    for (left, right) in relayed.into_iter().map(view).zip(other.into_iter().map(view)) {
        ensure!(left == right, "the relay wrote {left:?}, {name} {right:?}");
    }
    ensure!(of_relay == of_other, "the relay wrote {of_relay} records, {name} {of_other}");
    Ok(of_relay)
}

/// Returns the output of the last run. Records of several input partitions share an output
/// partition in no defined order, so they are sorted.
fn output(fixture: &Fixture) -> Vec<Seen> {
    let topics = fixture.outputs().into_iter();
    let mut seen: Vec<Seen> =
        topics.flat_map(|topic| read_committed(fixture.broker().bootstrap(), &topic)).collect();
    seen.sort_by(|left, right| {
        let place = |it: &Seen| (it.topic.clone(), it.partition, it.timestamp);
        place(left).cmp(&place(right))
    });
    seen
}
