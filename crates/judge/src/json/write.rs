//! Writes JSON whose shape is known, piece by piece, into one buffer. Most texts need no escapes
//! and are copied as they are; what does is left to serde.

use crate::json::bytes::needs_escapes;

/// The bytes of most events fit without growing.
const USUAL_BYTES: usize = 1_536;

/// JSON that is being written.
#[derive(Debug)]
pub struct Json(Vec<u8>);

impl Default for Json {
    fn default() -> Self {
        Json(Vec::with_capacity(USUAL_BYTES))
    }
}

impl Json {
    /// Begins anew.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many bytes were written.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Writes what is JSON already, or part of a string that needs no escapes.
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
        // Text always serialises.
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
