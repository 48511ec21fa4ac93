//! The yardsticks. Do not change what they do: they make the figures of different months
//! comparable.
//!
//! A *raw copy* writes the relay's output and does nothing else: as many bytes, with the same keys
//! and headers, to the same topics and partitions, in the same transactions with the same offsets.
//! It looks up the plan instead of judging, and has no metrics and no recovery. *Poll only* writes
//! nothing. Both use their clients plainly: poll, send, wait until nothing is in flight, send
//! offsets, commit.
//!
//! Their client properties and the limits of a batch are frozen in `settings.rs`: tuning the relay
//! moves only the relay's own figures. They still use the relay's code to parse the configuration
//! file, of which they take only values that the fixture writes, and its [`TopicNames`]; neither
//! costs anything while records are copied. The plan comes from the relay's `judge`, so the
//! raw copy always writes as many bytes as the relay. What can still move both: the librdkafka that
//! the crate builds (the report holds its version), the compiler, and the system's allocator.
//!
//! [`TopicNames`]: audit_relay::kafka::topics::TopicNames

mod batch;
pub mod poll_only;
pub mod raw_copy;
mod revocations;
mod settings;

use std::time::Duration;

/// The longest wait of one poll, the same as the relay's when this was frozen.
const POLL_MAX: Duration = Duration::from_millis(100);
/// While records are available, the clock is read once per this many records.
const RECORDS_PER_CLOCK_CHECK: usize = 64;

/// Rounds up to whole milliseconds, at most [`POLL_MAX`]: the client would spin for a fraction of a
/// millisecond.
fn whole_milliseconds(wait: Duration) -> Duration {
    let up = wait + Duration::from_micros(999);
    Duration::from_millis(up.as_millis() as u64).min(POLL_MAX)
}
