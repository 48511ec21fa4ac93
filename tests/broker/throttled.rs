//! A cluster that takes less in the time of a transaction than a full batch holds, as behind a
//! producer quota: batches become small enough to fit, so the lag falls.

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
/// All that is to be written is some 4 MB, so it takes four times as long as a transaction may.
const BYTES_PER_SECOND: u32 = 200_000;
const BROKER: [(&str, &str); 2] = [
    // Two seconds of the past count, not eleven: what two seconds may write passes at once.
    ("quota.window.num", "2"),
    // As by default: who gives a transaction up in time is not forestalled by the broker.
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000"),
];
const PRODUCER: &str = "\
[kafka.producer]
\"transaction.timeout.ms\" = 4000
\"compression.type\" = \"none\"
";

#[test]
fn a_lag_behind_a_quota_falls() {
    let options = BrokerOptions {
        properties: BROKER.map(|(name, value)| (name.into(), value.into())).into(),
        ..BrokerOptions::default()
    };
    let broker = KafkaBroker::start(options).expect("a broker");
    // Old enough to hold all there is.
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
