//! The transactional producer, with every call bounded and every error sorted. One transaction at a
//! time; what goes into it is the session's business.

mod delivery;
pub(in crate::kafka) mod output_record;

use std::cell::Cell;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{Producer, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionList;

pub(in crate::kafka) use super::native::OutgoingRecord;
use super::native::{Refused, TopicProducer};
use crate::kafka::client::context::LoggingContext;
use crate::kafka::client::error::{Step, is_retriable, refused, sort};
use crate::kafka::producer::delivery::{FailedDelivery, Undelivered, remedy};
use crate::stream::Failure;

/// Longest wait for the coordinator to end a predecessor's transaction and give us an epoch.
const INIT_WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest wait for a first connection before that.
const FIRST_CONNECTION: Duration = Duration::from_millis(500);
/// Longest time for each later step; longer than the broker lets a transaction live by default.
const STEP_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long the client waits before it sends an EndTxn again, unless configured.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);
/// The most that it waits, unless configured.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// How long it waits before it sends offsets again, whatever is configured.
const OFFSETS_BACKOFF: Duration = Duration::from_millis(500);
/// How often a flush is interrupted to see whether a delivery has failed.
const FLUSH_INTERVAL: Duration = Duration::from_millis(100);
/// How often the outcome of deliveries is looked at.
const DRAIN_INTERVAL: Duration = Duration::from_millis(1);

/// A producer that has been through `init_transactions`.
pub struct TransactionalProducer {
    producer: TopicProducer<LoggingContext<FailedDelivery>>,
    failed_delivery: FailedDelivery,
    /// Whether a transaction was begun and not ended.
    in_transaction: Cell<bool>,
    /// A commit or abort that took no longer than this has sent its request once.
    ends_again_after: Duration,
    is_spent: Cell<bool>,
}

