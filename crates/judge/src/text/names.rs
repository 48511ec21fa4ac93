//! Makes names comparable as producers write them: `Power Off`, `power-off` and `POWER_OFF` are one
//! name. Includes a table keyed by such names, whose look-up allocates nothing. It does not know
//! what the names mean.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::text::is_unseen;

/// Longest name that can be listed, in bytes after trimming. A longer name is looked up as
/// unlisted.
pub const NAME_BYTES_MAX: usize = 128;

/// Returns the comparable form of an event key, event name, class or code: ASCII letters in lower
/// case, without white space, hyphens, underscores and invisible characters (no-break and
/// zero-width spaces, soft hyphens, control characters).
///
/// Other letters are unchanged: Unicode's lower case differs between its versions.
pub fn normalise(text: &str) -> Cow<'_, str> {
    let is_normal = |byte: u8| byte.is_ascii() && !is_dropped(byte) && !byte.is_ascii_uppercase();
    if text.bytes().all(is_normal) {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().filter(|c| !is_unseen(*c) && !is_dash(*c));
    Cow::Owned(kept.map(|c| c.to_ascii_lowercase()).collect())
}

/// Returns whether [`normalise`] drops an ASCII byte.
const fn is_dropped(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'-' | b'_' | 0x7f)
}

/// Returns whether a character is a hyphen, an underscore, or what editors make of a hyphen.
const fn is_dash(c: char) -> bool {
    matches!(
        c,
        '-' | '_' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}'
    )
}

/// A map whose keys are names in their comparable form. Every record is looked up and most are not
/// listed, so it is optimised for the miss: it hashes the name as written, without copying or
/// normalising it first.
#[derive(Debug)]
pub(crate) struct NameTable<T>(HashMap<u64, Vec<Named<T>>, BuildHasherDefault<Summed>>);

#[derive(Debug)]
struct Named<T> {
    /// As in the catalogue's file, which is how producers mostly write it, so that one memory
    /// comparison matches it.
    written: String,
    normal: String,
    value: T,
}

impl<T> NameTable<T> {
    /// Looks up a name as the producer wrote it. Drops invisible characters only if the name is not
    /// found with them: most names are ASCII.
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        let found = self.find(name.trim_ascii());
        if found.is_none() && !name.is_ascii() {
            return self.find_normalised(name);
        }
        found
    }

    #[cold]
    fn find_normalised(&self, name: &str) -> Option<&T> {
        let is_short = name.len() <= 8 * NAME_BYTES_MAX;
        is_short.then(|| self.find(&normalise(name))).flatten()
    }

    fn find(&self, name: &str) -> Option<&T> {
        if name.len() > NAME_BYTES_MAX {
            return None;
        }
        let mut candidates = self.0.get(&sum(name))?.iter();
        candidates
            .find(|named| named.written == name || is_spelling_of(name, &named.normal))
            .map(|named| &named.value)
    }
}

/// Builds the table from names as written. No two may be spellings of the same name.
impl<T> FromIterator<(String, T)> for NameTable<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(rows: I) -> Self {
        let mut names = HashMap::<_, Vec<_>, _>::default();
        for (written, value) in rows {
            let normal = normalise(&written).into_owned();
            names.entry(sum(&normal)).or_default().push(Named { written, normal, value });
        }
        Self(names)
    }
}

fn is_spelling_of(name: &str, normal: &str) -> bool {
    let kept = name.bytes().filter(|byte| !is_dropped(*byte));
    kept.map(|byte| byte.to_ascii_lowercase()).eq(normal.bytes())
}

/// Sums the weights of a name's bytes, which is the same for all its spellings. Anagrams collide,
/// but the catalogue fixes the keys, so a sender of records cannot add collisions.
fn sum(name: &str) -> u64 {
    name.bytes().fold(0, |sum, byte| sum.wrapping_add(WEIGHTS[usize::from(byte)]))
}

/// Pseudo-random numbers, one for each byte; equal for both cases of a letter, and 0 for dropped
/// bytes.
static WEIGHTS: [u64; 256] = {
    let mut weights = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let lower = (byte as u8).to_ascii_lowercase();
        if !is_dropped(lower) {
            weights[byte] = scatter(lower as u64 + 1);
        }
        byte += 1;
    }
    weights
};

/// The output function of SplitMix64.
const fn scatter(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Passes the sums through as hashes: they are already scattered.
#[derive(Debug, Default)]
pub(crate) struct Summed(u64);

impl Hasher for Summed {
    fn write(&mut self, bytes: &[u8]) {
        // Never used for sums, which are whole words; correct for any other input.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, sum: u64) {
        self.0 = sum;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAME: &[(&str, &str)] = &[
        ("Power Off", "poweroff"),
        ("POWER_OFF", "poweroff"),
        ("power-off", "poweroff"),
        ("poweroff", "poweroff"),
        ("  Power  Off \t\r\n", "poweroff"),
        ("_-Power_-Off-_", "poweroff"),
        ("HARDWARE_POWER_OFF", "hardwarepoweroff"),
        ("Power\tOff", "poweroff"),
        ("Power\u{a0}Off", "poweroff"),
        ("Power\u{2011}Off", "poweroff"),
        ("\u{feff}Po\u{ad}wer\u{200b}Off\u{2003}", "poweroff"),
        ("Power\0Off", "poweroff"),
        ("Security Group Rule(s) Added", "securitygrouprule(s)added"),
        ("ÄÖÜ ß", "ÄÖÜß"),
        ("", ""),
        (" ", ""),
        ("-_-", ""),
    ];

    #[test]
    fn spellings() {
        for (given, expected) in SAME {
            assert_eq!(normalise(given), *expected, "{given:?}");
            let table: NameTable<()> = [(expected.to_string(), ())].into_iter().collect();
            assert!(table.get(given).is_some(), "{given:?}");
            for (other, normal) in SAME {
                let is_same = normal == expected;
                assert_eq!(table.get(other).is_some(), is_same, "{given:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_is_normal_already_is_not_copied() {
        assert!(matches!(normalise("poweroff"), Cow::Borrowed("poweroff")));
    }

    #[test]
    fn the_limit_is_in_bytes_of_the_trimmed_name() {
        let longest = "x".repeat(NAME_BYTES_MAX);
        let table: NameTable<u8> = [(longest.clone(), 7)].into_iter().collect();
        assert_eq!(table.get(&format!("  {longest}\n")), Some(&7));
        assert_eq!(table.get(&format!("{longest} x")), None);
        assert_eq!(table.get(&format!("{longest}_")), None);
    }

    #[test]
    fn anagrams_are_different_names() {
        let rows = [("Power Off", 1), ("Off Power", 2)];
        let table: NameTable<u8> = rows.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
        assert_eq!(table.0.len(), 1, "they share a sum");
        for (name, value) in rows {
            assert_eq!(table.get(name), Some(&value));
        }
        assert_eq!(table.get("OffPwoer"), None);
    }
}
