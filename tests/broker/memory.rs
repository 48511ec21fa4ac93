//! Memory while a relay catches up on input that was compressed well: the limit of a fetch counts
//! compressed bytes, but the client holds all of its answer decompressed.

use serde_json::json;

use crate::PROGRAM;
use crate::ledger::PRINCIPALS;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::{TestRecord, noise, produce};

/// Records that wait: 128 MB of 4 kB each, a twelfth of it when compressed.
const COUNT: usize = 32_000;
const PARTITIONS: i32 = 12;
/// What of each record no codec makes smaller.
const NOISE_BYTES: usize = 300;
/// A record of so many bytes shrinks to a few hundred.
const EXTREME_BYTES: usize = 5_000_000;
/// It takes 79 MB; 137 MB with the client's own limits of its queue, 167 MB and more with larger
/// fetches.
const PEAK_LIMIT_BYTES: u64 = 115_000_000;

/// A change that is skipped unless its number is a multiple of 50.
fn change(number: usize, noise: &[u8], filler: &str) -> TestRecord {
    let action = match number % 50 {
        0 => "Power Off",
        _ => "Looked At",
    };
    let value = json!({
        "accountId": 307_608, "eventCreateDate": "2021-07-14T09:12:44.310001-05:00", "eventName": action,
        "objectName": "Server", "objectId": 1_000_000, "label": "web", "datacenter": "dal10",
        "traceId": number.to_string(), "userId": 6_100_101, "userType": "CUSTOMER", "metaData": "",
        "note": filler,
    });
    TestRecord {
        // Runs of a hundred, so that batches are large.
        partition: Some(number as i32 / 100 % PARTITIONS),
        value: Some(value.to_string().into_bytes()),
        headers: vec![("noise".to_string(), Some(noise.to_vec()))],
        ..TestRecord::default()
    }
}

/// Small fetches, so that what is held is not all that was written; the limits of the queue are the
/// relay's defaults. The topics take the extreme record before the broker has compressed it.
fn deployment(broker: &KafkaBroker) -> TestDeployment {
    let mut deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    deployment.kafka = "\"fetch.max.bytes\" = 2097152\n".to_string();
    deployment.input = broker.unique("compressed");
    deployment.quarantine = broker.unique("large-quarantine");
    let input = [("compression.type", "zstd"), ("max.message.bytes", "6000000")];
    broker.create_topic_with(&deployment.input, PARTITIONS, &input);
    let quarantine = [("max.message.bytes", "6100000")];
    broker.create_topic_with(&deployment.quarantine, 1, &quarantine);
    deployment
}

#[test]
fn memory_is_bounded_when_the_backlog_was_compressed_well() {
    let broker = KafkaBroker::shared();
    let deployment = deployment(broker);
    let noise = noise(COUNT * NOISE_BYTES);
    let filler = "state=on;".repeat(370);
    let ordinary = noise.chunks(NOISE_BYTES).enumerate();
    let ordinary = ordinary.map(|(number, noise)| change(number, noise, &filler));
    let extreme = change(COUNT + 1, b"", &" ".repeat(EXTREME_BYTES));
    let written = ordinary.chain([extreme]);
    let count = produce(broker.bootstrap(), &deployment.input, written);

    let relay = deployment.start("only");
    relay.await_metric("audit_relay_records_read_total", "", |read| read == count as f64);
    let peak = relay.peak_resident();
    assert!(peak < PEAK_LIMIT_BYTES, "{peak} bytes were resident");
}
