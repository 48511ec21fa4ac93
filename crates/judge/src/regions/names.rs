//! Other names of data centers: their key names and long names, from `[names]` of the location
//! table. It does not know where and when data centers exist.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::data_file::Report;
use crate::text::names::{NAME_BYTES_MAX, normalise};

/// Names by what they belong to: a code, or the letters that codes begin with.
pub(super) type NameTexts = BTreeMap<String, Vec<String>>;

/// Codes by every name in its comparable form, including the code itself.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, String>);

impl Names {
    /// Returns the code of a name in any spelling, with or without a suffix.
    pub(super) fn code(&self, written: &str) -> Option<&str> {
        // A name may be longer than its comparable form, which drops some characters.
        if written.len() > 8 * NAME_BYTES_MAX {
            return None;
        }
        let find = |name: &str| self.0.get(normalise(name).as_ref());
        let found = find(written).or_else(|| find(without_suffix(written)));
        found.map(String::as_str)
    }

    /// Assigns names to the codes. The result is usable only if no problem was reported.
    pub(super) fn read(texts: &NameTexts, codes: &BTreeSet<&str>, report: &mut Report<'_>) -> Self {
        check_keys(texts, codes, report);
        let mut names = Names::default();
        for code in codes {
            names.add(code, code, report);
            for name in names_of(code, texts) {
                names.add(&name, code, report);
            }
        }
        names
    }

    fn add(&mut self, name: &str, code: &str, report: &mut Report<'_>) {
        let normal = normalise(name).into_owned();
        let known = self.0.entry(normal).or_insert_with(|| code.to_owned());
        report.require(known == code, || {
            format!("`{name}` names both `{known}` and `{code}`: leave out one")
        });
    }
}

fn check_keys(texts: &NameTexts, codes: &BTreeSet<&str>, report: &mut Report<'_>) {
    for (key, names) in texts {
        let mut codes = codes.iter();
        let is_used = codes.any(|code| *code == key || split_number(code).0 == key);
        report.require(is_used, || {
            format!("`names.{key}` is neither a data center of this table nor the letters before a number: correct or remove it")
        });
        let is_blank = |name: &String| normalise(name).is_empty();
        report.require(!names.iter().any(is_blank), || {
            format!("`names.{key}` holds a blank name: remove it")
        });
    }
}

/// Returns the names of one code as written: its own, and those of its city with its number, padded
/// and unpadded.
fn names_of(code: &str, texts: &NameTexts) -> Vec<String> {
    let listed = |key: &str| texts.get(key).map_or(&[][..], Vec::as_slice);
    let mut names = listed(code).to_vec();
    let (city, number) = split_number(code);
    let plain = number.trim_start_matches('0');
    for name in listed(city).iter().filter(|_| !plain.is_empty()) {
        names.push(format!("{name} {plain}"));
        names.push(format!("{name} {number}"));
    }
    names
}

/// Splits `dal05` into `dal` and `05`.
fn split_number(code: &str) -> (&str, &str) {
    let city = code.trim_end_matches(|c: char| c.is_ascii_digit());
    (city, code.strip_prefix(city).unwrap_or_default())
}

/// Returns a code or name without the pod that may follow it.
pub(super) fn without_suffix(written: &str) -> &str {
    written.split_once('.').map_or(written, |(code, _)| code)
}

#[cfg(test)]
mod tests {
    use crate::regions::locations::Locations;

    fn code(written: &str) -> Option<String> {
        let six = Locations::embedded("six").expect("the shipped table is good");
        let at = "2019-06-01T00:00:00Z".parse().expect("a time");
        let place = six.locate(written, at);
        place.map(|place| place.data_center.to_owned())
    }

