//! Readers of committed records: one for each output topic, from its beginning on, while faults are
//! injected. They bypass the proxies, and pass what they see to the ledger.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use crate::ledger::{self, Ledger, Offsets, OutputTopic, SeenRecord};
use audit_testkit::client_config;

const POLL: Duration = Duration::from_millis(100);

/// All readers of a run.
pub struct Readers {
    bootstrap: String,
    ledger: Arc<Ledger>,
    /// Whether records have one more header, for a verifier.
    is_sealed: bool,
    running: BTreeMap<OutputTopic, Reader>,
}

struct Reader {
    stop: Arc<AtomicBool>,
    positions: Arc<Mutex<Offsets>>,
    thread: JoinHandle<()>,
}

impl Readers {
    pub fn new(bootstrap: &str, ledger: &Arc<Ledger>, is_sealed: bool) -> Readers {
        Readers {
            bootstrap: bootstrap.to_string(),
            ledger: Arc::clone(ledger),
            is_sealed,
            running: BTreeMap::new(),
        }
    }

    /// Starts to read a topic from its beginning.
    pub fn start(
        &mut self,
        output: OutputTopic,
        topic: &str,
        partitions: i32,
    ) -> anyhow::Result<()> {
        let mut config = client_config(&self.bootstrap);
        config
            .set("group.id", "campaign-reader")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "200")
            .set("check.crcs", "true");
        let consumer: BaseConsumer = config.create().context("create a reader")?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        let (stop, positions) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let reading = Reading {
            consumer,
            output,
            topic: topic.to_string(),
            ledger: Arc::clone(&self.ledger),
            is_sealed: self.is_sealed,
            stop: Arc::clone(&stop),
            positions: Arc::clone(&positions),
        };
        let thread = std::thread::Builder::new().name(format!("reader-{topic}"));
        let thread = thread.spawn(move || reading.run())?;
        let reader = Reader { stop, positions, thread };
        self.running.insert(output, reader);
        Ok(())
    }

    /// Stops reading a topic; the ledger has everything that was read when this returns.
    pub fn stop(&mut self, output: OutputTopic) -> anyhow::Result<()> {
        let Some(reader) = self.running.remove(&output) else {
            return Ok(());
        };
        reader.stop.store(true, Ordering::Release);
        match reader.thread.join() {
            Ok(()) => Ok(()),
            Err(_) => bail!("the reader of {output:?} panicked"),
        }
    }

    /// Waits until a topic has been read up to these ends.
    pub fn await_ends(
        &self,
        output: OutputTopic,
        ends: &Offsets,
        limit: Duration,
    ) -> anyhow::Result<()> {
        let since = Instant::now();
        let reader =
            self.running.get(&output).with_context(|| format!("{output:?} has no reader"))?;
        loop {
            let positions = reader.positions.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut ends_met = ends.iter();
            if ends_met.all(|(p, end)| positions.get(p).copied().unwrap_or(0) >= *end) {
                return Ok(());
            }
            if since.elapsed() > limit {
                bail!("{output:?} was read up to {positions:?}, not {ends:?}, in {limit:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

struct Reading {
    consumer: BaseConsumer,
    output: OutputTopic,
    topic: String,
    ledger: Arc<Ledger>,
    is_sealed: bool,
    stop: Arc<AtomicBool>,
    positions: Arc<Mutex<Offsets>>,
}

impl Reading {
    fn run(self) {
        while !self.stop.load(Ordering::Acquire) {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => self.record(&message),
                // The client itself waits for a broker that is down, and continues.
                Some(Err(_)) => {}
                None => self.note_positions(),
            }
        }
    }

    /// Updates the positions. They include transaction markers, which are not delivered as records.
    fn note_positions(&self) {
        let Ok(list) = self.consumer.position() else {
            return;
        };
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        for element in list.elements() {
            if let Offset::Offset(next) = element.offset() {
                positions.insert(element.partition(), next);
            }
        }
    }

    fn record(&self, message: &BorrowedMessage<'_>) {
        self.ledger.observe(&SeenRecord {
            output: self.output,
            topic: &self.topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().unwrap_or_default(),
            value: message.payload().unwrap_or_default(),
            headers: headers(message, self.is_sealed),
        });
    }
}

/// Returns the headers of a record. The last one of a sealed record is for a verifier to judge.
fn headers(message: &BorrowedMessage<'_>, is_sealed: bool) -> ledger::Headers {
    let headers = message.headers().into_iter();
    let own = |header: Header<'_, &[u8]>| {
        let value = header.value.unwrap_or_default();
        (header.key.to_string(), value.to_vec())
    };
    let mut headers: ledger::Headers = headers.flat_map(Headers::iter).map(own).collect();
    if is_sealed {
        headers.pop_if(|(name, _)| name == "audit-chain");
    }
    headers
}
