//! The transactional producer, with every call bounded and every error sorted. One transaction at a
//! time; what goes into it is the session's business.

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Message, ToBytes};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::client_context::{log_error, log_line};
use super::error::{Step, is_retriable, sort};
use crate::stream::Failure;

/// Longest wait for the coordinator to end a predecessor's transaction and give us an epoch.
const INIT_LIMIT: Duration = Duration::from_secs(30);
/// Longest time for each later step; longer than the broker lets a transaction live by default.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// How often the outcome of deliveries is looked at.
const DRAIN_INTERVAL: Duration = Duration::from_millis(1);

/// A producer that has been through `init_transactions`.
pub struct TransactionalProducer {
    producer: ThreadedProducer<DeliveryContext>,
    failed_delivery: FailedDelivery,
    /// Whether a transaction was begun and not ended.
    in_transaction: Cell<bool>,
    /// What ends a transaction is sent again no sooner than this after it was sent.
    resent_after: Duration,
    /// Whether the end of a transaction may have been sent twice.
    was_resent: Cell<bool>,
}

/// The first delivery that failed in the current transaction. Its text says more than the error that
/// the commit then reports.
#[derive(Debug, Clone, Default)]
struct FailedDelivery(Arc<Mutex<Option<String>>>);

impl FailedDelivery {
    fn set(&self, what: String) {
        if let Ok(mut slot) = self.0.lock() {
            slot.get_or_insert(what);
        }
    }

    fn take(&self) -> Option<String> {
        self.0.lock().ok()?.take()
    }
}

struct DeliveryContext {
    failed: FailedDelivery,
}

impl ClientContext for DeliveryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
    }
}

impl ProducerContext for DeliveryContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, message)) = result else {
            return;
        };
        // Purged by an abort: expected.
        use RDKafkaErrorCode::{PurgeInflight, PurgeQueue};
        if !matches!(error.rdkafka_error_code(), Some(PurgeQueue | PurgeInflight)) {
            self.failed.set(format!(
                "a record for {} partition {} was not accepted: {error}",
                message.topic(),
                message.partition()
            ));
        }
    }
}

/// The client waits before it sends a request again: as long as it is told, a fifth more or less, and no longer than a limit.
fn resent_after(config: &ClientConfig) -> Duration {
    let millis = |name| config.get(name).and_then(|value| value.parse().ok());
    let wait: u64 = millis("retry.backoff.ms").unwrap_or(100);
    let longest = millis("retry.backoff.max.ms").unwrap_or(1_000);
    Duration::from_millis((wait * 4 / 5).min(longest))
}

