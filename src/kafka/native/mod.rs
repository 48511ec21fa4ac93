//! The few calls of librdkafka that the safe client makes dear for each record: records are taken from the consumer
//! many at a time, and handed to the producer without looking up their topic by name. `docs/performance.md` says what
//! that saves. This is the only folder with `unsafe` code; what it offers is safe to use.

#![allow(unsafe_code)]

mod record_queue;
mod topic_writer;

pub(super) use record_queue::{NativeRecord, RecordQueue, Taken};
pub(super) use topic_writer::{Headers, TopicWriter, flush};
