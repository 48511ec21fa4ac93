//! Reads plain JSON objects: without control characters, `\u`, fractions, exponents, negative
//! numbers and deep nesting. It gives up on anything else, valid JSON or not, and leaves it to
//! serde. For plain objects it takes a fraction of serde's time, since it finds all quotes in 64
//! bytes at once.

use std::ops::Range;

use wide::i8x16;

/// The position of a value in the text.
type Span = Range<usize>;

/// An object being read from the front, one field at a time.
pub(crate) struct PlainObject<'a> {
    text: &'a str,
    at: usize,
    quotes: Quotes<'a>,
}

/// In all of these methods, `None` means that the object is not plain.
impl<'a> PlainObject<'a> {
    pub(crate) fn begin(text: &'a str) -> Option<Self> {
        let mut object = PlainObject { text, at: 0, quotes: Quotes::of(text.as_bytes()) };
        (object.next()? == b'{').then_some(object)
    }

    /// Returns the next key, with its escapes, and the position of its value.
    pub(crate) fn field(&mut self) -> Option<(&'a [u8], Span)> {
        if self.next()? != b'"' {
            return None;
        }
        let key = self.string()?;
        if self.next()? != b':' {
            return None;
        }
        let key = self.text.as_bytes().get(key.start + 1..key.end - 1)?;
        let value = match self.next()? {
            // Most values are strings, so the other cases are out of line.
            b'"' => self.string()?,
            first => self.value(first, 0)?,
        };
        Some((key, value))
    }

    /// Returns a value as written.
    pub(crate) fn json(&self, value: Span) -> Option<&'a str> {
        self.text.get(value)
    }

    /// Returns whether another field follows. If not, the object is complete, and nothing comes
    /// after it.
    pub(crate) fn has_more(&mut self) -> Option<bool> {
        match self.next()? {
            b',' => Some(true),
            b'}' => self.has_ended().then_some(false),
            _ => None,
        }
    }

    /// Returns the next byte that is not a space.
    fn next(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        let mut byte = *bytes.get(self.at)?;
        self.at += 1;
        while byte == b' ' {
            byte = *bytes.get(self.at)?;
            self.at += 1;
        }
        Some(byte)
    }

    fn has_ended(&mut self) -> bool {
        self.next().is_none() && self.quotes.are_in_good_text()
    }

    /// Reads a string, after its opening quote.
    fn string(&mut self) -> Option<Span> {
        let open = self.quotes.next()?;
        let close = self.quotes.next()?;
        if open + 1 != self.at {
            return None;
        }
        self.at = close + 1;
        Some(open..close + 1)
    }

    /// Reads a value, after its first byte, nested in `depth` containers.
    #[inline(never)]
    fn value(&mut self, first: u8, depth: usize) -> Option<Span> {
        match first {
            b'"' => self.string(),
            b'0' => self.number(0),
            b'1'..=b'9' => self.number(DIGITS_MAX - 1),
            b'{' => self.container(b'}', depth + 1),
            b'[' => self.container(b']', depth + 1),
            b't' => self.rest(b"rue"),
            b'f' => self.rest(b"alse"),
            b'n' => self.rest(b"ull"),
            _ => None,
        }
    }

    /// Reads an object or a list, after its opening bracket.
    fn container(&mut self, close: u8, depth: usize) -> Option<Span> {
        let begin = self.at - 1;
        let mut first = self.next()?;
        if depth > DEPTH_MAX {
            return None;
        }
        while first != close {
            if close == b'}' {
                if first != b'"' {
                    return None;
                }
                self.string()?;
                if self.next()? != b':' {
                    return None;
                }
                first = self.next()?;
            }
            self.value(first, depth)?;
            match self.next()? {
                b',' => first = self.next().filter(|next| *next != close)?,
                last if last == close => break,
                _ => return None,
            }
        }
        Some(begin..self.at)
    }

    /// Reads a number, after its first digit, with at most this many more digits.
    fn number(&mut self, most_more: usize) -> Option<Span> {
        let rest = self.text.as_bytes().get(self.at..)?.iter();
        let more = rest.take_while(|byte| byte.is_ascii_digit()).count();
        let begin = self.at - 1;
        self.at += more;
        (more <= most_more).then_some(begin..self.at)
    }

    /// Reads the rest of a value, after its first byte, if it is `rest`.
    fn rest(&mut self, rest: &[u8]) -> Option<Span> {
        let is_here = self.text.as_bytes().get(self.at..)?.starts_with(rest);
        let begin = self.at - 1;
        self.at += rest.len();
        is_here.then_some(begin..self.at)
    }
}

