//! Searches texts for bytes, sixteen at a time: most texts of a record are short and are searched
//! several times.

use wide::i8x16;

/// Bytes that are examined at once.
const LANES: usize = 16;

/// Returns whether a text contains a byte that JSON writes only with a backslash. The text is
/// either in JSON already or about to be written as JSON.
pub(crate) fn needs_escapes(bytes: &[u8]) -> bool {
    any(bytes, |lanes| {
        lanes.simd_eq(i8x16::splat(b'"' as i8))
            | lanes.simd_eq(i8x16::splat(b'\\' as i8))
            | is_control(lanes)
    })
}

/// Returns whether a JSON text, without its quotes, has escapes.
pub(crate) fn has_escapes(bytes: &[u8]) -> bool {
    any(bytes, |lanes| lanes.simd_eq(i8x16::splat(b'\\' as i8)))
}

/// Returns whether all bytes are printable ASCII.
pub(crate) fn is_printable_ascii(bytes: &[u8]) -> bool {
    // As signed numbers, bytes outside ASCII are below the control characters.
    !any(bytes, |lanes| lanes.simd_lt(i8x16::splat(b' ' as i8)) | lanes.simd_eq(i8x16::splat(0x7f)))
}

/// Returns which lanes hold a byte from 0 to 31.
fn is_control(lanes: i8x16) -> i8x16 {
    // Comparisons are signed. With the highest bit inverted, they order bytes as unsigned numbers.
    let turned = lanes ^ i8x16::splat(i8::MIN);
    turned.simd_lt(i8x16::splat(i8::MIN + b' ' as i8))
}

fn any(bytes: &[u8], is: impl Fn(i8x16) -> i8x16) -> bool {
    let any = |lanes: [u8; LANES]| is(i8x16::new(lanes.map(u8::cast_signed))).any();
    let Some(last) = bytes.last_chunk() else {
        return short(bytes).is_some_and(any);
    };
    let (chunks, _) = bytes.as_chunks();
    // The last bytes are examined as a full vector too, some of them for the second time.
    chunks.iter().any(|chunk| any(*chunk)) || any(*last)
}

/// Fills a vector with all bytes of a text shorter than it, some of them repeated; `None` if the
/// text is empty.
fn short(bytes: &[u8]) -> Option<[u8; LANES]> {
    let lanes = |first: u64, last: u64| (u128::from(first) | u128::from(last) << 64).to_le_bytes();
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return Some(lanes(u64::from_le_bytes(*first), u64::from_le_bytes(*last)));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let [first, last] = [*first, *last].map(u32::from_le_bytes).map(u64::from);
        let all = first | last << 32;
        return Some(lanes(all, all));
    }
    let [first, .., last] = bytes else {
        return bytes.first().map(|only| [*only; LANES]);
    };
    let middle = bytes[bytes.len() / 2];
    let mut lanes = [*first; LANES];
    lanes[1] = middle;
    lanes[2] = *last;
    Some(lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests texts of every length, with every byte at every position.
    #[test]
    fn every_byte_is_seen_wherever_it_stands() {
        for length in 0..50 {
            let mut text = vec![b'a'; length];
            assert!(!needs_escapes(&text) && !has_escapes(&text) && is_printable_ascii(&text));
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    text[at] = byte;
                    let case = (length, at, byte);
                    let escaped = matches!(byte, 0..b' ' | b'"' | b'\\');
                    assert_eq!(needs_escapes(&text), escaped, "{case:?}");
                    assert_eq!(has_escapes(&text), byte == b'\\', "{case:?}");
                    let is_printable = matches!(byte, b' '..=b'~');
                    assert_eq!(is_printable_ascii(&text), is_printable, "{case:?}");
                }
                text[at] = b'a';
            }
        }
    }
}
