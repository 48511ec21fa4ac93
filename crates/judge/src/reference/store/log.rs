//! Stores the entries of a store: appended to segments, never changed in place. Callers keep the
//! place of an entry. The log does not know which entries are needed, only how many bytes of each
//! segment are not.

use std::sync::Arc;

use crate::reference::packing::{Reader, put_number};

/// A segment is full when the next entry does not fit. A larger entry gets a segment of its own.
/// Segments are small in unit tests, so that some hundred entries need many.
pub(super) const SEGMENT_BYTES: usize = if cfg!(test) { 1 << 10 } else { 2 << 20 };
/// Entries begin at multiples of this many bytes.
const UNIT: usize = 4;
const UNITS: u64 = (SEGMENT_BYTES / UNIT) as u64;
/// Bits of a place, few enough that a word of the index has bits to spare.
pub(super) const PLACE_BITS: u32 = 34;
const SEGMENTS_MAX: usize = ((1 << PLACE_BITS) / UNITS) as usize;
/// Stays empty, so that no place is zero.
const NO_SEGMENT: usize = 0;

/// The position of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u64);

impl Place {
    pub(super) const fn of(bits: u64) -> Place {
        Place(bits)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    pub(super) const fn at(segment: usize, offset: usize) -> Place {
        Place(segment as u64 * UNITS + (offset / UNIT) as u64)
    }

    const fn segment(self) -> usize {
        (self.0 / UNITS) as usize
    }

    const fn offset(self) -> usize {
        (self.0 % UNITS) as usize * UNIT
    }
}

/// A key and its value, stored after their lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub key: &'a [u8],
    pub value: &'a [u8],
    /// Its size in the segment, in bytes.
    pub bytes: usize,
}

impl<'a> Entry<'a> {
    /// Reads the entry at the beginning of these bytes, if there is one.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        let mut reader = Reader(bytes);
        let key_bytes = reader.number() as usize;
        let value_bytes = reader.number() as usize;
        let (key, rest) = reader.0.split_at_checked(key_bytes)?;
        let (value, rest) = rest.split_at_checked(value_bytes)?;
        let bytes = (bytes.len() - rest.len()).next_multiple_of(UNIT);
        Some(Entry { key, value, bytes })
    }
}

/// The entries, for readers.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    segments: Vec<Arc<Vec<u8>>>,
}

impl Log {
    /// Returns the entry at a place.
    pub(super) fn entry(&self, place: Place) -> Option<Entry<'_>> {
        let segment = self.segments.get(place.segment())?;
        segment.get(place.offset()..).and_then(Entry::read)
    }

    /// Returns the bytes of all entries, including those no longer needed.
    pub(super) fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.len()).sum()
    }
}

/// The entries, for the writer.
#[derive(Debug, Default)]
pub(super) struct LogWriter {
    log: Log,
    /// The segment that entries are appended to.
    head: usize,
    /// The head as it was before the last snapshot, or its memory: the part that the snapshot
    /// shares is not written to.
    spare: Option<Arc<Vec<u8>>>,
    /// Segments that can be reused.
    free: Vec<usize>,
    /// The bytes of each segment whose entries are no longer needed.
    dead: Vec<usize>,
    bytes: usize,
    dead_bytes: usize,
}

impl LogWriter {
    /// Returns the entries that a new snapshot shares.
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Appends an entry; `None` if there is no place left.
    pub(super) fn append(&mut self, key: &[u8], value: &[u8]) -> Option<Place> {
        let head = self.log.segments.get(self.head).map_or(0, |it| it.len());
        // Two bytes for the lengths; more if the value is large.
        let most = 16 + key.len() + value.len();
        if self.head == NO_SEGMENT || head > 0 && head + most > SEGMENT_BYTES {
            self.open_segment()?;
        }
        let number = self.head;
        let head = self.head_mut()?;
        let offset = head.len();
        put_number(head, key.len() as u64);
        put_number(head, value.len() as u64);
        head.extend_from_slice(key);
        head.extend_from_slice(value);
        head.resize(head.len().next_multiple_of(UNIT), 0);
        self.bytes += head.len() - offset;
        Some(Place::at(number, offset))
    }

    /// Marks an entry of this many bytes as no longer needed.
    pub(super) fn mark_dead(&mut self, place: Place, bytes: usize) {
        if let Some(dead) = self.dead.get_mut(place.segment()) {
            *dead += bytes;
            self.dead_bytes += bytes;
        }
    }

    /// Returns the segment with the most unneeded bytes, once a quarter of all bytes are unneeded.
    pub(super) fn most_garbage(&self) -> Option<usize> {
        if self.dead_bytes < SEGMENT_BYTES || self.dead_bytes < self.bytes / 4 {
            return None;
        }
        let closed = self.dead.iter().enumerate();
        let closed = closed.filter(|(segment, dead)| *segment != self.head && **dead > 0);
        let (segment, _) = closed.max_by_key(|(_, dead)| **dead)?;
        Some(segment)
    }

    /// Returns a segment, to read it while entries are appended to another.
    pub(super) fn segment(&self, number: usize) -> Arc<Vec<u8>> {
        let segment = self.log.segments.get(number);
        segment.cloned().unwrap_or_default()
    }

    /// Frees a segment that holds nothing needed. Snapshots that share it keep it.
    pub(super) fn release(&mut self, number: usize) {
        let Some(segment) = self.log.segments.get_mut(number) else {
            return;
        };
        self.bytes -= segment.len();
        self.dead_bytes -= self.dead.get_mut(number).map_or(0, std::mem::take);
        *segment = Arc::default();
        self.free.push(number);
    }

    fn open_segment(&mut self) -> Option<()> {
        if self.log.segments.is_empty() {
            self.log.segments.push(Arc::default());
            self.dead.push(0);
        }
        let is_first = self.head == NO_SEGMENT;
        let mut room = self.spare.take().unwrap_or_default();
        match Arc::get_mut(&mut room) {
            Some(bytes) => bytes.clear(),
            None => room = Arc::default(),
        }
        if !is_first {
            // The first segment grows on demand, so that small tables stay small.
            Arc::make_mut(&mut room).reserve_exact(SEGMENT_BYTES);
        }
        let segments = &mut self.log.segments;
        self.head = match self.free.pop() {
            Some(number) => {
                segments[number] = room;
                number
            }
            None if segments.len() < SEGMENTS_MAX => {
                segments.push(room);
                self.dead.push(0);
                segments.len() - 1
            }
            None => return None,
        };
        Some(())
    }

    /// Returns the head for writing. If a snapshot shares it, brings the copy that the snapshot
    /// before it shared up to date and uses that instead.
    fn head_mut(&mut self) -> Option<&mut Vec<u8>> {
        let head = self.log.segments.get_mut(self.head)?;
        if Arc::get_mut(head).is_none() {
            let mut own = self.spare.take().unwrap_or_default();
            if Arc::get_mut(&mut own).is_none() {
                own = Arc::default();
            }
            let bytes = Arc::make_mut(&mut own);
            let missing = head.get(bytes.len()..).unwrap_or_default();
            bytes.reserve_exact(head.capacity().saturating_sub(bytes.len()));
            bytes.extend_from_slice(missing);
            self.spare = Some(std::mem::replace(head, own));
        }
        Some(Arc::make_mut(head))
    }
}
