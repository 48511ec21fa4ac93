//! Relays with tables from topics or changing files: what they wait for and what they reread.

use std::time::Duration;

use rdkafka::producer::{BaseRecord, Producer};

use crate::PROGRAM;
use crate::ledger::{Ledger, PRINCIPALS, change};
use crate::tables::{COMPACTED, begin, compacted_topic, write};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::{TestRecord, Transactional, produce, read_committed, transactional};

const WAIT_MAX: Duration = Duration::from_secs(60);
/// Longer than all waits of a test, so that the broker does not abort the transaction.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(600);

/// The ledger's principals as records of a topic.
fn ledger_principals() -> Vec<TestRecord> {
    let record = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let key = format!("{}/{}", value["accountId"], value["userId"]);
        TestRecord {
            key: Some(key.into_bytes()),
            value: Some(line.as_bytes().to_vec()),
            ..TestRecord::default()
        }
    };
    PRINCIPALS.lines().map(record).collect()
}

fn await_read(relay: &Relay, count: usize) {
    relay.await_metric("audit_relay_records_read_total", "", |read| read == count as f64);
}

#[test]
fn a_relay_reads_its_tables_before_the_first_record() {
    const RECORDS: u64 = 200;
    let broker = KafkaBroker::shared();
    let principals = compacted_topic(broker, 2);
    write(broker, &principals, ledger_principals());
    let devices = broker.unique("devices");
    let more = format!("[devices]\ntopic = \"{devices}\"\n");
    let mut deployment = TestDeployment::create(PROGRAM, broker, 2, "", &more);
    deployment.principals = format!("topic = \"{principals}\"");
    let changes = (0..RECORDS).map(change);
    produce(broker.bootstrap(), &deployment.input, changes);
    let relay = deployment.start("early");
    let expected = format!("devices topic {devices}: topic {devices:?} does not exist");
    relay.await_page("/readyz", |_, body| body.contains(&expected));
    let committed = broker.committed(&deployment.group, &deployment.input);
    assert_eq!(committed.len(), 0, "no record must be judged yet");
    broker.create_topic_with(&devices, 2, &COMPACTED);
    await_read(&relay, RECORDS as usize);
    relay.await_ready();
    assert_eq!(relay.metric("audit_relay_table_ready", "principals"), 1.0);
    assert_eq!(relay.metric("audit_relay_table_records_total", "principals"), 2.0);
    assert!(relay.log().contains("the table is ready"));
    Ledger::of(broker.bootstrap(), &deployment, RECORDS).assert_clean();
}

/// Starts a relay with its principals from this topic and waits until it is ready.
fn following(broker: &KafkaBroker, principals: &str, more: &str) -> (TestDeployment, Relay) {
    let mut deployment = TestDeployment::create(PROGRAM, broker, 1, "", more);
    deployment.principals = format!("topic = \"{principals}\"");
    let relay = deployment.start("only");
    relay.await_ready();
    (deployment, relay)
}

/// Opens a transaction on a table's topic.
fn open_transaction(broker: &KafkaBroker, topic: &str) -> Transactional {
    let producer =
        transactional(broker.bootstrap(), &broker.unique("directory"), TRANSACTION_TIMEOUT);
    begin(&producer, topic, 1);
    producer
}

/// An open transaction on the table's topic can hide any entry, so no entry is known to be absent.
#[test]
fn fates_that_depend_on_absence_are_held_until_the_table_is_readable() {
    let broker = KafkaBroker::shared();
    let principals = compacted_topic(broker, 1);
    let more = "[tables]\nbarrier_limit_ms = 300\n";
    let (deployment, relay) = following(broker, &principals, more);
    let producer = open_transaction(broker, &principals);
    for record in ledger_principals() {
        let (key, value) = (record.key.expect("key"), record.value.expect("value"));
        let record = BaseRecord::to(&principals).key(&key).payload(&value);
        producer.send(record).map_err(|(error, _)| error).expect("queued");
    }
    // One record with a fate that depends on absence holds its whole batch.
    produce(broker.bootstrap(), &deployment.input, (0..20).map(change));
    relay.await_page("/readyz", |status, body| status == 503 && body.contains("held"));
    assert_eq!(relay.metric("audit_relay_records_read_total", ""), 0.0);
    assert!(relay.metric("audit_relay_table_barriers_total", "\"failed\"") >= 1.0);
    producer.commit_transaction(WAIT_MAX).expect("committed");
    await_read(&relay, 20);
    relay.await_ready();
    Ledger::of(broker.bootstrap(), &deployment, 20).assert_clean();
}

/// Unread records may revoke a known principal's rights: once the table has been stale for too
/// long, even fates that do not depend on absence are held.
#[test]
fn a_relay_holds_while_a_table_is_stale_and_then_resumes() {
    let broker = KafkaBroker::shared();
    let principals = compacted_topic(broker, 1);
    write(broker, &principals, ledger_principals());
    let more = "[tables]\nstaleness_limit_ms = 2000\n";
    let (deployment, relay) = following(broker, &principals, more);
    let producer = open_transaction(broker, &principals);
    let stale = "principals: not known to be complete for";
    relay.await_page("/readyz", |status, body| status == 503 && body.contains(stale));
    // The first four would be audited: their principal is known.
    produce(broker.bootstrap(), &deployment.input, (0..4).map(change));
    relay.await_page("/readyz", |status, body| {
        status == 503 && body.contains(&format!("recovering: held: {stale}"))
    });
    assert_eq!(relay.metric("audit_relay_records_read_total", ""), 0.0);
    assert_eq!(relay.metric("audit_relay_table_barriers_total", ""), 0.0);
    for output in deployment.outputs() {
        assert_eq!(read_committed(broker.bootstrap(), &output), []);
    }
    producer.commit_transaction(WAIT_MAX).expect("committed");
    await_read(&relay, 4);
    relay.await_ready();
    produce(broker.bootstrap(), &deployment.input, (4..20).map(change));
    await_read(&relay, 20);
    Ledger::of(broker.bootstrap(), &deployment, 20).assert_clean();
}

