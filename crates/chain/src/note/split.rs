//! Splits a note into its text and its signature lines. It verifies nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{DASH, LINES_MAX, NOTE_BYTES_MAX, NoteError};
use crate::key::{KeyId, PublicKey};

/// A note whose form was checked, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note<'a> {
    text: &'a str,
    lines: Vec<SignatureLine<'a>>,
}

/// A signature line, `— <name> <Base64 of key id and signature>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine<'a> {
    name: &'a str,
    id: KeyId,
    signature: Vec<u8>,
}

impl<'a> Note<'a> {
    /// Splits a note at its last empty line.
    ///
    /// # Errors
    ///
    /// If the bytes are not a note: too long, not UTF-8, control characters, no text, no signature
    /// lines, or any signature line in another form.
    pub fn split(note: &'a [u8]) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(note).map_err(|_| NoteError::NotUtf8)?;
        check_characters(note)?;
        // The text keeps the line feed of its last line.
        let end = note.rfind("\n\n").ok_or(NoteError::NoSignatures)? + 1;
        let (text, lines) = (note.get(..end), note.get(end + 1..));
        let (text, lines) = text.zip(lines).ok_or(NoteError::NoSignatures)?;
        Ok(Self { text, lines: split_lines(lines)? })
    }

    /// Returns the text. Whether anybody signed it is not known before
    /// [`verify`](Note::verify) says so.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Returns the signature lines.
    pub fn lines(&self) -> &[SignatureLine<'a>] {
        &self.lines
    }
}

impl<'a> SignatureLine<'a> {
    /// Returns the name of the key that the line claims.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Returns the id of the key that the line claims.
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn is_of(&self, key: &PublicKey) -> bool {
        self.name == key.name().as_str() && self.id == key.id()
    }

    pub(super) fn verifies(&self, key: &PublicKey, text: &str) -> bool {
        let signature = self.signature.as_slice().try_into();
        signature.is_ok_and(|signature| key.verifies(text.as_bytes(), signature))
    }

    fn parse(line: &'a str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
        let is_name = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+');
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        let is_whole = is_name && !signature.is_empty();
        is_whole.then(|| Self { name, id: KeyId(*id), signature: signature.to_vec() })
    }
}

pub(super) fn check_characters(text: &str) -> Result<(), NoteError> {
    let is_forbidden = |c: char| c.is_control() && c != '\n';
    if text.contains(is_forbidden) { Err(NoteError::ControlCharacter) } else { Ok(()) }
}

fn split_lines(lines: &str) -> Result<Vec<SignatureLine<'_>>, NoteError> {
    let lines = lines.strip_suffix('\n').ok_or(NoteError::NoSignatures)?;
    let mut split = Vec::new();
    for (number, line) in (1..).zip(lines.split('\n')) {
        if number > LINES_MAX {
            return Err(NoteError::TooManyLines);
        }
        split.push(SignatureLine::parse(line).ok_or(NoteError::MalformedLine(number))?);
    }
    Ok(split)
}
