//! Looks up the end offsets of a table's topic on request, on a connection of its own: on the
//! follower's connection the broker would delay the request behind the fetch that waits for the
//! next record. It reads no records.
//!
//! An end offset covers all records, including those of open transactions. The follower gets past
//! them when the transaction ends. With the last stable offset instead, a grant whose transaction
//! is committed, but not yet marked as such on the partition, would be missed, and a hanging
//! transaction would hide everything after it.
//!
//! Each look-up also checks, at the same time, whether the topic is still the one that is being
//! read, and how many partitions it has.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use tracing::{error, warn};

use super::topic_watch::{Change, TopicWatch};
use crate::kafka::client::context::{PlainContext, prime_oauth};
use crate::kafka::client::lookup::{Bound, TopicLookup};
use crate::kafka::native::{IdentityRequest, TopicIdentity, Undescribed, broker_to_query};
use crate::tables::{EndOffsetsRequest, TableName, TableOffsets, TableStore};

/// Longest wait for end offsets.
const LOOKUP_WAIT_MAX: Duration = Duration::from_secs(5);
/// Longest wait for the description of the topic. Any broker can give it, so another one is asked
/// after that.
const DESCRIBE_WAIT_MAX: Duration = Duration::from_secs(2);
/// Pause after a failed look-up.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest delay until the end of the process is noticed.
const WAIT: Duration = Duration::from_secs(1);

/// Serves the look-up requests for one table.
pub(in crate::kafka) struct EndOffsetLookup {
    table: TableName,
    lookup: TopicLookup<PlainContext>,
    tables: Arc<TableStore>,
    /// Longest time between two look-ups.
    heartbeat: Duration,
    watch: TopicWatch,
    /// The broker that is asked to describe the topic, and how many were chosen before.
    broker: Option<i32>,
    turn: usize,
}

/// Why a look-up failed.
enum LookUpError {
    /// The topic may no longer be the one that is being read.
    Change(Change),
    /// Anything else.
    Failed(String),
}

impl EndOffsetLookup {
    pub(super) fn new(
        table: TableName,
        topic: &str,
        consumer: BaseConsumer<PlainContext>,
        tables: &Arc<TableStore>,
        heartbeat: Duration,
    ) -> Self {
        EndOffsetLookup {
            table,
            lookup: TopicLookup::new(consumer, topic),
            tables: Arc::clone(tables),
            heartbeat,
            watch: TopicWatch::default(),
            broker: None,
            turn: 0,
        }
    }

    /// Runs until the tables are closed.
    pub(super) fn run(mut self) {
        prime_oauth(self.lookup.consumer());
        while !self.tables.is_closed() {
            let look_up = self.tables.await_request(self.table, self.heartbeat, WAIT);
            if let Some(look_up) = look_up {
                self.serve(look_up);
            }
            // Runs even without a request: tokens are requested in a poll, and errors wait to be
            // logged.
            self.lookup.serve();
        }
    }

    fn serve(&mut self, look_up: EndOffsetsRequest) {
        match self.look_up() {
            Ok(ends) => return self.tables.answer(self.table, look_up, Ok(ends)),
            Err(LookUpError::Failed(cause)) => self.tables.answer(self.table, look_up, Err(cause)),
            Err(LookUpError::Change(change)) => self.on_change(look_up, change),
        }
        self.lookup.consumer().poll(PAUSE);
    }

    /// Marks the table as doubtful at the first sign that its topic changed. If the signs last, has
    /// it read from the beginning.
    fn on_change(&mut self, look_up: EndOffsetsRequest, change: Change) {
        let (table, topic) = (self.table.name(), self.lookup.topic());
        let cause = format!("its topic {topic:?} {change}");
        if self.watch.is_first_sign() {
            warn!(
                table,
                topic,
                "the topic {change}; the table is not used until another look-up confirms or refutes it"
            );
        }
        if self.watch.is_certain(change, Instant::now()) {
            error!(
                table,
                topic,
                "the topic {change}; discarding the table and reading the topic from its beginning"
            );
            self.tables.restart(self.table, cause);
        } else {
            self.tables.doubt(self.table, look_up, cause);
        }
    }

    fn look_up(&mut self) -> Result<TableOffsets, LookUpError> {
        let broker = self.choose_broker()?;
        let client = self.lookup.consumer().client();
        let request = IdentityRequest::send(client, broker, self.lookup.topic(), DESCRIBE_WAIT_MAX);
        let request = request.map_err(|why| self.failed(&why))?;
        // Read the positions before the end offsets. The follower may meanwhile read records that
        // the end offsets do not include yet.
        let positions = self.tables.positions(self.table);
        let known_partitions = self.watch.partitions();
        // Runs while the description is under way. It only asks for partitions that are known to
        // exist: the client would wait for others.
        let ends = self.ends(0..known_partitions);
        let description = request.answer();
        let identity = self.identify(description)?;
        let mut ends = ends?;
        ends.extend(self.ends(known_partitions..identity.partitions)?);
        if let Some(change) = self.watch.regressed(&ends, &positions) {
            return Err(LookUpError::Change(change));
        }
        self.watch.accept(identity, &ends);
        Ok(ends)
    }

    /// Checks by its description whether the topic is still the same.
    fn identify(
        &mut self,
        description: Result<TopicIdentity, Undescribed>,
    ) -> Result<TopicIdentity, LookUpError> {
        let change = match description {
            Ok(identity) => match self.watch.compare(identity) {
                None => return Ok(identity),
                Some(change) => change,
            },
            Err(Undescribed::Missing) => self.watch.missing().ok_or_else(|| {
                LookUpError::Failed(format!("topic {:?} does not exist", self.lookup.topic()))
            })?,
            Err(Undescribed::Failed(why)) => {
                self.broker = None;
                return Err(self.failed(&why));
            }
        };
        Err(LookUpError::Change(change))
    }

    /// Returns a broker that has just answered, if its id is known, or else each broker of the
    /// cluster in turn.
    fn choose_broker(&mut self) -> Result<i32, LookUpError> {
        if let Some(broker) = self.broker {
            return Ok(broker);
        }
        let client = self.lookup.consumer().client();
        let broker = broker_to_query(client, self.lookup.topic(), self.turn, LOOKUP_WAIT_MAX);
        self.turn += 1;
        self.broker = broker.as_ref().ok().copied();
        broker.map_err(|why| self.failed(&why))
    }

    fn ends(&self, partitions: Range<i32>) -> Result<TableOffsets, LookUpError> {
        let failed = |error: KafkaError| self.failed(&error);
        let ends = self.lookup.bounds(Bound::End, partitions, LOOKUP_WAIT_MAX).map_err(failed)?;
        let ends = ends.into_iter().map(|(partition, end)| Ok((partition, end?)));
        ends.collect::<KafkaResult<_>>().map_err(failed)
    }

    fn failed(&self, why: &dyn std::fmt::Display) -> LookUpError {
        LookUpError::Failed(format!(
            "cannot look up the end offsets of {:?}: {why}",
            self.lookup.topic()
        ))
    }
}
