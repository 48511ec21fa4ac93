//! Shows on a terminal how far a long verification has come.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The pause between two looks at the clock, in records.
const RECORDS: u64 = 10_000;
/// The pause between two lines.
const PAUSE: Duration = Duration::from_secs(2);

/// How far a verification has come.
#[derive(Debug)]
pub(super) struct Progress {
    records: u64,
    shown: Instant,
    is_shown: bool,
}

impl Default for Progress {
    fn default() -> Self {
        let is_shown = std::io::stderr().is_terminal();
        Progress { records: 0, shown: Instant::now(), is_shown }
    }
}

impl Progress {
    /// Counts a record of a topic.
    pub(super) fn add(&mut self, topic: &str) {
        self.records += 1;
        if self.is_shown && self.records.is_multiple_of(RECORDS) && self.shown.elapsed() >= PAUSE {
            self.shown = Instant::now();
            _ = writeln!(std::io::stderr(), "{} records read, now {topic}", self.records);
        }
    }
}
