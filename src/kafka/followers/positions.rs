//! Tracks how far the partitions of a table's topic were read. Positions also move past control
//! records, which the client does not return, and past offsets that hold no record.

use crate::tables::TableOffsets;

/// The positions of a topic's partitions.
#[derive(Debug, Default)]
pub(in crate::kafka) struct Positions {
    next: TableOffsets,
    changed: bool,
}

impl Positions {
    /// Moves past a record that was read.
    pub(super) fn read(&mut self, partition: i32, offset: i64) {
        self.advance(partition, offset + 1);
    }

    /// Moves to an offset before which the client has nothing left to read.
    pub(super) fn advance(&mut self, partition: i32, next: i64) {
        if self.of(partition).is_none_or(|known| known < next) {
            self.next.insert(partition, next);
            self.changed = true;
        }
    }

    /// Returns the offset of the next record of a partition, if it is known.
    pub(super) fn of(&self, partition: i32) -> Option<i64> {
        self.next.get(&partition).copied()
    }

    /// Returns all positions.
    pub(super) fn all(&self) -> &TableOffsets {
        &self.next
    }

    /// Returns whether everything before these ends was read.
    pub(super) fn cover(&self, ends: &TableOffsets) -> bool {
        let mut ends = ends.iter();
        ends.all(|(partition, end)| self.of(*partition).unwrap_or(0) >= *end)
    }

    /// Returns whether a position moved since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_reached_by_records_or_by_the_client_position() {
        let ends = TableOffsets::from([(0, 10), (1, 0)]);
        let mut positions = Positions::default();
        positions.read(0, 7);
        assert!(!positions.cover(&ends) && positions.take_changed());
        positions.advance(0, 8);
        assert!(!positions.take_changed(), "the position did not move");
        // A transaction is open from here on: for a `read_committed` reader the partition ends
        // before it.
        positions.advance(0, 9);
        assert!(!positions.cover(&ends) && positions.take_changed());
        positions.advance(0, 10);
        assert!(positions.cover(&ends));
    }

    #[test]
    fn positions_never_move_back() {
        let mut positions = Positions::default();
        positions.read(0, 7);
        assert!(positions.take_changed());
        positions.read(0, 0);
        assert!(!positions.take_changed() && positions.of(0) == Some(8));
    }

    #[test]
    fn every_partition_must_be_read_to_its_end() {
        let ends = TableOffsets::from([(0, 10), (1, 5)]);
        let mut positions = Positions::default();
        positions.read(0, 9);
        assert!(!positions.cover(&ends), "the other position is unknown");
        positions.read(1, 3);
        assert!(!positions.cover(&ends));
        positions.read(1, 4);
        assert!(positions.cover(&ends));
    }
}
