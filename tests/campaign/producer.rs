//! The producer of the load. It bypasses the proxies, is idempotent, and retries for so long that
//! nothing is lost while a broker is down for minutes. A record that still cannot be delivered ends
//! the run with an error, not with a violation.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};

use audit_testkit::client_config;

/// Limit for the delivery of a record.
pub const DELIVERY_LIMIT: Duration = Duration::from_secs(300);

/// Callback for each record that the brokers have: its number, partition and offset.
pub type Delivered = Box<dyn Fn(usize, i32, i64) + Send + Sync>;

/// A producer that retries until everything is delivered.
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

    /// Enqueues a record, and waits for room in the queue.
    pub fn send(&self, mut record: BaseRecord<'_, [u8], [u8], usize>) -> anyhow::Result<()> {
        let since = Instant::now();
        while let Err((error, refused)) = self.producer.send(record) {
            use RDKafkaErrorCode::{QueueFull, UnknownPartition, UnknownTopic};
            // The queue is full, or the client does not know yet that partitions were added or that
            // a topic was recreated.
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

    /// Number of records that the brokers have not acknowledged yet.
    pub fn undelivered(&self) -> anyhow::Result<usize> {
        let reports = self.producer.context();
        ensure!(!reports.failed.load(Ordering::Acquire), "a record of the load was not delivered");
        let count = reports.count.load(Ordering::Acquire);
        Ok(self.sent.load(Ordering::Relaxed) - count)
    }
}