impl TransactionalProducer {
    /// Connects, fences every other producer with the same transactional id, and ends what it left
    /// open. It writes to these topics, each known by its index.
    ///
    /// # Errors
    /// [`Failure::Broken`]; may be tried again.
    pub fn open<'t>(
        config: &ClientConfig,
        topics: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self, Failure> {
        let failed_delivery = FailedDelivery::default();
        let context = LoggingContext(failed_delivery.clone());
        let producer: ThreadedProducer<LoggingContext<FailedDelivery>> =
            config.create_with_context(context).map_err(|error| sort(Step::Init, &error))?;
        let no_name = |name| Failure::Fatal(format!("{name:?} is no name of a topic"));
        let opened = TransactionalProducer {
            producer: TopicProducer::new(producer, topics).map_err(no_name)?,
            failed_delivery,
            in_transaction: Cell::new(false),
            ends_again_after: shortest_backoff(
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

    /// Waits a moment for a first connection. The client looks for its coordinator as soon as it is
    /// told to; without one it looks again only half a second later.
    fn await_broker(&self) {
        if let Some(topic) = self.producer.topic_name(0) {
            let client = self.producer.client();
            // Whatever comes of it, the next step says it better.
            _ = client.fetch_metadata(Some(topic), FIRST_CONNECTION);
        }
    }

    /// Whether this producer should begin no other transaction. Its client may have sent a request
    /// twice by itself, as it does when a connection breaks: it takes its time then, which is
    /// all that can be seen of it. The first copy may arrive in any later transaction of this
    /// epoch and be taken for a part of it: a commit would tear it, older offsets
    /// would be committed. Or records failed, for which the client fails the next transaction as
    /// well.
    pub fn is_spent(&self) -> bool {
        self.is_spent.get()
    }

    /// Whether a record was for a partition that its topic does not have, since this was asked
    /// last.
    pub fn lacked_a_partition(&self) -> bool {
        self.failed_delivery.take_lacked_a_partition()
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// See [`Failure`].
    pub fn begin(&self) -> Result<(), Failure> {
        self.failed_delivery.clear();
        self.producer.begin_transaction().map_err(|error| sort(Step::Begin, &error))?;
        self.in_transaction.set(true);
        Ok(())
    }

    /// Puts a record into the transaction. Waits while the producer's queue is full.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(in crate::kafka) fn send(&self, record: OutgoingRecord<'_>) -> Result<(), Failure> {
        let topic = self
            .producer
            .topic_name(record.topic)
            .ok_or_else(|| Failure::Fatal(format!("there is no output topic {}", record.topic)))?;
        // Made when it is needed: for most records nobody looks at the clock.
        let mut deadline = None;
        let mut record = record;
        loop {
            let Err(refused) = self.producer.send(record) else {
                return Ok(());
            };
            let is_full = refused.known() == Some(RDKafkaErrorCode::QueueFull);
            let now = Instant::now();
            if !is_full || now >= *deadline.get_or_insert(now + STEP_WAIT_MAX) {
                self.failed_delivery.note(refused.known());
                return Err(self.explained(refused_at_once(topic, &refused)));
            }
            self.producer.poll(DRAIN_INTERVAL);
            record = refused.record;
        }
    }

    /// Sends what lingers, and waits until everything has been delivered or something has failed.
    /// The safe client's own flush looks only every 100 ms. The client sends nothing more of a
    /// transaction that must be aborted: the rest would be waited for until it is too old, and
    /// by then the broker has given the transaction up.
    ///
    /// # Errors
    /// [`Failure::Aborted`] if a record was not accepted, or not in time.
    pub fn drain(&self) -> Result<(), Failure> {
        let drained = self.await_deliveries();
        if drained.is_err() {
            // The client has given numbers to records that never arrived, and fails the next
            // transaction for that: one that may hold nothing but good records.
            self.is_spent.set(true);
        }
        drained
    }

    fn await_deliveries(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + STEP_WAIT_MAX;
        // What failed is still to be told to us when nothing is left to be sent.
        while self.producer.flush(FLUSH_INTERVAL).is_err() || self.producer.in_flight_count() > 0 {
            if self.failed_delivery.is_there() {
                break;
            }
            if Instant::now() >= deadline {
                return Err(Failure::Aborted(format!(
                    "{} records were not delivered in {STEP_WAIT_MAX:?}",
                    self.producer.in_flight_count()
                )));
            }
            self.producer.poll(DRAIN_INTERVAL);
        }
        self.failed_delivery
            .take()
            .map_or(Ok(()), |undelivered| Err(self.delivery_failure(undelivered)))
    }

    /// A fatal error shows first as failed deliveries; then an abort would be in vain.
    fn delivery_failure(&self, undelivered: Undelivered) -> Failure {
        let Undelivered { what, is_too_large } = undelivered;
        match self.producer.client().fatal_error() {
            Some((code, text)) => {
                let cause = KafkaError::MessageProduction(code);
                match sort(Step::Produce, &cause) {
                    Failure::Fenced(_) => Failure::Fenced(format!("{what}; {text}")),
                    _ => Failure::Broken(format!("{what}; {text}")),
                }
            }
            None => refused(is_too_large, what),
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
        self.step(Step::SendOffsets, STEP_WAIT_MAX, |producer, limit| {
            producer.send_offsets_to_transaction(offsets, membership, limit)
        })
    }

    /// Commits.
    ///
    /// # Errors
    /// See [`Failure`]; a result that is not known is [`Failure::Broken`], so that the epoch moves
    /// on.
    pub fn commit(&self) -> Result<(), Failure> {
        self.end(Step::Commit, |producer, limit| producer.commit_transaction(limit))
    }

    /// Aborts the transaction that is open. Without one nothing is done: the client's own abort
    /// would be an error, and cost a healthy producer.
    ///
    /// # Errors
    /// Then only a new producer can go on.
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

    /// Ends the transaction that is open.
    fn end(
        &self,
        step: Step,
        call: impl Fn(&ThreadedProducer<LoggingContext<FailedDelivery>>, Duration) -> KafkaResult<()>,
    ) -> Result<(), Failure> {
        self.step(step, STEP_WAIT_MAX, call)?;
        self.in_transaction.set(false);
        Ok(())
    }

    /// Makes a call, again while its error says that the same call may be made again.
    fn step(
        &self,
        step: Step,
        limit: Duration,
        call: impl Fn(&ThreadedProducer<LoggingContext<FailedDelivery>>, Duration) -> KafkaResult<()>,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + limit;
        loop {
            let began = Instant::now();
            let left = deadline.saturating_duration_since(began);
            match call(&self.producer, left) {
                Ok(()) => {
                    self.note_duration(step, began.elapsed());
                    return Ok(());
                }
                Err(error) if is_retriable(&error) && Instant::now() < deadline => {
                    tracing::debug!(?step, %error, "again");
                    self.is_spent.set(self.is_spent.get() || step != Step::Init);
                    std::thread::sleep(DRAIN_INTERVAL.min(left));
                }
                Err(error) => {
                    // Sending again is likeliest where nothing worked. A new producer is cheap
                    // beside a commit that arrives in another transaction.
                    let may_be_late =
                        matches!(step, Step::SendOffsets | Step::Commit | Step::Abort);
                    self.is_spent.set(self.is_spent.get() || may_be_late);
                    return Err(self.explained(sort(step, &error)));
                }
            }
        }
    }

    /// What a transaction failed of, the client writes to its log; the calls that fail after that
    /// say little.
    fn explained(&self, failure: Failure) -> Failure {
        self.producer.poll(DRAIN_INTERVAL);
        match self.failed_delivery.explanation() {
            Some(cause) => failure.with(&format!("; {cause}")),
            None => failure,
        }
    }

    /// The client does not say that it sent a request again, but waits before it does.
    fn note_duration(&self, step: Step, took: Duration) {
        let sends_again_after = match step {
            Step::SendOffsets => OFFSETS_BACKOFF,
            Step::Commit | Step::Abort => self.ends_again_after,
            Step::Init | Step::Begin | Step::Produce => return,
        };
        if took >= sends_again_after {
            tracing::debug!(?step, ?took, "a request may have been sent twice");
            self.is_spent.set(true);
        }
    }
}

/// The client knows already that it will not be able to send the record.
fn refused_at_once(topic: &str, refused: &Refused<'_>) -> Failure {
    let code = refused.known().unwrap_or(RDKafkaErrorCode::Unknown);
    let remedy = remedy(code == RDKafkaErrorCode::TopicAuthorizationFailed);
    let failure = sort(Step::Produce, &KafkaError::MessageProduction(code));
    failure.with(&format!(", for topic {topic} (error {}){remedy}", refused.code))
}

/// The client varies its pause before it sends a request again by a fifth, and caps it.
fn shortest_backoff(backoff_ms: Option<&str>, longest_ms: Option<&str>) -> Duration {
    let or = |text: Option<&str>, default| {
        let configured = text.and_then(|text| text.parse().ok());
        configured.map_or(default, Duration::from_millis)
    };
    let backoff = or(backoff_ms, RETRY_BACKOFF);
    (backoff * 4 / 5).min(or(longest_ms, BACKOFF_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_sent_again_no_sooner_than_the_backoff_says() {
        let ms = Duration::from_millis;
        assert_eq!(shortest_backoff(None, None), ms(80));
        assert_eq!(shortest_backoff(Some("500"), None), ms(400));
        assert_eq!(shortest_backoff(Some("soon"), None), ms(80));
        assert_eq!(shortest_backoff(Some("500"), Some("50")), ms(50), "capped");
        assert_eq!(shortest_backoff(Some("2000"), None), ms(1_000));
    }
}
