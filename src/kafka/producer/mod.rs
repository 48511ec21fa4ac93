//! The transactional producer. Every call has a time limit, and every error is classified. It runs
//! one transaction at a time; the session decides what goes into it.

mod delivery;
mod offset_list;
pub(in crate::kafka) mod output_record;

use std::cell::Cell;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;

pub(in crate::kafka) use self::offset_list::offset_list;
pub(in crate::kafka) use super::native::OutgoingRecord;
use super::native::{Refused, ServedProducer, TopicProducer};
use crate::kafka::client::context::LoggingContext;
use crate::kafka::client::error::{Step, classify, delivery_failure, is_retriable};
use crate::kafka::producer::delivery::{FailedDelivery, Undelivered, remedy};
use crate::stream::Failure;

/// Longest wait for the coordinator to end a predecessor's transaction and assign an epoch.
const INIT_WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest wait for a first connection before init_transactions.
const FIRST_CONNECTION: Duration = Duration::from_millis(500);
/// Longest time for each later step. It exceeds the time that the broker lets a transaction live by
/// default.
const STEP_WAIT_MAX: Duration = Duration::from_secs(20);
/// The client's pause before it sends an EndTxn again, unless configured.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);
/// The longest such pause, unless configured.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// The client's pause before it sends offsets again, which cannot be configured.
const OFFSETS_BACKOFF: Duration = Duration::from_millis(500);
/// How often a flush is interrupted to check for a failed delivery.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// How often the outcome of deliveries is checked.
const DRAIN_INTERVAL: Duration = Duration::from_millis(1);

/// A producer that has completed `init_transactions`.
pub struct TransactionalProducer {
    producer: TopicProducer<LoggingContext<FailedDelivery>>,
    failed_delivery: FailedDelivery,
    /// Whether a transaction is open.
    in_transaction: Cell<bool>,
    /// A commit or abort that took less than this sent its request only once.
    end_resend_after: Duration,
    is_spent: Cell<bool>,
}

impl TransactionalProducer {
    /// Connects, fences every other producer with the same transactional id, and ends its open
    /// transaction. It writes to these topics, each addressed by its index.
    ///
    /// # Errors
    /// Fails with [`Failure::Fatal`] if a topic name is not valid or the transactional id is not
    /// permitted, and with another failure, which may be retried, if the client or the coordinator
    /// fails.
    pub fn open<'t>(
        config: &ClientConfig,
        topics: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self, Failure> {
        let failed_delivery = FailedDelivery::default();
        let context = LoggingContext(failed_delivery.clone());
        let producer: BaseProducer<_> =
            config.create_with_context(context).map_err(|error| classify(Step::Init, &error))?;
        let producer = ServedProducer::new(producer).ok_or_else(|| {
            Failure::Broken("no memory or thread for the producer's events".to_string())
        })?;
        let invalid_name = |name| Failure::Fatal(format!("invalid topic name {name:?}"));
        let opened = TransactionalProducer {
            producer: TopicProducer::new(producer, topics).map_err(invalid_name)?,
            failed_delivery,
            in_transaction: Cell::new(false),
            end_resend_after: shortest_backoff(
                config.get("retry.backoff.ms"),
                config.get("retry.backoff.max.ms"),
            ),
            is_spent: Cell::new(false),
        };
        opened.await_broker();
        let initialized = opened
            .step(Step::Init, INIT_WAIT_MAX, |producer, limit| producer.init_transactions(limit));
        initialized.map_err(|failure| match failure {
            Failure::Fatal(what) => Failure::Fatal(format!(
                "{what}; grant the relay's principal Write on the transactional id {:?}",
                config.get("transactional.id").unwrap_or_default()
            )),
            other => other,
        })?;
        Ok(opened)
    }

    /// Waits briefly for a first connection. `init_transactions` looks up the coordinator at once;
    /// without a connection it retries only half a second later.
    fn await_broker(&self) {
        if let Some(topic) = self.producer.topic_name(0) {
            let client = self.producer.client();
            // An error is ignored here: the next step reports it better.
            _ = client.fetch_metadata(Some(topic), FIRST_CONNECTION);
        }
    }

    /// Returns whether this producer must not begin another transaction. There are two reasons. Its
    /// client may have sent a request twice by itself, as it does when a connection breaks; the
    /// only visible sign is that the call takes longer. The first copy may arrive in any later
    /// transaction of this epoch and be treated as part of it: a late commit would split that
    /// transaction, and late offsets would be committed with it. Or records failed, for which the
    /// client fails the next transaction as well.
    pub fn is_spent(&self) -> bool {
        self.is_spent.get()
    }

