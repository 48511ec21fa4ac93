//! Joins threads at the end of the process, with a time limit. A thread that still uses a Kafka
//! client when `main` returns may use what OpenSSL frees at exit, which crashes the process.

use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use tracing::warn;

/// Longest wait for all threads that feed tables or watch.
pub(crate) const JOIN_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often a thread is checked for its end.
const INTERVAL: Duration = Duration::from_millis(10);

/// Waits until these threads have ended, in total at most for `limit`. Logs and abandons those that
/// have not, and returns their number.
pub(crate) fn join(threads: Vec<JoinHandle<()>>, limit: Duration) -> usize {
    let deadline = Instant::now() + limit;
    let mut abandoned = 0;
    for thread in threads {
        let name = thread.thread().name().unwrap_or_default().to_string();
        while !thread.is_finished() && Instant::now() < deadline {
            sleep(INTERVAL);
        }
        if !thread.is_finished() {
            abandoned += 1;
            warn!(thread = name, "a thread did not end within {limit:?}; exiting without it");
        } else if thread.join().is_err() {
            warn!(thread = name, "a thread panicked: please report this");
        }
    }
    abandoned
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread::spawn;

    use super::*;

    #[test]
    fn a_thread_that_does_not_end_is_abandoned() {
        let (release, held) = channel::<()>();
        let hanging = spawn(move || held.recv().unwrap_or_default());
        let ended = spawn(|| {});
        assert_eq!(join(vec![hanging, ended], INTERVAL), 1);
        drop(release);
        assert_eq!(join(vec![spawn(|| {})], JOIN_WAIT_MAX), 0);
    }
}
