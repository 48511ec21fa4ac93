//! The load's own way to the brokers: past the proxies, idempotent, and so patient that a broker
//! that is away for minutes loses nothing. What cannot be delivered all the same is the end of a
//! run, not a finding.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use audit_testkit::client_config;

/// Longest time in which a record must be delivered.
pub const DELIVERY_LIMIT: Duration = Duration::from_secs(300);

/// Is told of each record that the brokers have: its number, partition and offset.
pub type Delivered = Box<dyn Fn(usize, i32, i64) + Send + Sync>;

/// A producer that delivers.
pub struct Sender {
    producer: ThreadedProducer<Reports>,
    sent: AtomicUsize,
}

struct Reports {
    delivered: Delivered,
    count: AtomicUsize,
    failed: AtomicBool,
}

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(message) => (self.delivered)(number, message.partition(), message.offset()),
            Err(_) => self.failed.store(true, Ordering::Release),
        }
        self.count.fetch_add(1, Ordering::Release);
    }
}

impl Sender {
    pub fn connect(bootstrap: &str, delivered: Delivered) -> anyhow::Result<Sender> {
        let mut config = client_config(bootstrap);
        config
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .set("topic.metadata.refresh.interval.ms", "1000")
            .set("message.max.bytes", "8388608")
            .set("message.timeout.ms", DELIVERY_LIMIT.as_millis().to_string());
        let reports =
            Reports { delivered, count: AtomicUsize::new(0), failed: AtomicBool::new(false) };
        let producer = config.create_with_context(reports).context("create a producer")?;
        Ok(Sender { producer, sent: AtomicUsize::new(0) })
    }

    /// Hands a record over, waiting for room in the queue.
    pub fn send(&self, mut record: BaseRecord<'_, [u8], [u8], usize>) -> anyhow::Result<()> {
        let since = Instant::now();
        while let Err((error, refused)) = self.producer.send(record) {
            use RDKafkaErrorCode::{QueueFull, UnknownPartition, UnknownTopic};
            // The queue is full, or the client has not heard of partitions that were just added, or
            // of a topic that is there again.
            let passes =
                [QueueFull, UnknownPartition, UnknownTopic].map(KafkaError::MessageProduction);
            if !passes.contains(&error) || since.elapsed() > DELIVERY_LIMIT {
                return Err(error).context("send a record of the load");
            }
            std::thread::sleep(Duration::from_millis(5));
            record = refused;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Waits until the brokers have everything.
    pub fn flush(&self) -> anyhow::Result<()> {
        let since = Instant::now();
        while self.undelivered()? > 0 {
            if since.elapsed() > DELIVERY_LIMIT {
                bail!("{} records were not delivered in {DELIVERY_LIMIT:?}", self.undelivered()?);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// How many records the brokers have not acknowledged yet.
    pub fn undelivered(&self) -> anyhow::Result<usize> {
        let reports = self.producer.context();
        ensure!(!reports.failed.load(Ordering::Acquire), "a record of the load was not delivered");
        let count = reports.count.load(Ordering::Acquire);
        Ok(self.sent.load(Ordering::Relaxed) - count)
    }
}
