//! The yardsticks. Do not change what they do: they make the figures of different months
//! comparable.
//!
//! A *raw copy* writes the relay's output and does nothing else: as many bytes, with the same keys
//! and headers, to the same topics and partitions, in the same transactions with the same offsets.
//! It looks up the plan instead of judging, and has no metrics and no recovery. *Poll only* writes
//! nothing. Both create their clients with the relay's own settings and use them plainly: poll,
//! send, wait until nothing is in flight, send offsets, commit.

mod batch;
mod clients;
pub mod poll_only;
pub mod raw_copy;

use std::time::Duration;

/// The longest wait of one poll, as in the relay.
const POLL_MAX: Duration = Duration::from_millis(100);
/// While records are available, the clock is read once per this many records.
const RECORDS_PER_CLOCK_CHECK: usize = 64;

/// Rounds up to whole milliseconds, at most [`POLL_MAX`]: the client would spin for a fraction of a
/// millisecond.
fn whole_milliseconds(wait: Duration) -> Duration {
    let up = wait + Duration::from_micros(999);
    Duration::from_millis(up.as_millis() as u64).min(POLL_MAX)
}
