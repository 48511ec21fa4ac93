//! The end of transactions: failing aborts, aborts without a transaction, and the written output.

use audit_judge::fate::{Audited, Envelope, RegionIndex};
use audit_relay::kafka::OnReplaced;
use audit_relay::kafka::Replaced;
use audit_relay::stream::batch::Batch;
use audit_relay::stream::{Broker, Polled, Transaction};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, OwnedMessage};
use uuid::Uuid;

use super::*;

/// The reasons why producers were replaced.
type Reasons = Arc<Mutex<Vec<Replaced>>>;

/// Returns settings of a session that records why its producer is replaced.
fn recording_replacements(cluster: &Cluster) -> (SessionSettings, Reasons) {
    let reasons = Reasons::default();
    let noted = Arc::clone(&reasons);
    let mut settings = cluster.settings();
    settings.replaced = OnReplaced::new(move |why| noted.lock().expect("lock").push(why));
    (settings, reasons)
}

/// Returns the reasons that an abort can give. A producer is spent whenever a call takes long, as
/// it may on a busy machine.
fn of_aborts(reasons: &Reasons) -> Vec<Replaced> {
    let all = reasons.lock().expect("lock");
    all.iter().copied().filter(|reason| *reason != Replaced::Spent).collect()
}

/// Reads records into a batch with this fate.
fn read(session: &mut Session, records: usize, fate: &Fate) -> Batch {
    let mut batch = Batch::default();
    let deadline = Instant::now() + WAIT_MAX;
    while batch.records() < records {
        assert!(Instant::now() < deadline, "{} records", batch.records());
        let polled = session.poll(Duration::from_millis(100), 1, &mut |polled| {
            if let Polled::Record(record) = polled {
                batch.add(&record, fate.clone());
            }
        });
        polled.expect("the mock answers");
    }
    batch
}

fn quarantined() -> Fate {
    Fate::Quarantined(Quarantine::malformed("mock"))
}

fn publish(session: &mut Session, records: usize) -> Result<(), Failure> {
    let batch = read(session, records, &quarantined());
    session.publish(&Transaction::unsealed(&batch, &batch.positions()))
}

#[test]
fn a_producer_that_cannot_abort_is_replaced() {
    for error in [
        Code::RD_KAFKA_RESP_ERR_UNKNOWN,
        Code::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE,
        Code::RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
    ] {
        let cluster = Cluster::start();
        let (settings, reasons) = recording_replacements(&cluster);
        let session = Session::open(settings).expect("session");
        let left = [Code::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION];
        cluster.mock.request_errors(Api::TxnOffsetCommit, &left);
        cluster.mock.request_errors(Api::EndTxn, &[error]);
        let (seen, causes, result) = cluster.work(session, 1_000);
        assert!(result.is_ok(), "{error:?}: {result:?}");
        let first = [Seen::Aborted, Seen::Recovered, Seen::Committed];
        assert!(seen.starts_with(&first), "{error:?}: {seen:?} {causes:?}");
        assert_eq!(of_aborts(&reasons), [Replaced::Unabortable], "{error:?}");
    }
}

/// The loop aborts after any failure, including one before the transaction begins.
#[test]
fn an_abort_without_a_transaction_keeps_the_producer() {
    let cluster = Cluster::start();
    let (settings, reasons) = recording_replacements(&cluster);
    let mut session = Session::open(settings).expect("session");
    assert_eq!(session.abort(), Ok(()), "before the first");
    assert_eq!(publish(&mut session, 5), Ok(()));
    assert_eq!(session.abort(), Ok(()), "after a commit");
    assert_eq!(publish(&mut session, 5), Ok(()));
    assert_eq!(publish(&mut session, 5), Ok(()));
    let left = [Code::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION];
    cluster.mock.request_errors(Api::TxnOffsetCommit, &left);
    let failed = publish(&mut session, 5);
    assert!(matches!(failed, Err(Failure::Aborted(_))), "{failed:?}");
    assert_eq!(session.abort(), Ok(()));
    assert_eq!(session.abort(), Ok(()), "after an abort");
    assert_eq!(of_aborts(&reasons), []);
}

fn audited() -> Fate {
    Fate::Audited(Audited {
        envelope: Envelope {
            region: RegionIndex(0),
            device: "1234567".into(),
            account: "307608".into(),
            location: "dal10".into(),
            id: Uuid::from_u128(7),
        },
        event: b"{}".to_vec(),
        awaits_tables: false,
    })
}

/// Returns the only record of a topic.
fn only(cluster: &Cluster, topic: &str) -> OwnedMessage {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.mock.bootstrap_servers())
        .set("group.id", "reader")
        .create()
        .expect("consumer");
    let mut all = rdkafka::TopicPartitionList::new();
    all.add_partition_offset(topic, 0, rdkafka::Offset::Beginning).expect("an offset");
    consumer.assign(&all).expect("assigned");
    let deadline = Instant::now() + WAIT_MAX;
    loop {
        assert!(Instant::now() < deadline, "nothing in {topic}");
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            return message.detach();
        }
    }
}

#[test]
fn an_event_has_its_key_headers_and_record_time() {
    for event_headers in [true, false] {
        let cluster = Cluster::start();
        let mut settings = cluster.settings();
        settings.format.event_headers = event_headers;
        let mut session = Session::open(settings).expect("session");
        let batch = read(&mut session, 1, &audited());
        let time = batch.partitions().values().find_map(|it| it.last_timestamp_ms);
        let published = session.publish(&Transaction::unsealed(&batch, &batch.positions()));
        assert_eq!(published, Ok(()));
        let event = only(&cluster, "out");
        assert_eq!(event.key(), Some(b"1234567".as_slice()));
        assert_eq!(event.payload(), Some(b"{}".as_slice()));
        assert!(time.is_some() && event.timestamp().to_millis() == time);
        let headers: Vec<(&str, Option<&[u8]>)> = event
            .headers()
            .into_iter()
            .flat_map(Headers::iter)
            .map(|header| (header.key, header.value))
            .collect();
        let expected: [(&str, Option<&[u8]>); 5] = [
            ("type", Some(b"audit")),
            ("account", Some(b"307608")),
            ("region", Some(b"region")),
            ("location", Some(b"dal10")),
            ("id", Some(b"00000000-0000-0000-0000-000000000007")),
        ];
        let expected = if event_headers { &expected[..] } else { &[] };
        assert_eq!(headers, expected);
    }
}
