//! Static members whose process was killed: what the broker keeps of them must not keep their
//! successors from the group.

use crate::PROGRAM;
use crate::ledger::{Ledger, PRINCIPALS, change};
use audit_testkit::kafka::{BrokerOptions, KafkaBroker};
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::produce;

/// By KIP-848 the broker gives the place of a killed static member to nobody before its session is
/// over.
#[test]
fn the_place_of_a_killed_member_is_waited_for_by_the_new_protocol() {
    const RECORDS: u64 = 400;
    let property = |name: &str, value: &str| (format!("group.consumer.{name}"), value.to_string());
    let broker = KafkaBroker::start(BrokerOptions {
        properties: vec![
            property("min.heartbeat.interval.ms", "500"),
            property("heartbeat.interval.ms", "1000"),
            property("min.session.timeout.ms", "5000"),
            property("session.timeout.ms", "10000"),
        ],
        ..BrokerOptions::default()
    });
    let broker = broker.expect("a broker");
    let mut deployment = TestDeployment::create(PROGRAM, &broker, 4, PRINCIPALS, "");
    deployment.membership = "\"group.protocol\" = \"consumer\"\n".to_string();
    let write = |from: u64, to: u64| {
        produce(broker.bootstrap(), &deployment.input, (from..to).map(change));
    };
    write(0, RECORDS / 2);
    let mut killed = deployment.start("same");
    let half = |read| read == (RECORDS / 2) as f64;
    killed.await_metric("audit_relay_records_read_total", "", half);
    killed.signal("KILL");
    killed.wait();
    write(RECORDS / 2, RECORDS);

    let mut relay = deployment.start("same");
    relay.await_page("/readyz", |status, body| {
        status != 200
            && body.contains("rejoining: waiting for the broker to release this member's place")
    });
    relay.await_metric("audit_relay_records_read_total", "", half);
    relay.await_ready();
    assert_eq!(relay.ended().expect("asked"), None, "it is the same process");
    relay.signal("TERM");
    assert!(relay.wait().success(), "{}", relay.log());
    Ledger::of(broker.bootstrap(), &deployment, RECORDS).assert_clean();
}
