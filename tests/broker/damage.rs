//! An input with a log that is damaged on the broker's disk: one bit of one batch. Brokers send
//! bytes from their files unchecked, so the relay must detect the damage. It holds the partition
//! there, the others continue, nothing is read twice, and the operator can make the relay pass over
//! the unreadable records.

use std::ops::Range;

use crate::PROGRAM;
use crate::exactly_once::end;
use crate::held::{
    assert_reported, await_all, await_all_but, await_held, await_metrics, await_released,
    times_logged,
};
use crate::ledger::{ExpectedFate, Ledger, PRINCIPALS, change, expected_fate};
use audit_testkit::kafka::{BrokerOptions, KafkaBroker, Stop};
use audit_testkit::relay::{TestDeployment, measured};
use audit_testkit::topics::{Seen, produce, read_committed};

const RECORDS: u64 = 4_000;
/// Records that are written and acknowledged together: batches end at these boundaries.
const PORTION: u64 = 200;
const PARTITIONS: i32 = 3;
const DAMAGED: i32 = 1;
const PASSED_OVER: &str = "audit_relay_passed_over_offsets_total";
const NONE: u8 = 0;
const LZ4: u8 = 3;

/// An input with one damaged batch, and its original records.
struct Damage {
    broker: KafkaBroker,
    deployment: TestDeployment,
    input: Vec<Seen>,
    offsets: Range<i64>,
}

impl Damage {
    fn of(codec: (&str, u8)) -> Damage {
        let (name, number) = codec;
        let mut broker = KafkaBroker::start(BrokerOptions::default()).expect("a broker");
        let deployment = TestDeployment::create(PROGRAM, &broker, PARTITIONS, PRINCIPALS, "");
        let topic = &deployment.input;
        let settings = [("retention.ms", "-1"), ("compression.type", name)];
        let altered = broker.try_alter_topic(topic, &settings);
        altered.expect("the codec is set");
        for from in (0..RECORDS).step_by(PORTION as usize) {
            let numbers = from..from + PORTION;
            produce(broker.bootstrap(), topic, numbers.map(change));
        }
        let input = read_committed(broker.bootstrap(), topic);
        broker.stop(Stop::Graceful);
        let batches = broker.stored_batches(topic, DAMAGED);
        assert!(batches.len() >= 5, "{batches:?}");
        assert!(batches.iter().all(|batch| batch.codec == number));
        let first = batches[batches.len() / 2].offsets.start;
        let offsets = broker.damage(topic, DAMAGED, first);
        broker.restart();
        Damage { broker, deployment, input, offsets }
    }

    /// The numbers of the damaged partition's records at these offsets that would have produced
    /// output.
    fn numbers_at(&self, offsets: Range<i64>) -> Vec<u64> {
        let there = self
            .input
            .iter()
            .filter(|seen| seen.partition == DAMAGED && offsets.contains(&seen.offset));
        let mut numbers: Vec<u64> = there
            .filter_map(|seen| {
                let (_, number) = seen.headers.iter().find(|(name, _)| name == "number")?;
                String::from_utf8_lossy(number.as_deref()?).parse().ok()
            })
            .filter(|number| expected_fate(*number) != ExpectedFate::Skipped)
            .collect();
        numbers.sort_unstable();
        numbers
    }

    fn ledger(&self) -> Ledger {
        let bootstrap = self.broker.bootstrap();
        Ledger::against(bootstrap, &self.deployment, &self.input, RECORDS)
    }
}

fn assert_holds_and_can_be_passed_over(codec: (&str, u8)) {
    let mut damage = Damage::of(codec);
    let Range { start, end: behind } = damage.offsets;
    let mut relay = damage.deployment.start("careful");
    await_held(&relay, DAMAGED, "unreadable", RECORDS);
    await_all_but(Some(DAMAGED), &damage.broker, &damage.deployment, &relay);
    assert_reported(&relay, &damage.deployment, DAMAGED, &[start], "pass_over");
    end(&mut relay);
    let unread = damage.numbers_at(start..i64::MAX);
    damage.ledger().assert_clean_but_for(&unread);

    damage.deployment.reading = format!("pass_over = [\"{DAMAGED}:{start}-{}\"]", behind - 1);
    let mut relay = damage.deployment.start("resolute");
    await_all(&damage.broker, &damage.deployment, &relay);
    let counted = (behind - start) as f64;
    let label = format!("partition=\"{DAMAGED}\"");
    await_metrics(&relay, PASSED_OVER, RECORDS, |metrics| {
        measured(metrics, PASSED_OVER, &label) == Some(counted)
    });
    await_released(&relay);
    assert_eq!(relay.metric(PASSED_OVER, ""), counted);
    assert_eq!(relay.metric("audit_relay_deleted_offsets_total", ""), 0.0);
    assert_eq!(times_logged(&relay, start, behind), 1, "{}", relay.log());
    end(&mut relay);
    let lost = damage.numbers_at(damage.offsets.clone());
    damage.ledger().assert_clean_but_for(&lost);
}

/// The client takes text for the next batch and goes back to the beginning of the log.
#[test]
fn a_damaged_uncompressed_batch_holds_only_its_partition() {
    assert_holds_and_can_be_passed_over(("uncompressed", NONE));
}

/// The client takes arbitrary bytes for the next batch: it goes back, or gets stuck.
#[test]
fn a_damaged_compressed_batch_holds_only_its_partition() {
    assert_holds_and_can_be_passed_over(("lz4", LZ4));
}
