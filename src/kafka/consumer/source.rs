//! A record of the client, and the log that it was read from, as the loop takes them.

use std::fmt;

use rdkafka::consumer::Consumer;

use crate::kafka::client::context::LoggingContext;
use crate::kafka::consumer::callbacks::CallbackQueue;
use crate::kafka::native::{NativeRecord, QueuedConsumer, log_start};
use crate::stream::{Partition, SourceLog, SourceRecord};

/// The log of a partition, as the client knows it.
pub(super) struct ClientLog<'a> {
    pub(super) client: &'a QueuedConsumer<LoggingContext<CallbackQueue>>,
    pub(super) partition: Partition,
}

impl SourceLog for ClientLog<'_> {
    fn first_offset(&self) -> Option<i64> {
        let topic = self.client.context().0.topic();
        log_start(self.client.client(), topic, self.partition.0)
    }
}

impl fmt::Debug for ClientLog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientLog").field("partition", &self.partition).finish_non_exhaustive()
    }
}

/// Returns a record of the client as the loop takes it.
pub(super) fn source_record<'a>(
    record: &'a NativeRecord<'_>,
    log: &'a dyn SourceLog,
) -> SourceRecord<'a> {
    SourceRecord {
        partition: Partition(record.partition()),
        offset: record.offset(),
        timestamp_ms: record.timestamp_ms(),
        key: record.key(),
        payload: record.payload(),
        headers: record,
        leader_epoch: record.leader_epoch(),
        log,
    }
}
