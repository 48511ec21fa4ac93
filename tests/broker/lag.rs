//! Consumer lag on a topic written in transactions: the markers after the last record are never
//! committed by the group, so offsets alone would show lag forever.

use std::time::{Duration, Instant};

use rdkafka::producer::{BaseRecord, Producer};

use crate::PROGRAM;
use crate::ledger::{PRINCIPALS, change};
use audit_testkit::REQUEST_MAX;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::{Transactional, transactional};

const WAIT_MAX: Duration = Duration::from_secs(120);
const LAG: &str = "audit_relay_partition_lag_records";
/// This many consecutive checks, 200 ms apart, must see no lag: statistics arrive once a second.
const CHECKS: u32 = 15;

/// Begins a transaction and writes one record to partition 0.
pub fn begin(producer: &Transactional, topic: &str, number: u64) {
    let record = change(number);
    let value = record.value.expect("a change has a value");
    producer.begin_transaction().expect("begun");
    producer
        .send(BaseRecord::<str, [u8]>::to(topic).partition(0).payload(&value))
        .map_err(|(error, _)| error)
        .expect("queued");
    producer.flush(WAIT_MAX).expect("written");
}

#[test]
fn transaction_markers_are_not_lag() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 2, PRINCIPALS, "");
    let producer = transactional(broker.bootstrap(), &broker.unique("upstream"), REQUEST_MAX);
    let relay = deployment.start("only");
    relay.await_ready();
    for number in 0..3 {
        begin(&producer, &deployment.input, number);
        producer.commit_transaction(WAIT_MAX).expect("committed");
        begin(&producer, &deployment.input, number);
        producer.abort_transaction(WAIT_MAX).expect("aborted");
    }
    relay.await_metric("audit_relay_records_read_total", "", |read| read == 3.0);
    relay.await_metric(LAG, "", |lag| lag == 0.0);
    // The client may learn of the new end before it has read up to it; that lag is real and
    // temporary. In the end, consecutive checks that span several statistics must all see no lag.
    let since = Instant::now();
    let mut without_lag = 0;
    while without_lag < CHECKS {
        let lag = relay.metric(LAG, "") + relay.metric("audit_relay_partition_lag_seconds", "");
        without_lag = if lag == 0.0 { without_lag + 1 } else { 0 };
        assert!(since.elapsed() < WAIT_MAX, "the lag stays at {lag}");
        std::thread::sleep(Duration::from_millis(200));
    }
    let committed = broker.committed(&deployment.group, &deployment.input);
    let ends = broker.end_offsets(&deployment.input);
    assert!(committed[&0] < ends[&0], "{committed:?} {ends:?}");
}
