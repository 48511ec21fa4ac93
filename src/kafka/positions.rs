//! How far the partitions of a table's topic were read. Control records count, which a client is not
//! handed; and so do offsets at the end that hold nothing at all, once that is proved.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::tables::Offsets;

/// A partition that reported its end, and is still before an end that was looked up later, gets so much
/// time to bring the records between the two.
const PATIENCE: Duration = Duration::from_millis(200);

/// Positions of a topic's partitions.
#[derive(Debug, Default)]
pub(super) struct Positions {
    next: Offsets,
    changed: bool,
    /// Partitions that reported their end and brought nothing since, with the time of the report.
    at_end: BTreeMap<i32, Instant>,
    /// Partitions that are read again, to prove that nothing is left before this end.
    read_again: Offsets,
}

impl Positions {
    /// A record was read.
    pub fn read(&mut self, partition: i32, offset: i64) {
        // Also where this goes back, as in a topic that was made anew.
        self.next.insert(partition, offset + 1);
        self.changed = true;
        self.at_end.remove(&partition);
    }

    /// The client says that it is this far.
    pub fn advance(&mut self, partition: i32, next: i64) {
        if self.of(partition).is_none_or(|known| known < next) {
            self.next.insert(partition, next);
            self.changed = true;
        }
    }

    /// A partition reports its end.
    pub fn met_end(&mut self, partition: i32, now: Instant) {
        self.at_end.insert(partition, now);
        if let Some(end) = self.read_again.remove(&partition) {
            self.advance(partition, end);
        }
    }

    /// A partition is read again from where it is; the next report of its end proves that it is read up
    /// to this end, which was looked up before.
    pub fn reads_again(&mut self, partition: i32, end: i64) {
        self.at_end.remove(&partition);
        self.read_again.insert(partition, end);
    }

    /// Partitions that seem to have nothing left before an end that they have not reached.
    pub fn doubtful(&self, ends: &Offsets, now: Instant) -> Vec<(i32, i64)> {
        let doubtful = ends.iter().filter(|(partition, end)| {
            let since = self.at_end.get(partition);
            self.of(**partition).unwrap_or(0) < **end
                && since.is_some_and(|since| now.duration_since(*since) >= PATIENCE)
        });
        doubtful
            .map(|(partition, end)| (*partition, *end))
            .collect()
    }

    /// The offset of the next record of a partition, if that is known.
    pub fn of(&self, partition: i32) -> Option<i64> {
        self.next.get(&partition).copied()
    }

    /// All of them.
    pub fn all(&self) -> &Offsets {
        &self.next
    }

    /// Whether everything before these ends was read.
    pub fn cover(&self, ends: &Offsets) -> bool {
        let mut ends = ends.iter();
        ends.all(|(partition, end)| self.of(*partition).unwrap_or(0) >= *end)
    }

    /// Whether anything moved since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_reached_by_records_by_the_client_or_by_proof() {
        let now = Instant::now();
        let ends = Offsets::from([(0, 10), (1, 0)]);
        let mut positions = Positions::default();
        positions.read(0, 7);
        assert!(!positions.cover(&ends) && positions.take_changed());
        positions.advance(0, 9);
        positions.advance(0, 8);
        assert_eq!(positions.of(0), Some(9));
        positions.met_end(0, now);
        assert!(
            positions.doubtful(&ends, now).is_empty(),
            "a record may be under way"
        );
        assert_eq!(positions.doubtful(&ends, now + PATIENCE), [(0, 10)]);
        positions.reads_again(0, 10);
        assert!(positions.doubtful(&ends, now + PATIENCE).is_empty());
        assert!(!positions.cover(&ends));
        positions.met_end(0, now);
        assert!(positions.cover(&ends));
    }

    #[test]
    fn an_end_that_was_reported_before_the_look_up_proves_nothing() {
        let mut positions = Positions::default();
        positions.read(0, 4);
        positions.met_end(0, Instant::now());
        assert!(!positions.cover(&Offsets::from([(0, 6)])));
    }
}
