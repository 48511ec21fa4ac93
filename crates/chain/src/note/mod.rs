//! Signed notes (C2SP's `signed-note`): a text, an empty line, and lines with signatures over the
//! text. They are signed and verified here; what the text says is for others.
//!
//! The text is covered, the lines are not: anyone can add a line of a key that nobody knows, or
//! remove one. Stricter than C2SP: a false line of a known key spoils the note wherever it stands,
//! even after a true one, and no control characters at all are allowed.

mod split;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use self::split::{Note, SignatureLine};
use crate::key::{KeyId, PublicKey, SigningKey};

/// The most bytes of a note, as in Go's `golang.org/x/mod/sumdb/note`.
pub const NOTE_BYTES_MAX: usize = 1_000_000;
/// The most signature lines of a note, as there.
pub const LINES_MAX: usize = 100;

/// Begins a signature line: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// Why a note cannot be read, trusted or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The note has more than [`NOTE_BYTES_MAX`].
    #[error("the note is longer than {NOTE_BYTES_MAX} bytes")]
    TooLong,
    /// The note is not UTF-8.
    #[error("the note is not UTF-8")]
    NotUtf8,
    /// The note has a control character other than the line feed.
    #[error("the note has a control character other than the line feed")]
    ControlCharacter,
    /// The note does not end with signature lines after an empty line.
    #[error("the note does not end with an empty line and lines of signatures")]
    NoSignatures,
    /// The note has more than [`LINES_MAX`] signature lines.
    #[error("the note has more than {LINES_MAX} lines of signatures")]
    TooManyLines,
    /// A signature line does not have its form, or its Base64 is not canonical.
    #[error("signature line {0} is not \"\u{2014} <name> <Base64>\"")]
    MalformedLine(usize),
    /// A line of a known key does not hold its signature over the text.
    #[error("the signature of the key {0} is false")]
    FalseSignature(KeyId),
    /// No known key signed.
    #[error("the note has no signature of a known key")]
    NotSigned,
    /// The text to sign is empty or does not end with a line feed.
    #[error("the text of a note must end with a line feed")]
    UnfinishedText,
    /// Nobody signs, or one key twice.
    #[error("a note is signed by one or more keys, each once")]
    Signers,
}

/// Signs a text with one key or several, and returns the whole note.
///
/// # Errors
///
/// If the text cannot be that of a note, or the note would be too long.
pub fn sign(text: &str, keys: &[&SigningKey]) -> Result<String, NoteError> {
    split::check_characters(text)?;
    if !text.ends_with('\n') {
        return Err(NoteError::UnfinishedText);
    }
    let is_twice = |(at, key): (usize, &&SigningKey)| {
        keys.iter().take(at).any(|earlier| earlier.public() == key.public())
    };
    if keys.is_empty() || keys.len() > LINES_MAX || keys.iter().enumerate().any(is_twice) {
        return Err(NoteError::Signers);
    }
    let mut note = format!("{text}\n");
    for key in keys {
        note.push_str(&signature_line(text, key));
    }
    if note.len() > NOTE_BYTES_MAX { Err(NoteError::TooLong) } else { Ok(note) }
}

fn signature_line(text: &str, key: &SigningKey) -> String {
    let public = key.public();
    let signature = [&public.id().0[..], &key.sign(text.as_bytes())].concat();
    format!("{DASH}{} {}\n", public.name(), STANDARD.encode(signature))
}

impl<'a> Note<'a> {
    /// Returns which of the known keys signed, in the order of `known`. Lines of other keys are
    /// ignored.
    ///
    /// # Errors
    ///
    /// If a line of a known key is false, or no known key signed.
    pub fn verify<'k>(&self, known: &'k [PublicKey]) -> Result<Vec<&'k PublicKey>, NoteError> {
        let mut has_signed = vec![false; known.len()];
        for line in self.lines() {
            let mut is_known = false;
            let mut is_true = false;
            for (key, has_signed) in known.iter().zip(&mut has_signed) {
                if line.is_of(key) {
                    is_known = true;
                    let verifies = line.verifies(key, self.text());
                    is_true |= verifies;
                    *has_signed |= verifies;
                }
            }
            if is_known && !is_true {
                return Err(NoteError::FalseSignature(line.id()));
            }
        }
        let signers = known.iter().zip(has_signed).filter(|(_, has_signed)| *has_signed);
        let signers: Vec<_> = signers.map(|(key, _)| key).collect();
        if signers.is_empty() { Err(NoteError::NotSigned) } else { Ok(signers) }
    }
}

#[cfg(test)]
mod tests;
