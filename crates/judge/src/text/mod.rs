//! Text as people see it: invisible characters, the words for nothing, the one form for output, and
//! suggestions for misspelt words.

pub mod names;

use std::borrow::Cow;

use crate::json::bytes::is_printable_ascii;

/// Replaces characters that cannot be shown.
const REPLACEMENT: char = '\u{fffd}';

/// Returns whether a character is invisible: white space, control characters, and what Unicode
/// calls default ignorable (zero-width spaces and joiners, soft hyphen, byte order mark,
/// directions).
pub(crate) fn is_unseen(c: char) -> bool {
    c.is_whitespace() || c.is_control() || is_ignorable(c)
}

fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{e0000}'..='\u{e0fff}')
}

/// Trims invisible characters from both ends of a text.
pub(crate) fn trim(text: &str) -> &str {
    let is_plain = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if is_plain(bytes.first()) && is_plain(bytes.last()) {
        return text;
    }
    text.trim_matches(is_unseen)
}

/// Returns whether a text stands for nothing: nothing in it is visible, or it is one of the words
/// that programs write for nothing.
pub(crate) fn is_absent(text: &str) -> bool {
    // Most texts begin with another letter.
    match text.as_bytes() {
        [b'n' | b'N' | b'u' | b'U' | b'(', ..] => is_word_for_nothing(trim(text)),
        [first, ..] if first.is_ascii_graphic() => false,
        _ => {
            let seen = trim(text);
            seen.is_empty() || is_word_for_nothing(seen)
        }
    }
}

fn is_word_for_nothing(text: &str) -> bool {
    ["null", "none", "nil", "undefined", "(null)"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// Returns a text in the form for output. A run of line breaks and tabs becomes one space, and is
/// dropped at the ends. Other control characters, and those that change the direction of text,
/// become U+FFFD. The result is one line, looks like what it is, and can be stored anywhere.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    // Most texts are plain ASCII. Most others need no change either.
    if is_printable_ascii(text.as_bytes()) || !text.contains(must_go) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len());
    for c in text.trim_matches(breaks).chars() {
        match c {
            _ if !must_go(c) => cleaned.push(c),
            _ if !breaks(c) => cleaned.push(REPLACEMENT),
            _ if cleaned.ends_with(' ') => {}
            _ => cleaned.push(' '),
        }
    }
    Cow::Owned(cleaned)
}

fn must_go(c: char) -> bool {
    c.is_control() || breaks(c) || turns(c)
}

/// Returns whether a character is a line break or a tab.
fn breaks(c: char) -> bool {
    matches!(c, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Returns whether a character has Unicode's property `Bidi_Control`.
fn turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns the first characters of a text.
pub(crate) fn cut(text: &str, characters: usize) -> &str {
    if text.len() <= characters {
        return text;
    }
    match text.char_indices().nth(characters) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// Returns the candidate most similar to `word`, if any is similar enough to be what was meant: the
/// nearest by edit distance, or else the only one with the same last part (the right key in the
/// wrong section).
pub fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    /// Below this similarity a suggestion misleads more often than it helps.
    const LIKENESS_MIN: f64 = 0.6;
    let likeness = |candidate: &str| strsim::normalized_damerau_levenshtein(word, candidate);
    let near = candidates
        .clone()
        .filter(|candidate| likeness(candidate) >= LIKENESS_MIN)
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    near.or_else(|| {
        let last_part = |key: &'a str| key.rsplit('.').next();
        let mut same = candidates.filter(|key| last_part(key) == word.rsplit('.').next());
        same.next().filter(|_| same.next().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_change_is_not_copied() {
        for text in ["", "plain", "Zürich, 東京"] {
            assert!(matches!(clean(text), Cow::Borrowed(same) if same == text), "{text:?}");
        }
    }

    #[test]
    fn the_nearest_is_like_it_or_has_its_last_part() {
        let keys = ["input.topic", "output.topic_prefix", "input.group", "batch.max_age_ms"];
        for (word, expected) in [
            ("input.topik", Some("input.topic")),
            ("consumer.max_age_ms", Some("batch.max_age_ms")),
            ("g.group", Some("input.group")),
            ("something", None),
        ] {
            assert_eq!(nearest(word, keys.into_iter()), expected, "{word}");
        }
        let twice = ["a.long.name.group", "another.name.group"];
        assert_eq!(nearest("x.group", twice.into_iter()), None, "two have its last part");
    }

    #[test]
    fn words_for_nothing_are_nothing() {
        for absent in [
            "",
            " ",
            "\u{a0}\t",
            "\u{200b}",
            "\u{feff}",
            "\0",
            "null",
            "NULL",
            "None",
            "nil",
            " undefined ",
            "(null)",
            "\u{feff}null",
            "null\u{200b}",
        ] {
            assert!(is_absent(absent), "{absent:?}");
        }
        for there in ["nullable", "null null", "-", "0", "n", "\"null\"", "NaN", "nothing", "ü"] {
            assert!(!is_absent(there), "{there:?}");
        }
    }

    #[test]
    fn the_ends_are_trimmed_of_what_is_unseen() {
        for (given, expected) in [
            ("a", "a"),
            ("\u{feff}a\u{200b}", "a"),
            (" \u{a0}a b\n", "a b"),
            ("\u{ad}", ""),
            ("", ""),
            ("ü ", "ü"),
        ] {
            assert_eq!(trim(given), expected, "{given:?}");
        }
    }

    #[test]
    fn what_goes_out_is_one_line_and_clean() {
        for (given, expected) in [
            ("a b~", "a b~"),
            ("佐藤 🚀 e\u{301} a\u{200d}b", "佐藤 🚀 e\u{301} a\u{200d}b"),
            ("a\r\n\nb", "a b"),
            ("a \n b\t", "a  b"),
            ("\na\u{b}b\u{2028}c\u{85}", "a b c"),
            ("a\0b", "a\u{fffd}b"),
            ("\u{1b}[31m\u{9b}\u{7f}", "\u{fffd}[31m\u{fffd}\u{fffd}"),
            ("\u{202e}exe.doc\u{2066}", "\u{fffd}exe.doc\u{fffd}"),
        ] {
            assert_eq!(clean(given), expected, "{given:?}");
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("ab", 3), "ab");
    }
}
