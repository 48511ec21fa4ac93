//! A cluster that accepts less than a full batch within the transaction timeout, as with a producer
//! quota: batches become small enough, so the consumer lag falls.

use std::net::SocketAddr;

use crate::PROGRAM;
use crate::exactly_once::end;
use crate::held::{await_all, await_released};
use crate::ledger::{Ledger, PRINCIPALS, change};
use audit_testkit::kafka::{BrokerOptions, KafkaBroker};
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::produce;
use audit_testkit::wire;

const RECORDS: u64 = 6_000;
/// The output is about 4 MB, so writing it takes several times the transaction timeout.
const BYTES_PER_SECOND: u32 = 200_000;
const BROKER: [(&str, &str); 2] = [
    // The quota counts two seconds of the past instead of eleven, which limits the burst.
    ("quota.window.num", "2"),
    // The default: the broker does not abort a transaction before the relay does.
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000"),
];
const PRODUCER: &str = "\
[kafka.producer]
\"transaction.timeout.ms\" = 4000
\"compression.type\" = \"none\"
";

#[test]
fn consumer_lag_falls_under_a_producer_quota() {
    let options = BrokerOptions {
        properties: BROKER.map(|(name, value)| (name.into(), value.into())).into(),
        ..BrokerOptions::default()
    };
    let broker = KafkaBroker::start(options).expect("a broker");
    // A batch age that lets one batch hold everything.
    let mut deployment =
        TestDeployment::create(PROGRAM, &broker, 2, PRINCIPALS, "[batch]\nmax_age_ms = 2000\n");
    deployment.kafka = PRODUCER.to_string();
    let address: SocketAddr = broker.bootstrap().parse().expect("an address");
    wire::limit_producer(address, "modest-0", Some(BYTES_PER_SECOND)).expect("a quota");
    produce(broker.bootstrap(), &deployment.input, (0..RECORDS).map(change));
    let mut relay = deployment.start("modest");
    await_all(&broker, &deployment, &relay);
    await_released(&relay);
    end(&mut relay);
    Ledger::of(broker.bootstrap(), &deployment, RECORDS).assert_clean();
}
