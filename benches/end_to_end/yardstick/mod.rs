//! THE YARDSTICKS, which stay as they are: figures of different months are compared by them.
//!
//! A *raw copy* writes what the relay would write (as many bytes, with the same keys and headers,
//! to the same topics and partitions, in the same transactions with the same offsets) and does
//! nothing else: a look-up in the plan instead of judging, no metrics, no recovery. *Poll only*
//! writes nothing. Their clients have the relay's own settings, made by the library, and are called
//! plainly: poll, send, wait until nothing is in flight, send offsets, commit.

mod batch;
mod clients;
pub mod poll_only;
pub mod raw_copy;

use std::time::Duration;

/// Longest wait of one poll, as the relay's.
const LONGEST_POLL: Duration = Duration::from_millis(100);
/// While records are waiting, the clock is looked at once for so many.
const RECORDS_A_LOOK: usize = 64;

/// The next whole number of milliseconds, and at most [`LONGEST_POLL`]: the client spins through
/// the rest of a broken one.
fn whole_milliseconds(wait: Duration) -> Duration {
    let up = wait + Duration::from_micros(999);
    Duration::from_millis(up.as_millis() as u64).min(LONGEST_POLL)
}
