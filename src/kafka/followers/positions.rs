//! How far the partitions of a table's topic were read. Control records count, which a client is
//! not handed, and so do offsets that hold nothing at all.

use crate::tables::Offsets;

/// Positions of a topic's partitions.
#[derive(Debug, Default)]
pub(in crate::kafka) struct Positions {
    next: Offsets,
    changed: bool,
}

impl Positions {
    /// A record was read.
    pub(super) fn read(&mut self, partition: i32, offset: i64) {
        self.advance(partition, offset + 1);
    }

    /// The client says that nothing is left to read before this offset.
    pub(super) fn advance(&mut self, partition: i32, next: i64) {
        if self.of(partition).is_none_or(|known| known < next) {
            self.next.insert(partition, next);
            self.changed = true;
        }
    }

    /// The offset of the next record of a partition, if that is known.
    pub(super) fn of(&self, partition: i32) -> Option<i64> {
        self.next.get(&partition).copied()
    }

    /// All of them.
    pub(super) fn all(&self) -> &Offsets {
        &self.next
    }

    /// Whether everything before these ends was read.
    pub(super) fn cover(&self, ends: &Offsets) -> bool {
        let mut ends = ends.iter();
        ends.all(|(partition, end)| self.of(*partition).unwrap_or(0) >= *end)
    }

    /// Whether anything moved since this was asked last.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_reached_by_records_or_by_what_the_client_says() {
        let ends = Offsets::from([(0, 10), (1, 0)]);
        let mut positions = Positions::default();
        positions.read(0, 7);
        assert!(!positions.cover(&ends) && positions.take_changed());
        positions.advance(0, 8);
        assert!(!positions.take_changed(), "an offset that was passed is no news");
        // A transaction is open from here on, and what the end of the partition is to a reader lies
        // before it.
        positions.advance(0, 9);
        assert!(!positions.cover(&ends) && positions.take_changed());
        positions.advance(0, 10);
        assert!(positions.cover(&ends));
    }

    #[test]
    fn what_was_read_stays_read() {
        let mut positions = Positions::default();
        positions.read(0, 7);
        assert!(positions.take_changed());
        positions.read(0, 0);
        assert!(!positions.take_changed() && positions.of(0) == Some(8));
    }

    #[test]
    fn every_partition_must_be_read_to_its_end() {
        let ends = Offsets::from([(0, 10), (1, 5)]);
        let mut positions = Positions::default();
        positions.read(0, 9);
        assert!(!positions.cover(&ends), "nothing is known of the other");
        positions.read(1, 3);
        assert!(!positions.cover(&ends));
        positions.read(1, 4);
        assert!(positions.cover(&ends));
    }
}