/// Deepest nesting of containers that is read.
const DEPTH_MAX: usize = 8;
/// Any number with this many digits fits into 64 bits.
const DIGITS_MAX: usize = 19;

/// Bytes that are examined at once.
const BLOCK: usize = 64;

/// Finds the quotes that begin and end strings: those that are not escaped.
struct Quotes<'a> {
    bytes: &'a [u8],
    /// The offset of the next block.
    next_block: usize,
    /// Quotes of the last block that were not returned yet. The lowest bit is the first byte.
    bits: u64,
    /// Whether the first byte of the next block is escaped.
    escaped: bool,
    /// Whether a control character or a byte outside ASCII was found.
    is_suspect: bool,
    /// Whether an escape that is not plain was found.
    is_broken: bool,
}

impl<'a> Quotes<'a> {
    const fn of(bytes: &'a [u8]) -> Self {
        Quotes {
            bytes,
            next_block: 0,
            bits: 0,
            escaped: false,
            is_suspect: false,
            is_broken: false,
        }
    }

    /// Returns the position of the next quote.
    fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            self.look_at_block()?;
        }
        let position = self.next_block.wrapping_sub(BLOCK) + self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(position)
    }

    /// Returns whether the whole text, to its end, has no control characters and only plain
    /// escapes.
    fn are_in_good_text(&mut self) -> bool {
        while self.look_at_block().is_some() {}
        let has_controls = || self.bytes.iter().any(|byte| *byte < b' ');
        !(self.is_broken || self.escaped || self.is_suspect && has_controls())
    }

    /// Out of line: runs far less often than quotes are returned.
    #[inline(never)]
    fn look_at_block(&mut self) -> Option<()> {
        let rest = self.bytes.get(self.next_block..).filter(|rest| !rest.is_empty())?;
        let mut padded;
        let block = match rest.first_chunk() {
            Some(block) => block,
            None => {
                padded = [b' '; BLOCK];
                padded[..rest.len()].copy_from_slice(rest);
                &padded
            }
        };
        let Masks { quotes, backslashes, is_suspect } = Masks::of(block);
        self.is_suspect |= is_suspect;
        self.bits = quotes;
        if backslashes != 0 || self.escaped {
            self.bits &= !self.escapes(backslashes);
        }
        self.next_block += BLOCK;
        Some(())
    }

    /// Returns the bytes of the block that are escaped.
    fn escapes(&mut self, mut backslashes: u64) -> u64 {
        let mut escaped = u64::from(self.escaped);
        backslashes &= !escaped;
        self.escaped = false;
        while backslashes != 0 {
            let position = backslashes.trailing_zeros() as usize;
            let what = self.bytes.get(self.next_block + position + 1);
            self.is_broken |= what.is_none_or(|what| !br#""\/bfnrt"#.contains(what));
            self.escaped = position + 1 == BLOCK;
            let follower = (1 << position) << 1;
            escaped |= follower;
            backslashes &= !(1 << position | follower);
        }
        escaped
    }
}

/// Positions in a block, one bit for each byte, the lowest for the first.
struct Masks {
    quotes: u64,
    backslashes: u64,
    is_suspect: bool,
}

