//! How far each partition was read. A client hands a partition's records out in order, each once, and none of a partition
//! that was taken away; the loop holds it to that, since a record that passes twice is an event that is written twice.

use super::{Failure, Partition};

/// The partitions that were read, over all batches.
#[derive(Debug, Default)]
pub struct Progress {
    /// By the number of the partition.
    standings: Vec<Standing>,
    astray: Vec<Partition>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Standing {
    /// Any record may come.
    #[default]
    Unread,
    /// No record may come before this offset.
    ReadTo(i64),
    /// One did: all that comes is doubtful until the partition is rewound.
    Astray,
    /// The partition is somebody else's.
    Gone,
}

impl Progress {
    /// Whether a record is to be taken. If it was read before, its partition is astray from here on.
    pub fn admits(&mut self, partition: Partition, offset: i64) -> bool {
        let standing = self.standing(partition);
        match *standing {
            Standing::ReadTo(next) if offset < next => {
                *standing = Standing::Astray;
                self.astray.push(partition);
                false
            }
            Standing::Unread | Standing::ReadTo(_) => {
                *standing = Standing::ReadTo(offset.saturating_add(1));
                true
            }
            Standing::Astray | Standing::Gone => false,
        }
    }

    /// The partitions that are read again from an earlier offset, though nobody asked for it.
    pub fn astray(&self) -> &[Partition] {
        &self.astray
    }

    /// Whether no partition is astray.
    ///
    /// # Errors
    /// [`Failure::Held`]: reading must go back to the committed position.
    pub fn check(&self) -> Result<(), Failure> {
        match self.astray.as_slice() {
            [] => Ok(()),
            all @ [first, ..] => Err(Failure::Held(format!(
                "the client reads again what was read, in {} partitions, {first} among them",
                all.len()
            ))),
        }
    }

    /// These are read anew, from wherever it is.
    pub fn begin(&mut self, partitions: &[Partition]) {
        self.set(partitions, Standing::Unread);
    }

    /// These were taken away.
    pub fn forget(&mut self, partitions: &[Partition]) {
        self.set(partitions, Standing::Gone);
    }

    fn set(&mut self, partitions: &[Partition], standing: Standing) {
        self.astray.retain(|astray| !partitions.contains(astray));
        for partition in partitions {
            *self.standing(*partition) = standing;
        }
    }

    fn standing(&mut self, partition: Partition) -> &mut Standing {
        // There are no partitions below zero.
        let index = usize::try_from(partition.0).unwrap_or_default();
        if self.standings.len() <= index {
            self.standings.resize(index + 1, Standing::default());
        }
        &mut self.standings[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Partition = Partition(3);
    const OTHER: Partition = Partition(1);

    #[test]
    fn offsets_only_grow() {
        let mut progress = Progress::default();
        assert!(progress.admits(P, 7));
        assert!(progress.admits(P, 9), "offsets have gaps");
        assert!(progress.admits(OTHER, 8), "of each partition by itself");
        assert_eq!(progress.astray(), []);
        assert!(!progress.admits(P, 9));
        assert_eq!(progress.astray(), [P]);
        assert!(!progress.admits(P, 10), "until it is rewound");
        assert_eq!(progress.astray(), [P], "said once");
        assert!(progress.admits(OTHER, 9));
        progress.begin(&[P]);
        assert_eq!(progress.astray(), []);
        assert!(progress.admits(P, 5));
    }

    #[test]
    fn nothing_of_what_was_taken_away_is_taken() {
        let mut progress = Progress::default();
        assert!(progress.admits(P, 7));
        assert!(!progress.admits(P, 7));
        progress.forget(&[P]);
        assert_eq!(progress.astray(), [], "somebody else reads it");
        assert!(!progress.admits(P, 8));
        progress.begin(&[P]);
        assert!(progress.admits(P, 2));
    }
}
