//! Static members with a killed process: their remains in the broker must not keep their successors
//! out of the group.

use crate::PROGRAM;
use crate::ledger::{Ledger, PRINCIPALS, change};
use audit_testkit::kafka::{BrokerOptions, KafkaBroker};
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::produce;

/// With KIP-848 the broker reserves the place of a killed static member until its session times
/// out.
#[test]
fn the_consumer_protocol_waits_for_a_killed_static_member() {
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
    assert_eq!(relay.ended().expect("asked"), None, "the process must not restart");
    relay.signal("TERM");
    assert!(relay.wait().success(), "{}", relay.log());
    Ledger::of(broker.bootstrap(), &deployment, RECORDS).assert_clean();
}
