//! What a relay says of itself at `/status`, compared with what the broker says of the group.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use audit_relay::status::Status;

use crate::PROGRAM;
use crate::ledger::{ExpectedFate, PRINCIPALS, change, expected_fate};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::produce;

const RECORDS: u64 = 200;
const PARTITIONS: i32 = 6;

/// Waits until the status satisfies a condition, and returns it.
#[track_caller]
fn await_status(relay: &Relay, done: impl Fn(&Status) -> bool) -> Status {
    let read = |body: &str| serde_json::from_str::<Status>(body);
    let is_done = |body: &str| read(body).is_ok_and(|status| done(&status));
    read(&relay.await_page("/status", |code, body| code == 200 && is_done(body))).expect("a status")
}

/// What two relays say of themselves, added up.
#[derive(Default)]
struct Sum {
    /// The offset of each partition with records.
    offsets: BTreeMap<i32, i64>,
    /// Records that were read, audited, skipped and quarantined.
    totals: [u64; 4],
}

impl Sum {
    /// Adds a relay's status, after a check of what it says of itself.
    fn add(&mut self, status: &Status, instance: &str, deployment: &TestDeployment) {
        assert_eq!(status.instance, instance);
        assert_eq!(status.input.topic, deployment.input);
        assert_eq!(status.input.group, deployment.group);
        assert_eq!(i32::try_from(status.input.partitions), Ok(PARTITIONS));
        assert_eq!((status.workers, status.reasons.len()), (1, 0));
        for partition in &status.partitions {
            assert!(partition.last_progress > status.started, "{partition:?}");
            assert!(partition.end >= partition.offset, "{partition:?}");
            let offset = partition.offset.map(|offset| (partition.partition, offset));
            self.offsets.extend(offset);
        }
        let flow = &status.flow;
        let of_relay = [flow.read, flow.audited, flow.skipped, flow.quarantined];
        for (total, count) in self.totals.iter_mut().zip(of_relay) {
            *total += count.total;
        }
        let regions: u64 = flow.regions.iter().map(|region| region.count.total).sum();
        assert_eq!(regions, flow.audited.total);
    }
}

fn top(addresses: &[String]) -> (Output, String) {
    let output = Command::new(PROGRAM).args(["top", "--once"]).args(addresses).output();
    let output = output.expect("runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

/// Two relays: what they say together is what the broker knows of the group.
#[test]
fn the_status_agrees_with_the_broker_and_top_shows_it() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, PARTITIONS, PRINCIPALS, "");
    let relays = ["one", "two"].map(|instance| deployment.start(instance));
    // Each has its share before the first record, so that each counts what it commits.
    let share = usize::try_from(PARTITIONS / 2).unwrap();
    let shares = relays.each_ref().map(|relay| {
        await_status(relay, |status| status.ready && status.partitions.len() == share).partitions
    });
    produce(broker.bootstrap(), &deployment.input, (0..RECORDS).map(change));
    let ends = broker.end_offsets(&deployment.input);
    let mut sum = Sum::default();
    for ((relay, own), instance) in relays.iter().zip(shares).zip(["one", "two"]) {
        let awaited: u64 = own.iter().map(|it| ends[&it.partition].unsigned_abs()).sum();
        let status = await_status(relay, |status| {
            status.flow.read.total == awaited && status.lag.records == 0
        });
        sum.add(&status, instance, &deployment);
    }
    let with_records: BTreeMap<i32, i64> = ends.into_iter().filter(|(_, end)| *end > 0).collect();
    assert_eq!(sum.offsets, with_records, "the offsets of all partitions with records");
    assert_eq!(sum.offsets, broker.committed(&deployment.group, &deployment.input));
    let fates = (0..RECORDS).map(expected_fate);
    let audited = fates.filter(|fate| *fate == ExpectedFate::Audited).count() as u64;
    let [read, of_audited, skipped, quarantined] = sum.totals;
    assert_eq!((read, of_audited), (RECORDS, audited));
    assert_eq!(of_audited + skipped + quarantined, RECORDS);

    let addresses = relays.each_ref().map(Relay::admin_address);
    let (output, text) = top(&addresses);
    assert!(output.status.success(), "{text}{output:?}");
    assert!(text.contains("2 of 2 ready"), "{text}");
    assert!(text.contains("6 of 6 partitions are read"), "{text}");
    assert!(text.contains("behind 0 records"), "{text}");
    // One that is not there does not hide the other, and fails the command.
    let [first, _] = addresses;
    let (output, text) = top(&["127.0.0.1:1".to_string(), first]);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("1 of 2 ready") && text.contains("http://127.0.0.1:1/status: "),
        "{text}"
    );
}
