//! Waits for threads when the process ends, but not for ever. A thread that still uses a client of
//! Kafka when `main` returns may run into what OpenSSL takes down at the exit, which ends the
//! process by a signal.

use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use tracing::warn;

/// Longest wait for all threads that only feed or watch.
pub(crate) const JOIN_WAIT_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether a thread has ended.
const INTERVAL: Duration = Duration::from_millis(10);

/// Waits until these threads have ended, all in all at most for `limit`. Those that have not are
/// left alone and logged; returns how many they are.
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
            warn!(thread = name, "did not end within {limit:?}; not waiting");
        } else if thread.join().is_err() {
            warn!(thread = name, "panicked: please report this");
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
    fn who_does_not_end_is_left_alone() {
        let (release, held) = channel::<()>();
        let hanging = spawn(move || held.recv().unwrap_or_default());
        let ended = spawn(|| {});
        assert_eq!(join(vec![hanging, ended], INTERVAL), 1);
        drop(release);
        assert_eq!(join(vec![spawn(|| {})], JOIN_WAIT_MAX), 0);
    }
}
