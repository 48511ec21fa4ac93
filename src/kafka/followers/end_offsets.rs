//! Looks up the ends of a table's topic whenever somebody asks, on a connection of its own: on that
//! of the follower the broker would let the question wait behind the fetch that waits for the next
//! record. It reads no records.
//!
//! An end is that of all records, those of open transactions too. The follower gets past them when
//! the transaction ends. Had we asked for the last stable offset, a grant whose transaction is
//! committed, but not yet marked so on the partition, would be missed, and one that hangs would
//! hide all that follows.
//!
//! Each look-up also asks, at the same time, whether the topic is still the one that is read and
//! how many partitions it has.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use tracing::{error, warn};

use super::topic_watch::{Change, TopicWatch};
use crate::kafka::client::context::{PlainContext, prime_oauth};
use crate::kafka::client::lookup::{Bound, TopicLookup};
use crate::kafka::native::{IdentityQuestion, TopicIdentity, Undescribed, broker_to_ask};
use crate::tables::{EndOffsetsRequest, Offsets, SharedTables, TableName};

/// Longest wait for ends.
const LOOKUP_WAIT_MAX: Duration = Duration::from_secs(5);
/// Longest wait for the description of the topic, which any broker can give: another is asked then.
const DESCRIBE_WAIT_MAX: Duration = Duration::from_secs(2);
/// Pause after a look-up that failed.
const PAUSE: Duration = Duration::from_millis(200);
/// How soon the end of the process is noticed.
const WAIT: Duration = Duration::from_secs(1);

/// Answers the requests for one table.
pub(in crate::kafka) struct EndOffsetLookup {
    table: TableName,
    lookup: TopicLookup<PlainContext>,
    tables: Arc<SharedTables>,
    /// Longest time between two look-ups.
    heartbeat: Duration,
    watch: TopicWatch,
    /// The broker that describes the topic, and how many were chosen before.
    broker: Option<i32>,
    turn: usize,
}

/// Why a look-up has no ends to tell.
enum Problem {
    /// The topic may be no longer the one that is read.
    Change(Change),
    /// Anything else.
    Trouble(String),
}

impl EndOffsetLookup {
    pub(super) fn new(
        table: TableName,
        topic: &str,
        consumer: BaseConsumer<PlainContext>,
        tables: &Arc<SharedTables>,
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

    /// Works until the tables are closed.
    pub(super) fn run(mut self) {
        prime_oauth(self.lookup.consumer());
        while !self.tables.is_closed() {
            let request = self.tables.await_request(self.table, self.heartbeat, WAIT);
            if let Some(look_up) = request {
                self.serve(look_up);
            }
            // Whether or not there was something to look up: tokens are made in a poll, and errors
            // wait to be logged.
            self.lookup.serve();
        }
    }

    fn serve(&mut self, look_up: EndOffsetsRequest) {
        match self.look_up() {
            Ok(ends) => return self.tables.answer(self.table, look_up, Ok(ends)),
            Err(Problem::Trouble(cause)) => self.tables.answer(self.table, look_up, Err(cause)),
            Err(Problem::Change(change)) => self.suspect(look_up, change),
        }
        self.lookup.consumer().poll(PAUSE);
    }

    /// Holds the table at the first sign that its topic changed, and has it read anew when the
    /// signs last.
    fn suspect(&mut self, look_up: EndOffsetsRequest, change: Change) {
        let (table, topic) = (self.table.name(), self.lookup.topic());
        let cause = format!("its topic {topic:?} {change}");
        if self.watch.is_news() {
            warn!(table, topic, "the topic {change}; the table is not relied on, looking again");
        }
        if self.watch.is_certain(change, Instant::now()) {
            error!(
                table,
                topic, "the topic {change}; what was read of it is forgotten, reading it anew"
            );
            self.tables.restart(self.table, cause);
        } else {
            self.tables.doubt(self.table, look_up, cause);
        }
    }

    fn look_up(&mut self) -> Result<Offsets, Problem> {
        let broker = self.choose_broker()?;
        let client = self.lookup.consumer().client();
        let question =
            IdentityQuestion::ask(client, broker, self.lookup.topic(), DESCRIBE_WAIT_MAX);
        let question = question.map_err(|why| self.trouble(&why))?;
        // As of before the ends: of what is written meanwhile, the follower may have read what they
        // do not count yet.
        let positions = self.tables.positions(self.table);
        let asked = self.watch.partitions();
        // While the description is under way. What is not known to exist is not asked for: the
        // client would wait for it.
        let ends = self.ends(0..asked);
        let described = question.answer();
        let identity = self.identify(described)?;
        let mut ends = ends?;
        ends.extend(self.ends(asked..identity.partitions)?);
        if let Some(change) = self.watch.went_back(&ends, &positions) {
            return Err(Problem::Change(change));
        }
        self.watch.accept(identity, &ends);
        Ok(ends)
    }

    /// Whether the topic is still the same, by its description.
    fn identify(
        &mut self,
        described: Result<TopicIdentity, Undescribed>,
    ) -> Result<TopicIdentity, Problem> {
        let change = match described {
            Ok(identity) => match self.watch.compare(identity) {
                None => return Ok(identity),
                Some(change) => change,
            },
            Err(Undescribed::Missing) => self.watch.missing().ok_or_else(|| {
                Problem::Trouble(format!("topic {:?} does not exist", self.lookup.topic()))
            })?,
            Err(Undescribed::Failed(why)) => {
                self.broker = None;
                return Err(self.trouble(&why));
            }
        };
        Err(Problem::Change(change))
    }

    /// A broker that just answered, if its id is known, or else each of the cluster in turn.
    fn choose_broker(&mut self) -> Result<i32, Problem> {
        if let Some(broker) = self.broker {
            return Ok(broker);
        }
        let client = self.lookup.consumer().client();
        let broker = broker_to_ask(client, self.lookup.topic(), self.turn, LOOKUP_WAIT_MAX);
        self.turn += 1;
        self.broker = broker.as_ref().ok().copied();
        broker.map_err(|why| self.trouble(&why))
    }

    fn ends(&self, partitions: Range<i32>) -> Result<Offsets, Problem> {
        let trouble = |error: KafkaError| self.trouble(&error);
        let ends = self.lookup.bounds(Bound::End, partitions, LOOKUP_WAIT_MAX).map_err(trouble)?;
        let ends = ends.into_iter().map(|(partition, end)| Ok((partition, end?)));
        ends.collect::<KafkaResult<_>>().map_err(trouble)
    }

    fn trouble(&self, why: &dyn std::fmt::Display) -> Problem {
        Problem::Trouble(format!("cannot look up the ends of {:?}: {why}", self.lookup.topic()))
    }
}