    #[test]
    fn data_centers_are_known_by_key_name_and_long_name() {
        for (expected, names) in [
            ("dal01", "Dallas 1; DALLAS01"),
            ("dal05", "DALLAS05; Dallas 5; dallas 05; Dallas5"),
            ("dal10", "DALLAS10; Dallas 10; DALLAS10.pod01; Dallas 10.pod01"),
            (
                "dal13",
                "dallas 13; DALLAS13; Dallas-13; DALLAS_13; \u{feff}Dal\u{ad}las\u{a0}13\u{200b}",
            ),
            ("fra02", "Frankfurt 2; FRANKFURT02"),
            ("ams03", "Amsterdam 3; AMSTERDAM03"),
            ("che01", "Chennai 1; CHENNAI01"),
            ("hkg02", "Hong Kong 2; HONGKONG02"),
            ("hou02", "Houston 2; HOUSTON02"),
            ("lon06", "London 6; LONDON06"),
            ("mad05", "Madrid 5; MADRID05"),
            ("mel01", "Melbourne 1; MELBOURNE01"),
            ("mex01", "Mexico 1; MEXICO01; Mexico City 1"),
            ("mil01", "Milan 1; MILAN01; MILAN"),
            ("mon01", "Montreal 1; MONTREAL01"),
            ("osa23", "Osaka 23; OSAKA23"),
            ("osl01", "Oslo 1; OSLO01"),
            ("par01", "Paris 1; PARIS01; PARIS"),
            ("sao01", "Sao Paulo 1; São Paulo 1; SAOPAULO01"),
            ("sea01", "Seattle 1; SEATTLE01; Seattle"),
            ("seo01", "Seoul 1; SEOUL01"),
            ("sjc04", "San Jose 4; SANJOSE04"),
            ("sng01", "Singapore 1; SINGAPORE01"),
            ("syd05", "Sydney 5; SYDNEY05"),
            ("tok02", "Tokyo 2; TOKYO02"),
            ("tor04", "Toronto 4; TORONTO04"),
            ("wdc07", "Washington 7; WASHINGTON07; Washington, DC 7"),
        ] {
            for name in names.split("; ") {
                assert_eq!(code(name).as_deref(), Some(expected), "{name:?}");
            }
        }
    }

    #[test]
    fn codes_are_known_in_the_spellings_of_names() {
        for written in ["dal 10", "DAL-10", "dal10\u{a0}", "\u{200b}dal10.pod01", "D A L 1 0"] {
            assert_eq!(code(written).as_deref(), Some("dal10"), "{written:?}");
        }
    }

    #[test]
    fn what_names_no_single_data_center_is_unknown() {
        let long = format!("Dallas{}10", " ".repeat(1_024));
        for written in [
            "Dallas",
            "DALLAS",
            "Frankfurt",
            "Dallas 3",
            "Dallas 100",
            "Dallas 010",
            "dal",
            "10",
            "5",
            "Dallas 10, Texas",
            "Atlantis 1",
            "",
            " ",
            "-",
            &long,
        ] {
            assert_eq!(code(written), None, "{written:?}");
        }
    }

    fn problems(names: &str, codes: &str) -> Vec<String> {
        let text = format!(
            "profiles = [\"six\"]\nnames = {{ {names} }}\n[[entry]]\ndata_centers = [{codes}]\nregion = \"r\"\n"
        );
        let found = Locations::load("t.toml", &text, "six").err();
        let found = found.unwrap_or_default().into_iter();
        found.map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn names_that_could_not_be_judged_by_are_refused() {
        let shared = |name: &str, one: &str, other: &str| {
            format!("t.toml: `{name}` names both `{one}` and `{other}`: leave out one")
        };
        for (names, codes, expected) in [
            ("a = ['Here'], b = ['Here']", "'a01', 'b02'", None),
            ("a01 = ['Here', 'here', 'a01']", "'a01'", None),
            ("a = []", "'a01'", None),
            ("a = ['Here'], b = ['h e-r_e']", "'a01', 'b01'", Some(shared("h e-r_e 1", "a01", "b01"))),
            ("a = ['Here']", "'a01', 'a1'", Some(shared("Here 1", "a01", "a1"))),
            ("a = ['Here'], b02 = ['here 1']", "'a01', 'b02'", Some(shared("here 1", "a01", "b02"))),
            ("b = ['a']", "'a01', 'b01'", Some(shared("a 01", "a01", "b01"))),
            ("", "'a-1', 'a1'", Some(shared("a1", "a-1", "a1"))),
            (
                "ab = ['Here']",
                "'a01'",
                Some("t.toml: `names.ab` is neither a data center of this table nor the letters before a number: correct or remove it".to_owned()),
            ),
            ("a01 = ['\u{a0}-']", "'a01'", Some("t.toml: `names.a01` holds a blank name: remove it".to_owned())),
        ] {
            let found = problems(names, codes);
            assert_eq!(found.first(), expected.as_ref(), "{names}: {found:?}");
        }
        let found = problems("a = 'Here'", "'a01'");
        assert!(found.iter().any(|problem| problem.contains("sequence")), "{found:?}");
    }
}
