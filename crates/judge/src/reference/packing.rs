//! The packed form of table values: millions of them are held as bytes and read in place. Numbers
//! take as many bytes as they need (seven bits each); texts and parts are prefixed with their
//! length.

use std::marker::PhantomData;

use jiff::Timestamp;

/// A type of values that a table can hold.
pub trait Packed {
    /// A value, read in place.
    type View<'a>;

    /// Appends a value.
    fn pack(view: &Self::View<'_>, out: &mut Vec<u8>);

    /// Reads a value that [`Packed::pack`] wrote.
    fn view(packed: &[u8]) -> Self::View<'_>;

    /// Whether values of this type can have aliases at all.
    const HAS_ALIASES: bool = false;

    /// Returns the alias of a value: another name for look-ups, besides its key.
    fn alias(_packed: &[u8]) -> Option<&str> {
        None
    }
}

/// A packed value that is not in a table yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedValue<V> {
    bytes: Vec<u8>,
    kind: PhantomData<fn() -> V>,
}

impl<V: Packed> PackedValue<V> {
    /// Packs a value.
    pub fn of(view: &V::View<'_>) -> Self {
        let mut bytes = Vec::with_capacity(128);
        V::pack(view, &mut bytes);
        PackedValue { bytes, kind: PhantomData }
    }

    /// Returns the bytes as a table holds them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Appends a number.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends bytes, prefixed with their length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Returns whether [`put_time`] needs more than milliseconds. The reader must be told.
pub fn has_submillis(time: Timestamp) -> bool {
    time.subsec_nanosecond() % 1_000_000 != 0
}

/// Appends a time: its milliseconds, or seconds and nanoseconds if it has submilliseconds.
pub fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    let zigzag = |signed: i64| ((signed << 1) ^ (signed >> 63)) as u64;
    if has_submillis(time) {
        put_number(out, zigzag(time.as_second()));
        put_number(out, zigzag(i64::from(time.subsec_nanosecond())));
    } else {
        put_number(out, zigzag(time.as_millisecond()));
    }
}

/// Reads packed values from the front. Past the end it reads zeroes and empty parts.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// Reads the next byte.
    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// Reads the next number.
    pub fn number(&mut self) -> u64 {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    /// Reads the next part.
    pub fn part(&mut self) -> &'a [u8] {
        let length = (self.number() as usize).min(self.0.len());
        let (part, rest) = self.0.split_at(length);
        self.0 = rest;
        part
    }

    /// Reads the next part as text.
    pub fn text(&mut self) -> &'a str {
        std::str::from_utf8(self.part()).unwrap_or_default()
    }

    /// Reads the next time; `submillis` means that it has submilliseconds.
    pub fn time(&mut self, submillis: bool) -> Timestamp {
        let first = self.signed();
        let time = if submillis {
            Timestamp::new(first, i32::try_from(self.signed()).unwrap_or_default())
        } else {
            Timestamp::from_millisecond(first)
        };
        time.unwrap_or_default()
    }

    fn signed(&mut self) -> i64 {
        let zigzag = self.number();
        (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_whole_milliseconds_is_short() {
        for (text, bytes) in [("2026-11-29T12:00:00.123Z", 6), ("2026-11-29T12:00:00.123456Z", 10)]
        {
            let time: Timestamp = text.parse().expect("a time");
            let mut packed = Vec::new();
            put_time(&mut packed, time);
            assert!(packed.len() <= bytes, "{text}: {} bytes", packed.len());
            assert_eq!(has_submillis(time), bytes > 6, "{text}");
        }
    }

    #[test]
    fn what_is_packed_is_read_back() {
        let times = [
            Timestamp::MIN,
            Timestamp::MAX,
            Timestamp::UNIX_EPOCH,
            Timestamp::new(-5, -7).expect("in range"),
            Timestamp::from_millisecond(1_700_000_000_123).expect("in range"),
        ];
        for time in times {
            let mut packed = Vec::new();
            put_time(&mut packed, time);
            assert_eq!(Reader(&packed).time(has_submillis(time)), time);
        }
        for number in [0, 127, 128, u64::MAX] {
            let mut packed = Vec::new();
            put_number(&mut packed, number);
            put_bytes(&mut packed, b"text");
            let mut reader = Reader(&packed);
            assert_eq!((reader.number(), reader.text()), (number, "text"));
            assert_eq!((reader.number(), reader.text()), (0, ""));
        }
    }
}
