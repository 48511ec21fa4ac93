//! Writes the text of a seal.

use std::fmt;

use super::{After, Counts, Seal, SealError, VERSION};
use crate::Digest;

impl Seal {
    /// Returns the text to sign. Reading it gives the same seal.
    ///
    /// # Errors
    ///
    /// If the seal contradicts itself. It must hold, here and when a seal is read:
    ///
    /// - the set's partition is below the number of partitions;
    /// - `after` stands exactly in seal 0 of every epoch but 1, and names the same topic and
    ///   partition in the epoch before;
    /// - `prev` of seal 0 is the genesis of the set's seals;
    /// - start <= end, read <= end - start, skipped + quarantined <= read;
    /// - gaps are not empty, lie in the input one behind the other, and leave room for what is
    ///   read;
    /// - messages neither skipped nor quarantined have each at least one event, and there are no
    ///   events without such a message;
    /// - sizes are above 0; each region's head with a partition has at least one of the events, and
    ///   the events are at most as many as the sizes of these heads together;
    /// - `~quarantine` has a partition only if something was quarantined;
    /// - the next key has the name of the origin.
    pub fn text(&self) -> Result<String, SealError> {
        self.check()?;
        Ok(Text(self).to_string())
    }

    /// Returns the hash of the text, which the next seal of the set and anchors name.
    ///
    /// # Errors
    ///
    /// As for the [`text`](Seal::text).
    pub fn digest(&self) -> Result<Digest, SealError> {
        Ok(Digest::of(self.text()?.as_bytes()))
    }
}

struct Text<'s>(&'s Seal);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Text(seal) = self;
        let Counts { read, events, skipped, quarantined } = seal.counts;
        writeln!(f, "{}\n{VERSION}", seal.origin)?;
        writeln!(f, "set {} of {}", seal.set, seal.partitions)?;
        writeln!(f, "seal {}", seal.number)?;
        writeln!(f, "prev {}", seal.previous)?;
        writeln!(f, "input {} {}", seal.input.start, seal.input.end)?;
        writeln!(f, "counts {read} {events} {skipped} {quarantined}")?;
        writeln!(f, "writer {}", seal.writer)?;
        writeln!(f, "time {}", seal.time)?;
        if let Some(After { set, seal, digest }) = &seal.after {
            writeln!(f, "after {set} {seal} {digest}")?;
        }
        if let Some(reason) = &seal.resumed {
            writeln!(f, "resumed {reason}")?;
        }
        self.write_lists(f)
    }
}

impl Text<'_> {
    fn write_lists(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Text(seal) = self;
        for gap in &seal.gaps {
            writeln!(f, "gap {} {} {}", gap.start, gap.end, gap.cause)?;
        }
        for extension in &seal.extensions {
            writeln!(f, "{extension}")?;
        }
        for (name, head) in &seal.heads {
            write!(f, "head {name} {} {} ", head.size, head.digest)?;
            match head.partition {
                Some(partition) => writeln!(f, "{partition}")?,
                None => writeln!(f, "-")?,
            }
        }
        match &seal.next_key {
            Some(key) => writeln!(f, "next-key {key}"),
            None => Ok(()),
        }
    }
}