impl Masks {
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut masks = Masks { quotes: 0, backslashes: 0, is_suspect: false };
        let (parts, _) = block.as_chunks::<16>();
        for (number, part) in parts.iter().enumerate() {
            let part = i8x16::new(part.map(u8::cast_signed));
            let bits = |mask: i8x16| u64::from(mask.to_bitmask()) << (16 * number);
            masks.quotes |= bits(part.simd_eq(i8x16::splat(b'"' as i8)));
            masks.backslashes |= bits(part.simd_eq(i8x16::splat(b'\\' as i8)));
            // As signed numbers, bytes outside ASCII are below the control characters.
            masks.is_suspect |= part.simd_lt(i8x16::splat(b' ' as i8)).any();
        }
        masks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Option<Vec<(&[u8], &str)>> {
        let mut object = PlainObject::begin(text)?;
        let mut fields = Vec::new();
        loop {
            let (key, value) = object.field()?;
            fields.push((key, object.json(value)?));
            if !object.has_more()? {
                return Some(fields);
            }
        }
    }

    #[test]
    fn plain_values_are_read() {
        let values = [
            r#""""#,
            r#""a b""#,
            r#""{\"a\":\"b\"}""#,
            r#""\\""#,
            r#""ä{[,:""#,
            "0",
            "1234567890123456789",
            "true",
            "false",
            "null",
            "{}",
            "[]",
            "{ }",
            r#"{"a":1,"b":[true,{"c":"}"}],"d":{}}"#,
            r#"[ 1 , "a" , [] , [ [ null ] ] ]"#,
        ];
        for value in values {
            let long = "long enough to fill more than a block, which has sixty-four bytes";
            let record = format!(r#"{{"k":{value},"{long}":{value}}}"#);
            let expected = vec![(b"k".as_slice(), value), (long.as_bytes(), value)];
            assert_eq!(fields(&record), Some(expected.clone()));
            let spaced = format!(r#" {{ "k" : {value} , "{long}":{value} }} "#);
            assert_eq!(fields(&spaced), Some(expected));
        }
    }

    #[test]
    fn what_is_not_plain_is_given_up() {
        let values = [
            "01",
            "-1",
            "1.5",
            "1e3",
            "12345678901234567890",
            "nul",
            "nulll",
            "tru",
            "[[[[[[[[[]]]]]]]]]",
            r#"{"a":1"#,
            r#"{"a":1,}"#,
            r#"{"a"}"#,
            r#"{"a":1]"#,
            r#"{1:1}"#,
            "[1,]",
            "[1 2]",
            "[1.5]",
            "[,]",
            r#""\u0041""#,
            r#""\x""#,
            r#""\""#,
            r#""a"#,
            r#""a"b"#,
            "\"\n\"",
            "\n1",
            "",
            ",",
            "'a'",
        ];
        for value in values {
            let record = format!(r#"{{"k":{value}}}"#);
            assert_eq!(fields(&record), None, "{value}");
        }
        let texts = [
            "",
            " ",
            "[]",
            "{}",
            r#"{"k":1"#,
            r#"{"k":1}}"#,
            r#"{"k":1,}"#,
            r#"{"k":1 "l":2}"#,
            r#"{"k" 1}"#,
            r#"{k:1}"#,
            r#"{"k":1}x"#,
            r#"{"k":1}\"#,
            r#"{"k":1}""#,
        ];
        for text in texts {
            assert_eq!(fields(text), None, "{text}");
        }
    }

    #[test]
    fn escapes_are_seen_wherever_a_block_ends() {
        for length in 0..200 {
            let filler = "x".repeat(length);
            for escape in [r#"\""#, r"\\", r#"\\\""#] {
                let record = format!(r#"{{"{filler}":"{escape}","l":"{escape}{filler}"}}"#);
                let read = fields(&record).expect("plain");
                let values: Vec<&str> = read.iter().map(|(_, value)| *value).collect();
                let last = format!("\"{escape}{filler}\"");
                assert_eq!(values, [format!("\"{escape}\"").as_str(), last.as_str()]);
                assert_eq!(fields(&format!(r#"{{"{filler}":"{escape}\"}}"#)), None);
            }
        }
    }
}
