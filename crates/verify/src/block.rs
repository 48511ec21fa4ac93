//! A block: what one seal added to one stream, between two signed heads. Blocks are what is
//! confirmed, since each can be checked without any other.

use audit_chain::Digest;

use crate::spill::Entry;

/// The events of a stream from one signed head to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    /// The head before it, and the number of its first event.
    pub start: Head,
    /// The head behind it, and the number behind its last event.
    pub end: Head,
    /// The offsets of the input that it comes from, the second exclusive.
    pub input: [u64; 2],
}

/// A head of a stream: how many events it has, and the hash that leads to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub size: u64,
    pub digest: Digest,
}

impl Block {
    /// Returns the number of events.
    pub(crate) fn len(&self) -> u64 {
        self.end.size - self.start.size
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        (self.start.size..self.end.size).contains(&number)
    }
}

impl Entry for Block {
    const BYTES: usize = 2 * (8 + Digest::BYTES) + 16;

    fn write(&self, bytes: &mut Vec<u8>) {
        for Head { size, digest } in [self.start, self.end] {
            bytes.extend(size.to_be_bytes());
            bytes.extend(digest.as_bytes());
        }
        self.input.iter().for_each(|offset| bytes.extend(offset.to_be_bytes()));
    }

    fn read(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let mut head = || Head { size: number(&mut rest), digest: digest(&mut rest) };
        let (start, end) = (head(), head());
        Block { start, end, input: [number(&mut rest), number(&mut rest)] }
    }
}

impl Entry for Digest {
    const BYTES: usize = Digest::BYTES;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.as_bytes());
    }

    fn read(mut bytes: &[u8]) -> Self {
        digest(&mut bytes)
    }
}

/// Takes eight bytes. An entry is read from as many bytes as it has, so they are there.
fn number(bytes: &mut &[u8]) -> u64 {
    u64::from_be_bytes(take(bytes))
}

fn digest(bytes: &mut &[u8]) -> Digest {
    Digest::new(take(bytes))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let Some((first, rest)) = bytes.split_first_chunk() else {
        return [0; N];
    };
    *bytes = rest;
    *first
}