#[test]
fn a_file_is_reloaded_on_change_and_on_sighup() {
    const RELOADS: &str = "audit_relay_table_reloads_total";
    let broker = KafkaBroker::shared();
    let (first, _) = PRINCIPALS.split_once('\n').expect("lines");
    let deployment = TestDeployment::create(PROGRAM, broker, 1, first, "");
    let mut relay = deployment.start("only");
    relay.await_ready();
    assert_eq!(relay.metric("audit_relay_table_entries", "principals"), 1.0);
    deployment.write_principals(PRINCIPALS);
    relay.await_metric(RELOADS, "\"ok\"", |reloads| reloads >= 1.0);
    assert_eq!(relay.metric("audit_relay_table_entries", "principals"), 2.0);
    deployment.write_principals("nonsense");
    relay.signal("HUP");
    relay.await_metric(RELOADS, "\"failed\"", |reloads| reloads >= 1.0);
    assert_eq!(relay.metric("audit_relay_table_entries", "principals"), 2.0);
    assert!(relay.log().contains("principals.jsonl:1:"), "{}", relay.log());
    // An empty file, as seen while the file is rewritten in place.
    deployment.write_principals("");
    relay.signal("HUP");
    relay.await_page("/readyz", |status, body| {
        status == 200 && body.contains("warning: principals:") && body.contains("no entry")
    });
    const REFUSED: &str = "audit_relay_table_reload_refused";
    assert_eq!(relay.metric(REFUSED, "principals"), 1.0);
    assert_eq!(relay.metric("audit_relay_table_entries", "principals"), 2.0);
    deployment.write_principals(PRINCIPALS);
    relay.await_page("/readyz", |status, body| status == 200 && body == "ok\n");
    assert_eq!(relay.metric(REFUSED, "principals"), 0.0);
    relay.signal("TERM");
    assert!(relay.wait().success());
}

/// A version of a device, valid from this hour of the test's day, or its removal.
fn device(hour: i64, value: Option<serde_json::Value>) -> TestRecord {
    TestRecord {
        partition: Some(0),
        key: Some(b"77".to_vec()),
        value: value.map(|value| value.to_string().into_bytes()),
        timestamp: Some(DAY_MS + hour * 3_600_000),
        ..TestRecord::default()
    }
}

/// 2021-07-14.
const DAY_MS: i64 = 1_626_220_800_000;

/// An action that gives only the id of its device.
fn bare_action(hour: u8) -> TestRecord {
    let value = serde_json::json!({
        "eventCreateDate": format!("2021-07-14T{hour:02}:30:00Z"), "eventName": "Power Off",
        "objectName": "Server", "objectId": 77, "userId": 6_100_101, "userType": "CUSTOMER", "metaData": "",
    });
    TestRecord {
        partition: Some(0),
        value: Some(value.to_string().into_bytes()),
        ..TestRecord::default()
    }
}

#[test]
fn missing_fields_come_from_the_device_version_at_the_record_time() {
    let broker = KafkaBroker::shared();
    let devices = broker.unique("devices");
    // Keeps superseded versions: the active segment is not compacted.
    broker.create_topic_with(&devices, 1, &[("cleanup.policy", "compact")]);
    let described = |name: &str, data_center: &str| {
        Some(serde_json::json!({
            "deviceId": 77, "accountId": 307_608, "name": name, "datacenter": data_center,
        }))
    };
    let versions = vec![
        device(2, described("web-old", "dal10")),
        device(6, described("web-new", "fra02")),
        device(12, None),
        device(18, described("web-back", "lon02")),
    ];
    write(broker, &devices, versions);
    let more = format!("[devices]\ntopic = \"{devices}\"\n");
    let deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, &more);
    // Before the first version, within each, after the removal, and after the return.
    let hours = [1, 3, 7, 13, 19];
    produce(broker.bootstrap(), &deployment.input, hours.into_iter().map(bare_action));
    let relay = deployment.start("only");
    await_read(&relay, hours.len());
    let names = |region: &str| {
        let topic = format!("{}{region}", deployment.prefix);
        let events = read_committed(broker.bootstrap(), &topic).into_iter();
        let name = |value: &[u8]| {
            let event: serde_json::Value = serde_json::from_slice(value).expect("JSON");
            let target = &event["target"];
            format!("{} {}", target["name"], target["id"])
        };
        events.map(|event| name(&event.value.expect("an event"))).collect::<Vec<_>>()
    };
    let told = |name: &str, data_center: &str| {
        format!(
            "\"{name}\" \"crn:v1:bluemix:public:audit-log:{data_center}:a/307608::bare-metal:77\""
        )
    };
    let old = told("web-old", "dal10");
    assert_eq!(names("us-south"), [old.clone(), old]);
    assert_eq!(names("eu-de"), [told("web-new", "fra02")]);
    assert_eq!(names("eu-gb"), [told("web-back", "lon02")]);
    let records = |label| relay.metric("audit_relay_records_total", label);
    assert_eq!(records("unknown_device"), 1.0);
    assert_eq!(read_committed(broker.bootstrap(), &deployment.quarantine).len(), 1);
}
