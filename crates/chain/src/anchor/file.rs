//! Files of anchors: notes one after another, each followed by one empty line.

use crate::note::{Note, NoteError};

/// A file that is not a sequence of notes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorFileError {
    /// The file ends inside a note, or without the empty line after the last one.
    #[error("note {0} is not whole: its text, an empty line, its signatures, an empty line")]
    Unfinished(usize),
    /// A part of the file is not a note.
    #[error("note {number}: {error}")]
    Note {
        /// Which one, counted from 1.
        number: usize,
        /// What is wrong with it.
        error: NoteError,
    },
}

/// Splits a file into its notes, which are then to be verified one by one. An empty file has none.
///
/// # Errors
///
/// If it is anything but notes each followed by one empty line. Only texts without empty lines, as
/// anchors have, can be told apart.
pub fn split_file(file: &[u8]) -> Result<Vec<Note<'_>>, AnchorFileError> {
    let mut notes = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        let number = notes.len() + 1;
        let is_whole = split_note(rest).filter(|(note, _)| !note.starts_with(b"\n"));
        let (note, after) = is_whole.ok_or(AnchorFileError::Unfinished(number))?;
        let note = Note::split(note).map_err(|error| AnchorFileError::Note { number, error })?;
        notes.push(note);
        rest = after;
    }
    Ok(notes)
}

/// Puts notes into one file.
pub fn format_file(notes: &[impl AsRef<str>]) -> String {
    notes.iter().map(|note| format!("{}\n", note.as_ref())).collect()
}

/// Splits after the second empty line, which is not part of the note.
fn split_note(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = empty_line(bytes)?;
    let end = text + empty_line(bytes.get(text..)?)?;
    Some((bytes.get(..end - 1)?, bytes.get(end..)?))
}

/// Returns where the bytes continue after their first empty line.
fn empty_line(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair == b"\n\n").map(|at| at + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SigningKey;
    use crate::note::sign;

    fn notes() -> [String; 2] {
        let key = SigningKey::from_seed("a".parse().expect("a name"), &[1; 32]);
        ["one\n", "two\nlines\n"].map(|text| sign(text, &[&key, &other()]).expect("a note"))
    }

    fn other() -> SigningKey {
        SigningKey::from_seed("b".parse().expect("a name"), &[2; 32])
    }

    #[test]
    fn is_split_as_it_was_formatted() {
        let file = format_file(&notes());
        let texts = split_file(file.as_bytes()).expect("notes");
        let texts: Vec<_> = texts.iter().map(Note::text).collect();
        assert_eq!(texts, ["one\n", "two\nlines\n"]);
        assert_eq!(split_file(b""), Ok(Vec::new()));
    }

    #[test]
    fn a_file_that_was_cut_off_is_refused() {
        let [one, two] = notes();
        let file = format_file(&[&one, &two]);
        let whole = [0, one.len() + 1, file.len()];
        for end in 0..=file.len() {
            let is_whole = whole.contains(&end);
            assert_eq!(split_file(&file.as_bytes()[..end]).is_ok(), is_whole, "{end} bytes");
        }
    }

    #[test]
    fn nothing_stands_between_notes() {
        let [one, two] = notes();
        for file in [
            format!("{one}\n\n{two}\n"),
            format!("\n{one}\n{two}\n"),
            format!("{one}{two}\n"),
            format!("{one}\n{two}\n\n"),
            format!("{one}\n{two}\n").replace('\n', "\r\n"),
        ] {
            assert!(split_file(file.as_bytes()).is_err(), "{file}");
        }
    }
}
