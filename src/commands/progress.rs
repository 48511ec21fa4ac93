//! Shows on a terminal how far a long command has come.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The pause between two looks at the clock, in records.
const RECORDS: u64 = 10_000;
/// The pause between two lines.
const PAUSE: Duration = Duration::from_secs(2);

/// How far a command has come.
#[derive(Debug)]
pub(super) struct Progress {
    records: u64,
    began: Instant,
    shown: Instant,
    is_shown: bool,
}

impl Default for Progress {
    fn default() -> Self {
        let (now, is_shown) = (Instant::now(), std::io::stderr().is_terminal());
        Progress { records: 0, began: now, shown: now, is_shown }
    }
}

impl Progress {
    /// Counts a record, and says now and then how many there are and what is read now.
    pub(super) fn add(&mut self, topic: &str) {
        self.records += 1;
        if self.records.is_multiple_of(RECORDS) {
            let records = self.records;
            self.show(|_| format!("{records} records read, now {topic}"));
        }
    }

    /// Returns how many records were counted.
    pub(super) const fn records(&self) -> u64 {
        self.records
    }

    /// Shows a line, unless another one was shown just before. It is made from the seconds since
    /// the beginning.
    pub(super) fn show<T: Display>(&mut self, line: impl FnOnce(f64) -> T) {
        if self.is_shown && self.shown.elapsed() >= PAUSE {
            self.shown = Instant::now();
            let line = line(self.began.elapsed().as_secs_f64());
            _ = writeln!(std::io::stderr(), "{line}");
        }
    }
}
