//! The loop around the core. It handles partitions, offsets and batches, and gets everything else,
//! including the time, from the small trait [`Broker`]. This lets the tests run a whole consumer
//! group from a seed. It names no Kafka client.

mod backoff;
pub mod batch;
mod batch_timer;
mod bounded;
mod broker;
mod cursors;
mod fault;
mod judge;
pub mod kept_record;
mod observer;
pub mod outputs;
mod record;
mod reduced_limits;
mod retry_budget;
#[cfg(test)]
pub(crate) mod scripts;
mod sealer;
mod stop;
pub mod unlisted;
pub mod worker;

pub use backoff::Backoff;
pub use bounded::{Bounded, ReadingEnd};
pub use broker::{
    Broker, Failure, Gap, GapCause, GroupEvent, GroupStatistics, PartitionEvent, PassOver, Polled,
    ResumePoint, Rewound,
};
pub use fault::PartitionFault;
pub use judge::Judge;
pub use kept_record::QuarantinedRecord;
pub use observer::{Observer, WorkerEvent};
pub use outputs::{Content, Output};
pub use record::{OwnedHeaders, Partition, Position, SourceHeaders, SourceLog, SourceRecord};
pub use sealer::{
    Proof, SealLog, SealRecord, SealSearch, SealedBatch, Sealer, Transaction, Unsealed,
};
pub use stop::StopRequest;
