//! Writes JSON of a known shape, piece by piece, into one buffer. Most texts need no escapes and
//! are copied unchanged; serde escapes the others.

use crate::json::bytes::needs_escapes;

/// Most events fit into this many bytes without growing the buffer.
const USUAL_BYTES: usize = 1_536;

/// JSON being written.
#[derive(Debug)]
pub struct Json(Vec<u8>);

impl Default for Json {
    fn default() -> Self {
        Json(Vec::with_capacity(USUAL_BYTES))
    }
}

impl Json {
    /// Clears it, keeping the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the number of bytes written.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the JSON written so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Writes text that is already JSON, or part of a string that needs no escapes.
    pub fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// Writes a string.
    pub fn text(&mut self, text: &str) {
        self.raw("\"");
        self.escaped(text);
        self.raw("\"");
    }

    /// Writes a string that needs no escapes.
    pub fn word(&mut self, word: &str) {
        debug_assert!(!needs_escapes(word.as_bytes()), "{word:?} needs escapes");
        self.raw("\"");
        self.raw(word);
        self.raw("\"");
    }

    /// Writes part of a string.
    pub fn escaped(&mut self, text: &str) {
        if !needs_escapes(text.as_bytes()) {
            return self.raw(text);
        }
        // Serialising text cannot fail.
        let quoted = serde_json::to_string(text).unwrap_or_default();
        let inside = quoted.get(1..quoted.len() - 1);
        self.raw(inside.unwrap_or_default());
    }

    /// Writes a number from 0 to 99 with two digits.
    pub fn two_digits(&mut self, number: i16) {
        let digit = |digit: i16| b'0' + (digit % 10).unsigned_abs() as u8;
        self.0.extend([digit(number / 10), digit(number)]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_are_written_as_serde_writes_them(text in ".{0,40}|[\\x00-\\x7f]{0,40}") {
            let mut json = Json::default();
            json.text(&text);
            prop_assert_eq!(json.into_bytes(), serde_json::to_vec(&text).expect("serialises"));
        }
    }
}
