//! What a relay says of itself at `/status`, compared with what the broker says of the group.

use std::collections::BTreeMap;
use std::process::Command;

use audit_relay::status::Status;

use crate::PROGRAM;
use crate::ledger::{ExpectedFate, PRINCIPALS, change, expected_fate};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::produce;

const RECORDS: u64 = 200;
const PARTITIONS: i32 = 6;

fn status(relay: &Relay) -> Status {
    let (code, body) = relay.get("/status").expect("an answer");
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).expect("a status")
}

/// Two relays: what they say together is what the broker knows of the group.
#[test]
fn the_status_agrees_with_the_broker_and_top_shows_it() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, PARTITIONS, PRINCIPALS, "");
    let relays = ["one", "two"].map(|instance| deployment.start(instance));
    for relay in &relays {
        // Each has its share before the first record, so that each counts what it commits.
        relay.await_page("/status", |_, body| {
            serde_json::from_str(body).is_ok_and(|status: Status| {
                status.ready && status.partitions.len() == usize::try_from(PARTITIONS / 2).unwrap()
            })
        });
    }
    produce(broker.bootstrap(), &deployment.input, (0..RECORDS).map(change));
    let committed = broker.end_offsets(&deployment.input);
    let mut seen: BTreeMap<i32, i64> = BTreeMap::new();
    let mut totals = [0; 4];
    for (relay, instance) in relays.iter().zip(["one", "two"]) {
        let own = status(relay).partitions.into_iter().map(|it| it.partition);
        let awaited: u64 = own.map(|partition| committed[&partition].unsigned_abs()).sum();
        relay.await_page("/status", |_, body| {
            serde_json::from_str(body).is_ok_and(|status: Status| {
                status.flow.read.total == awaited && status.lag.records == 0
            })
        });
        let status = status(relay);
        assert_eq!(status.instance, instance);
        assert_eq!(status.input.topic, deployment.input);
        assert_eq!(status.input.group, deployment.group);
        assert_eq!(i32::try_from(status.input.partitions), Ok(PARTITIONS));
        assert_eq!((status.workers, status.reasons.len()), (1, 0));
        for partition in &status.partitions {
            assert!(partition.last_progress > status.started, "{partition:?}");
            assert!(partition.end >= partition.offset, "{partition:?}");
            seen.extend(partition.offset.map(|offset| (partition.partition, offset)));
        }
        let flow = &status.flow;
        let of_relay = [flow.read, flow.audited, flow.skipped, flow.quarantined];
        for (total, count) in totals.iter_mut().zip(of_relay) {
            *total += count.total;
        }
        let regions: u64 = flow.regions.iter().map(|region| region.count.total).sum();
        assert_eq!(regions, flow.audited.total);
    }
    let committed: BTreeMap<i32, i64> = committed.into_iter().filter(|(_, end)| *end > 0).collect();
    assert_eq!(seen, committed, "the offsets of all partitions with records");
    assert_eq!(seen, broker.committed(&deployment.group, &deployment.input));
    let expected = |fate: fn(&ExpectedFate) -> bool| {
        (0..RECORDS).map(expected_fate).filter(fate).count() as u64
    };
    let audited = expected(|fate| matches!(fate, ExpectedFate::Audited));
    assert_eq!((totals[0], totals[1]), (RECORDS, audited));
    assert_eq!(totals[1] + totals[2] + totals[3], RECORDS);

    let addresses: Vec<String> = relays.iter().map(|relay| relay.admin_address()).collect();
    let top = Command::new(PROGRAM).args(["top", "--once"]).args(&addresses).output();
    let top = top.expect("runs");
    let text = String::from_utf8_lossy(&top.stdout).into_owned();
    assert!(top.status.success(), "{text}{top:?}");
    assert!(text.contains("2 of 2 ready"), "{text}");
    assert!(text.contains("6 of 6 partitions are read"), "{text}");
    assert!(text.contains("behind 0 records"), "{text}");
    // One that is not there does not hide the other, and fails the command.
    let [first, _] = &relays;
    let arguments = ["top", "--once", "127.0.0.1:1", &first.admin_address()];
    let top = Command::new(PROGRAM).args(arguments).output().expect("runs");
    let text = String::from_utf8_lossy(&top.stdout).into_owned();
    assert_eq!(top.status.code(), Some(1), "{text}");
    assert!(
        text.contains("1 of 2 ready") && text.contains("http://127.0.0.1:1/status: "),
        "{text}"
    );
}
