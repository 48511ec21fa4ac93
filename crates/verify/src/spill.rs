//! Lists that grow with the trail. Each is written to one temporary file, in chunks, so that a
//! list takes a chunk of memory, and eight bytes for each chunk that was written.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::os::unix::fs::FileExt;

/// Bytes of a chunk, at least; a chunk holds whole entries.
const CHUNK_BYTES: usize = 4_096;

/// An entry of fixed length.
pub(crate) trait Entry: Sized {
    /// Its length in bytes.
    const BYTES: usize;

    /// Appends its bytes.
    fn write(&self, bytes: &mut Vec<u8>);

    /// Reads it back from as many bytes.
    fn read(bytes: &[u8]) -> Self;
}

/// The file of all lists. It is created when the first chunk is full, and has no name.
#[derive(Debug, Default)]
pub(crate) struct Spill {
    file: Option<File>,
    length: u64,
}

/// A list of entries.
#[derive(Debug)]
pub(crate) struct List<T> {
    chunks: Vec<u64>,
    tail: Vec<u8>,
    length: u64,
    entries: PhantomData<T>,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List { chunks: Vec::new(), tail: Vec::new(), length: 0, entries: PhantomData }
    }
}

impl Spill {
    fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        let at = self.length;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(at)
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        file.read_exact_at(bytes, at)
    }
}

impl<T: Entry> List<T> {
    /// Entries of a chunk.
    const CHUNK: u64 = CHUNK_BYTES.div_ceil(T::BYTES) as u64;

    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Adds an entry at the end.
    pub(crate) fn push(&mut self, entry: &T, spill: &mut Spill) -> io::Result<()> {
        entry.write(&mut self.tail);
        self.length += 1;
        if self.length.is_multiple_of(Self::CHUNK) {
            self.chunks.push(spill.append(&self.tail)?);
            self.tail.clear();
        }
        Ok(())
    }

    /// Returns an entry; `None` behind the end.
    pub(crate) fn get(&self, index: u64, spill: &Spill) -> io::Result<Option<T>> {
        if index >= self.length {
            return Ok(None);
        }
        let inside = (index % Self::CHUNK) as usize * T::BYTES;
        let Some(chunk) = self.chunks.get((index / Self::CHUNK) as usize) else {
            return Ok(self.tail.get(inside..inside + T::BYTES).map(T::read));
        };
        let mut bytes = vec![0; T::BYTES];
        spill.read(chunk + inside as u64, &mut bytes)?;
        Ok(Some(T::read(&bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Number(u64);

    impl Entry for Number {
        const BYTES: usize = 8;

        fn write(&self, bytes: &mut Vec<u8>) {
            bytes.extend(self.0.to_be_bytes());
        }

        fn read(bytes: &[u8]) -> Self {
            Number(u64::from_be_bytes(bytes.try_into().expect("eight bytes")))
        }
    }

    #[test]
    fn lists_share_a_file_and_are_read_back() {
        let mut spill = Spill::default();
        let (mut one, mut other) = (List::default(), List::default());
        for number in 0..5_000 {
            one.push(&Number(number), &mut spill).expect("written");
            if number % 3 == 0 {
                other.push(&Number(number * 10), &mut spill).expect("written");
            }
        }
        assert!(spill.length >= 48_000, "most of it is in the file: {}", spill.length);
        for number in 0..5_000 {
            assert_eq!(one.get(number, &spill).expect("read"), Some(Number(number)));
        }
        assert_eq!(one.get(5_000, &spill).expect("read"), None);
        assert_eq!(other.len(), 1_667);
        assert_eq!(other.get(1_666, &spill).expect("read"), Some(Number(49_980)));
    }

    #[test]
    fn a_short_list_needs_no_file() {
        let mut spill = Spill::default();
        let mut list = List::default();
        list.push(&Number(7), &mut spill).expect("kept");
        assert_eq!(list.get(0, &spill).expect("read"), Some(Number(7)));
        assert!(spill.file.is_none());
    }
}