impl TransactionalProducer {
    /// Connects, fences every other producer with the same transactional id, and ends what it left open.
    ///
    /// # Errors
    /// [`Failure::Broken`]; may be tried again.
    pub fn open(config: &ClientConfig) -> Result<Self, Failure> {
        let failed_delivery = FailedDelivery::default();
        let context = DeliveryContext {
            failed: failed_delivery.clone(),
        };
        let producer: ThreadedProducer<DeliveryContext> = config
            .create_with_context(context)
            .map_err(|error| sort(Step::Init, &error))?;
        let opened = TransactionalProducer {
            producer,
            failed_delivery,
            in_transaction: Cell::new(false),
            resent_after: resent_after(config),
            was_resent: Cell::new(false),
        };
        opened.step(Step::Init, INIT_LIMIT, |producer, limit| {
            producer.init_transactions(limit)
        })?;
        Ok(opened)
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn begin(&self) -> Result<(), Failure> {
        self.failed_delivery.take();
        self.producer
            .begin_transaction()
            .map_err(|error| sort(Step::Begin, &error))?;
        self.in_transaction.set(true);
        Ok(())
    }

    /// Puts a record into the transaction. Waits while the producer's queue is full.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn send<K, P>(&self, mut record: BaseRecord<'_, K, P, ()>) -> Result<(), Failure>
    where
        K: ToBytes + ?Sized,
        P: ToBytes + ?Sized,
    {
        let deadline = Instant::now() + STEP_LIMIT;
        loop {
            let Err((error, refused)) = self.producer.send(record) else {
                return Ok(());
            };
            let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            if !full || Instant::now() >= deadline {
                return Err(sort(Step::Produce, &error));
            }
            self.producer.poll(DRAIN_INTERVAL);
            record = refused;
        }
    }

    /// Waits until everything sent has been delivered or has failed. Faster than the client's own
    /// flush, which looks only every 100 ms.
    ///
    /// # Errors
    /// [`Failure::Aborted`] if a record was not accepted, or not in time.
    pub fn drain(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + STEP_LIMIT;
        while self.producer.in_flight_count() > 0 {
            if Instant::now() >= deadline {
                return Err(Failure::Aborted(format!(
                    "{} records were not delivered in {STEP_LIMIT:?}",
                    self.producer.in_flight_count()
                )));
            }
            self.producer.poll(DRAIN_INTERVAL);
        }
        self.failed_delivery
            .take()
            .map_or(Ok(()), |what| Err(self.delivery_failure(what)))
    }

    /// A fatal error shows first as failed deliveries; then an abort would be in vain.
    fn delivery_failure(&self, what: String) -> Failure {
        match self.producer.client().fatal_error() {
            Some((code, text)) => {
                let cause = KafkaError::MessageProduction(code);
                match sort(Step::Produce, &cause) {
                    Failure::Fenced(_) => Failure::Fenced(format!("{what}; {text}")),
                    _ => Failure::Broken(format!("{what}; {text}")),
                }
            }
            None => Failure::Aborted(what),
        }
    }

    /// Adds the consumer's positions to the transaction.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        membership: &ConsumerGroupMetadata,
    ) -> Result<(), Failure> {
        self.step(Step::SendOffsets, STEP_LIMIT, |producer, limit| {
            producer.send_offsets_to_transaction(offsets, membership, limit)
        })
    }

    /// Commits.
    ///
    /// # Errors
    /// See [`Failure`]; a result that is not known is [`Failure::Broken`], so that the epoch moves on.
    pub fn commit(&self) -> Result<(), Failure> {
        self.end(Step::Commit, |producer, limit| {
            producer.commit_transaction(limit)
        })
    }

    /// Aborts the transaction that is open. Without one nothing is done: the client's own abort would be an
    /// error, and cost a healthy producer.
    ///
    /// # Errors
    /// Then only a new producer can go on.
    pub fn abort(&self) -> Result<(), Failure> {
        if !self.in_transaction.get() {
            return Ok(());
        }
        self.end(Step::Abort, |producer, limit| {
            producer.abort_transaction(limit)
        })
        .map_err(|failure| match failure {
            Failure::Aborted(what) => Failure::Broken(what),
            other => other,
        })
    }

    /// Ends the transaction that is open.
    fn end(
        &self,
        step: Step,
        call: impl Fn(&ThreadedProducer<DeliveryContext>, Duration) -> KafkaResult<()>,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        self.step(step, STEP_LIMIT, call)?;
        self.in_transaction.set(false);
        self.was_resent.set(began.elapsed() >= self.resent_after);
        Ok(())
    }

    /// Whether this producer must not begin another transaction. When a connection breaks, the client sends the request that ends
    /// a transaction again and says nothing of it; should the first one reach the broker later, it would end the next transaction
    /// somewhere in its midst. Only a new producer, with another epoch, is safe from it.
    pub fn is_used_up(&self) -> bool {
        self.was_resent.get()
    }

    /// Makes a call, again while its error says that the same call may be made again.
    fn step(
        &self,
        step: Step,
        limit: Duration,
        call: impl Fn(&ThreadedProducer<DeliveryContext>, Duration) -> KafkaResult<()>,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match call(&self.producer, left) {
                Ok(()) => return Ok(()),
                Err(error) if is_retriable(&error) && Instant::now() < deadline => {
                    tracing::debug!(?step, %error, "again");
                    std::thread::sleep(DRAIN_INTERVAL.min(left));
                }
                Err(error) => return Err(sort(step, &error)),
            }
        }
    }
}