    /// Returns whether a record was sent to a partition that its topic does not have, since the
    /// last call.
    pub fn hit_unknown_partition(&self) -> bool {
        self.failed_delivery.take_unknown_partition()
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// Fails if the client cannot begin a transaction.
    pub fn begin(&self) -> Result<(), Failure> {
        self.failed_delivery.clear();
        self.producer.begin_transaction().map_err(|error| classify(Step::Begin, &error))?;
        self.in_transaction.set(true);
        Ok(())
    }

    /// Adds a record to the transaction. Waits while the producer's queue is full.
    ///
    /// # Errors
    /// Fails if the client does not accept the record, or its queue stays full for too long.
    pub(in crate::kafka) fn send(&self, record: OutgoingRecord<'_>) -> Result<(), Failure> {
        let topic = self.producer.topic_name(record.topic).ok_or_else(|| {
            Failure::Fatal(format!("no output topic has the index {}", record.topic))
        })?;
        // Set only when needed, so that most records need no clock.
        let mut deadline = None;
        let mut record = record;
        loop {
            let Err(refused) = self.producer.send(record) else {
                return Ok(());
            };
            let is_full = refused.known() == Some(RDKafkaErrorCode::QueueFull);
            let now = Instant::now();
            if !is_full || now >= *deadline.get_or_insert(now + STEP_WAIT_MAX) {
                self.failed_delivery.record_code(refused.known());
                return Err(self.with_explanation(rejected_record(topic, &refused)));
            }
            self.producer.poll(DRAIN_INTERVAL);
            record = refused.record;
        }
    }

    /// Sends lingering records, and waits until all are delivered or one has failed. The safe
    /// client's own flush checks only every 100 ms. After a failure the client sends nothing more
    /// of the transaction, which must be aborted. Waiting for the rest would last until the records
    /// are too old, and by then the broker has aborted the transaction.
    ///
    /// # Errors
    /// Fails with [`Failure::Aborted`] if records were not delivered in time, and with the matching
    /// failure if one was rejected or the client had a fatal error.
    pub fn drain(&self) -> Result<(), Failure> {
        let drained = self.await_deliveries();
        if drained.is_err() {
            // The client has assigned sequence numbers to records that never arrived, and fails the
            // next transaction for that, even one with only good records.
            self.is_spent.set(true);
        }
        drained
    }

    fn await_deliveries(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + STEP_WAIT_MAX;
        // Wait for outstanding reports as well: failures are still reported when nothing is left to
        // send.
        while self.producer.flush(FLUSH_INTERVAL).is_err() || self.producer.in_flight_count() > 0 {
            if self.failed_delivery.is_set() {
                break;
            }
            if Instant::now() >= deadline {
                return Err(Failure::Aborted(format!(
                    "{} records were not delivered within {STEP_WAIT_MAX:?}",
                    self.producer.in_flight_count()
                )));
            }
            self.producer.poll(DRAIN_INTERVAL);
        }
        self.failed_delivery
            .take()
            .map_or(Ok(()), |undelivered| Err(self.classify_delivery(undelivered)))
    }

    /// Returns the failure for an undelivered record. A fatal error shows first as failed
    /// deliveries, and then an abort cannot succeed.
    fn classify_delivery(&self, undelivered: Undelivered) -> Failure {
        let Undelivered { what, is_too_large } = undelivered;
        match self.producer.client().fatal_error() {
            Some((code, text)) => {
                let cause = KafkaError::MessageProduction(code);
                match classify(Step::Produce, &cause) {
                    Failure::Fenced(_) => Failure::Fenced(format!("{what}; {text}")),
                    _ => Failure::Broken(format!("{what}; {text}")),
                }
            }
            None => delivery_failure(is_too_large, what),
        }
    }

    /// Adds the consumer's positions to the transaction.
    ///
    /// # Errors
    /// Fails if the client or the coordinator rejects them, or does not answer in time.
    pub fn send_offsets(
        &self,
        offsets: &TopicPartitionList,
        membership: &ConsumerGroupMetadata,
    ) -> Result<(), Failure> {
        self.step(Step::SendOffsets, STEP_WAIT_MAX, |producer, limit| {
            producer.send_offsets_to_transaction(offsets, membership, limit)
        })
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// Fails if the commit is rejected, or its outcome is unknown. An unknown outcome is
    /// [`Failure::Broken`], so that the epoch moves on.
    pub fn commit(&self) -> Result<(), Failure> {
        self.end(Step::Commit, |producer, limit| producer.commit_transaction(limit))
    }

    /// Aborts the open transaction. Does nothing without one: the client's own abort would fail,
    /// and a healthy producer would be lost.
    ///
    /// # Errors
    /// Fails if the client cannot abort. Only a new producer can continue then.
    pub fn abort(&self) -> Result<(), Failure> {
        if !self.in_transaction.get() {
            return Ok(());
        }
        self.end(Step::Abort, |producer, limit| producer.abort_transaction(limit)).map_err(
            |failure| match failure {
                Failure::Aborted(what) => Failure::Broken(what),
                other => other,
            },
        )
    }

    /// Ends the open transaction.
    fn end(
        &self,
        step: Step,
        call: impl Fn(&BaseProducer<LoggingContext<FailedDelivery>>, Duration) -> KafkaResult<()>,
    ) -> Result<(), Failure> {
        self.step(step, STEP_WAIT_MAX, call)?;
        self.in_transaction.set(false);
        Ok(())
    }

    /// Makes a call, and repeats it while its error permits that.
    fn step(
        &self,
        step: Step,
        limit: Duration,
        call: impl Fn(&BaseProducer<LoggingContext<FailedDelivery>>, Duration) -> KafkaResult<()>,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + limit;
        loop {
            let started = Instant::now();
            let left = deadline.saturating_duration_since(started);
            match call(&self.producer, left) {
                Ok(()) => {
                    self.check_duration(step, started.elapsed());
                    return Ok(());
                }
                Err(error) if is_retriable(&error) && Instant::now() < deadline => {
                    tracing::debug!(?step, %error, "retrying the call");
                    self.is_spent.set(self.is_spent.get() || step != Step::Init);
                    std::thread::sleep(DRAIN_INTERVAL.min(left));
                }
                Err(error) => {
                    // Resending is most likely where nothing worked. A new producer costs little
                    // compared with a commit that takes effect in another transaction.
                    let may_be_late =
                        matches!(step, Step::SendOffsets | Step::Commit | Step::Abort);
                    self.is_spent.set(self.is_spent.get() || may_be_late);
                    return Err(self.with_explanation(classify(step, &error)));
                }
            }
        }
    }

    /// Adds the cause to a failure. The client reports it only in its log; the calls that fail
    /// after that say little.
    fn with_explanation(&self, failure: Failure) -> Failure {
        self.producer.poll(DRAIN_INTERVAL);
        match self.failed_delivery.explanation() {
            Some(cause) => failure.with(&format!("; {cause}")),
            None => failure,
        }
    }

    /// Marks the producer as spent if a call took long enough for a request to be sent twice. The
    /// client does not report that it resends, but pauses before it does.
    fn check_duration(&self, step: Step, took: Duration) {
        let resend_after = match step {
            Step::SendOffsets => OFFSETS_BACKOFF,
            Step::Commit | Step::Abort => self.end_resend_after,
            Step::Init | Step::Begin | Step::Produce => return,
        };
        if took >= resend_after {
            tracing::debug!(?step, ?took, "a request may have been sent twice");
            self.is_spent.set(true);
        }
    }
}

/// Returns the failure for a record that the client rejects immediately.
fn rejected_record(topic: &str, refused: &Refused<'_>) -> Failure {
    let code = refused.known().unwrap_or(RDKafkaErrorCode::Unknown);
    let remedy = remedy(code == RDKafkaErrorCode::TopicAuthorizationFailed);
    let failure = classify(Step::Produce, &KafkaError::MessageProduction(code));
    failure.with(&format!(", for topic {topic} (error {}){remedy}", refused.code))
}

/// Returns the shortest pause before the client resends a request: it varies the pause by a fifth,
/// and caps it.
fn shortest_backoff(backoff_ms: Option<&str>, longest_ms: Option<&str>) -> Duration {
    let ms_or = |text: Option<&str>, default| {
        let configured = text.and_then(|text| text.parse().ok());
        configured.map_or(default, Duration::from_millis)
    };
    let backoff = ms_or(backoff_ms, RETRY_BACKOFF);
    (backoff * 4 / 5).min(ms_or(longest_ms, BACKOFF_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_resent_no_sooner_than_the_shortest_backoff() {
        let ms = Duration::from_millis;
        assert_eq!(shortest_backoff(None, None), ms(80));
        assert_eq!(shortest_backoff(Some("500"), None), ms(400));
        assert_eq!(shortest_backoff(Some("soon"), None), ms(80));
        assert_eq!(shortest_backoff(Some("500"), Some("50")), ms(50), "capped");
        assert_eq!(shortest_backoff(Some("2000"), None), ms(1_000));
    }
}
