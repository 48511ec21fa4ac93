//! Readers of committed records: one for each output topic, from its beginning on, while the faults
//! happen. They come past the proxies. What they see goes to the ledger.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use crate::ledger::{self, Ledger, Offsets, Place, Sighting};
use audit_testkit::client_config;

const POLL: Duration = Duration::from_millis(100);

/// All readers of a run.
pub struct Readers {
    bootstrap: String,
    ledger: Arc<Ledger>,
    running: BTreeMap<Place, Reader>,
}

struct Reader {
    stop: Arc<AtomicBool>,
    positions: Arc<Mutex<Offsets>>,
    thread: JoinHandle<()>,
}

impl Readers {
    pub fn new(bootstrap: &str, ledger: &Arc<Ledger>) -> Readers {
        Readers {
            bootstrap: bootstrap.to_string(),
            ledger: Arc::clone(ledger),
            running: BTreeMap::new(),
        }
    }

    /// Reads a topic from its beginning.
    pub fn start(&mut self, place: Place, topic: &str, partitions: i32) -> anyhow::Result<()> {
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
            place,
            topic: topic.to_string(),
            ledger: Arc::clone(&self.ledger),
            stop: Arc::clone(&stop),
            positions: Arc::clone(&positions),
        };
        let thread = std::thread::Builder::new().name(format!("reader-{topic}"));
        let thread = thread.spawn(move || reading.run())?;
        let reader = Reader { stop, positions, thread };
        self.running.insert(place, reader);
        Ok(())
    }

    /// Stops reading a topic; what was read is with the ledger then.
    pub fn stop(&mut self, place: Place) -> anyhow::Result<()> {
        let Some(reader) = self.running.remove(&place) else {
            return Ok(());
        };
        reader.stop.store(true, Ordering::Release);
        match reader.thread.join() {
            Ok(()) => Ok(()),
            Err(_) => bail!("the reader of {place:?} panicked"),
        }
    }

    /// Waits until a topic has been read up to these ends.
    pub fn await_ends(&self, place: Place, ends: &Offsets, limit: Duration) -> anyhow::Result<()> {
        let since = Instant::now();
        let reader = self.running.get(&place).with_context(|| format!("nobody reads {place:?}"))?;
        loop {
            let positions = reader.positions.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut ends_met = ends.iter();
            if ends_met.all(|(p, end)| positions.get(p).copied().unwrap_or(0) >= *end) {
                return Ok(());
            }
            if since.elapsed() > limit {
                bail!("{place:?} was read up to {positions:?}, not {ends:?}, in {limit:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

struct Reading {
    consumer: BaseConsumer,
    place: Place,
    topic: String,
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    positions: Arc<Mutex<Offsets>>,
}

impl Reading {
    fn run(self) {
        while !self.stop.load(Ordering::Acquire) {
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => self.take(&message),
                // A broker that is away is waited for; the client goes on by itself.
                Some(Err(_)) => {}
                None => self.note_positions(),
            }
        }
    }

    /// Positions count the markers of transactions as well, which nobody is handed.
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

    fn take(&self, message: &BorrowedMessage<'_>) {
        self.ledger.saw(&Sighting {
            place: self.place,
            topic: &self.topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().unwrap_or_default(),
            value: message.payload().unwrap_or_default(),
            headers: headers(message),
        });
    }
}

fn headers(message: &BorrowedMessage<'_>) -> ledger::Headers {
    let headers = message.headers().into_iter();
    let own = |header: Header<'_, &[u8]>| {
        let value = header.value.unwrap_or_default();
        (header.key.to_string(), value.to_vec())
    };
    headers.flat_map(Headers::iter).map(own).collect()
}
