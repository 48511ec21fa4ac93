//! The shipped location table as a table of expectations, the limits of its dates, and each refusal
//! with its message.

use jiff::Timestamp;

use super::*;

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn region(locations: &Locations, code: &str, time: &str) -> Option<String> {
    let place = locations.locate(code, at(time))?;
    assert_eq!(place.data_center, code);
    Some(place.region.to_owned())
}

/// (data centers, region with six, region with all), as of June 2024.
const TODAY: &[(&str, &str, &str)] = &[
    (
        "dal01 dal02 dal04 dal05 dal06 dal07 dal08 dal09 dal10 dal12 dal13 dal14",
        "us-south",
        "us-south",
    ),
    ("hou02 sea01 sjc01 sjc03 sjc04 mex01", "us-south", "us-south"),
    ("wdc01 wdc03 wdc04 wdc06 wdc07", "us-east", "us-east"),
    ("mon01", "us-east", "us-east"),
    ("mon04", "us-east", "ca-mon"),
    ("tor01 tor04 tor05", "us-east", "ca-tor"),
    ("sao01 sao04 sao05", "us-south", "br-sao"),
    ("lon02 lon04 lon05 lon06", "eu-gb", "eu-gb"),
    ("fra02 fra04 fra05 ams01 ams03 par01 mil01 osl01", "eu-de", "eu-de"),
    ("mad02 mad04 mad05", "eu-de", "eu-es"),
    ("syd01 syd04 syd05 mel01", "au-syd", "au-syd"),
    ("tok02 tok04 tok05 sng01 hkg02", "jp-tok", "jp-tok"),
    ("osa21 osa22 osa23", "jp-tok", "jp-osa"),
    ("seo01", "jp-tok", "jp-tok"),
    ("che01 che02", "jp-tok", "in-che"),
];

#[test]
fn every_data_center_has_its_region_in_both_profiles() {
    let six = Locations::embedded("six").unwrap();
    let all = Locations::embedded("all").unwrap();
    let mut count = 0;
    for (codes, in_six, in_all) in TODAY {
        for code in codes.split(' ') {
            let time = "2024-06-01T00:00:00Z";
            assert_eq!(region(&six, code, time).as_deref(), Some(*in_six), "{code}");
            assert_eq!(region(&all, code, time).as_deref(), Some(*in_all), "{code}");
            count += 1;
        }
    }
    assert_eq!(six.periods.len(), count, "the table has data centers that are not tested");
}

/// (data centers, the first moment of the later region, [before, after] with six, and with all)
const EDGES: &[(&str, &str, [&str; 2], [&str; 2])] = &[
    (
        "wdc01 wdc03 wdc04 wdc06 wdc07",
        "2020-12-01T00:00:00Z",
        ["us-south", "us-east"],
        ["us-south", "us-east"],
    ),
    ("mad02 mad04 mad05", "2023-01-01T00:00:00Z", ["eu-de", "eu-de"], ["eu-de", "eu-es"]),
    ("osa21 osa22 osa23", "2021-12-01T00:00:00Z", ["jp-tok", "jp-tok"], ["jp-tok", "jp-osa"]),
    ("seo01", "2020-01-01T00:00:00Z", ["jp-tok", "jp-tok"], ["jp-tok", "kr-seo"]),
    ("seo01", "2023-01-01T00:00:00Z", ["jp-tok", "jp-tok"], ["kr-seo", "jp-tok"]),
    ("che01 che02", "2020-12-01T00:00:00Z", ["jp-tok", "jp-tok"], ["jp-tok", "in-che"]),
];

#[test]
fn a_date_belongs_to_the_entry_that_begins_then() {
    for (profile, pick) in [("six", 0), ("all", 1)] {
        let locations = Locations::embedded(profile).unwrap();
        for (codes, first, six, all) in EDGES {
            let [before, after] = [six, all][pick];
            let first = at(first);
            let last = first - jiff::SignedDuration::from_nanos(1);
            for code in codes.split(' ') {
                let find = |time| locations.locate(code, time).map(|place| place.region);
                assert_eq!(find(last), Some(*before), "{profile} {code} {last}");
                assert_eq!(find(first), Some(*after), "{profile} {code} {first}");
            }
        }
    }
}

#[test]
fn undated_entries_hold_always() {
    let six = Locations::embedded("six").unwrap();
    for time in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        assert_eq!(six.locate("dal10", time).unwrap().region, "us-south");
        assert!(six.locate("wdc07", time).is_some());
    }
}

#[test]
fn spellings_of_a_code() {
    let six = Locations::embedded("six").unwrap();
    let now = at("2024-06-01T00:00:00Z");
    for code in ["dal10", "DAL10", " Dal10\t", "dal10.pod01", "DAL10.", "dal10.pod01.x"] {
        let place = six.locate(code, now);
        let expected = Place { data_center: "dal10", region: "us-south" };
        assert_eq!(place, Some(expected), "{code:?}");
    }
    let long = "dal10".repeat(7);
    for code in ["", " ", ".", ".dal10", "dal11", "dal10pod01", "däl10", "ﬁ", &long] {
        assert_eq!(six.locate(code, now), None, "{code:?}");
    }
}

#[test]
fn the_regions_of_a_profile_are_sorted_and_complete() {
    let regions = |profile| -> Vec<String> {
        let locations = Locations::embedded(profile).unwrap();
        locations.regions().map(str::to_owned).collect()
    };
    assert_eq!(regions("six"), ["au-syd", "eu-de", "eu-gb", "jp-tok", "us-east", "us-south"]);
    assert_eq!(
        regions("all"),
        [
            "au-syd", "br-sao", "ca-mon", "ca-tor", "eu-de", "eu-es", "eu-gb", "in-che", "jp-osa",
            "jp-tok", "kr-seo", "us-east", "us-south",
        ]
    );
}

fn problems(text: &str) -> Vec<String> {
    let text = format!("profiles = [\"six\", \"all\"]\n{text}");
    match Locations::load("t.toml", &text, "six") {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn entries_that_could_not_be_judged_by_are_refused() {
    let cases = [
        ("regoin = \"b\"", "unknown key `regoin`: did you mean `region`?"),
        ("data_centers = []", "`data_centers` is empty: name some or remove the entry"),
        (
            "region = \"US South\"",
            "`US South` is not a region's name: write one or more of a-z, 0-9 and -",
        ),
        ("region = \"\"", "`` is not a region's name: write one or more of a-z, 0-9 and -"),
        ("region = { six = \"a\" }", "no region for the profile `all`: add one"),
        (
            "region = { six = \"a\", all = \"_\" }",
            "`_` is not a region's name: write one or more of a-z, 0-9 and -",
        ),
        (
            "region = { six = \"a\", all = \"b\", ten = \"c\" }",
            "a region for the unknown profile `ten`: add it to `profiles` or remove it",
        ),
        ("region = 1", "`region` must be one name, or a table of one name for each profile"),
        (
            "valid_from = 2021-01-01\nvalid_to = 2021-01-01",
            "`valid_to` (2021-01-01T00:00:00Z) is not after `valid_from` (2021-01-01T00:00:00Z): correct one of them",
        ),
        (
            "valid_from = 2021-01-01\nvalid_to = 2020-12-31T23:00:00-00:30",
            "`valid_to` (2020-12-31T23:30:00Z) is not after `valid_from` (2021-01-01T00:00:00Z): correct one of them",
        ),
        (
            "valid_from = 2021-01-01T00:00:00",
            "`valid_from` is 2021-01-01T00:00:00: write a date such as 2020-12-01, or a time with an offset such as 2020-12-01T00:00:00Z",
        ),
        (
            "valid_to = \"soon\"",
            "`valid_to` is soon: write a date such as 2020-12-01, or a time with an offset such as 2020-12-01T00:00:00Z",
        ),
        (
            "valid_to = 2020",
            "`valid_to` is 2020: write a date such as 2020-12-01, or a time with an offset such as 2020-12-01T00:00:00Z",
        ),
        (
            "data_centers = [\"aaa01\", \"aaa01\"]",
            "`aaa01` has another entry that holds at the same time: end one by `valid_to` where the other begins",
        ),
    ];
    for (lines, expected) in cases {
        let defaults = [("data_centers", "[\"aaa01\"]"), ("region", "\"a\"")];
        let kept = defaults.iter().filter(|(key, _)| !lines.starts_with(&format!("{key} =")));
        let kept: String = kept.map(|(key, value)| format!("{key} = {value}\n")).collect();
        let found = problems(&format!("[[entry]]\n{kept}{lines}\n"));
        let place = if lines.contains("[]") { "entry 1" } else { "entry 1 (aaa01)" };
        assert_eq!(found, [format!("t.toml: {place}: {expected}")], "{lines}");
    }
}

#[test]
fn codes_must_be_canonical() {
    for code in ["DAL10", "dal10.pod01", " dal10", "", &"x".repeat(33)] {
        let found = problems(&format!("[[entry]]\ndata_centers = [\"{code}\"]\nregion = \"a\"\n"));
        let expected = format!(
            "t.toml: entry 1 ({code}): `{code}` is not a data center's code: write up to 32 of a-z, 0-9 and -, without a suffix"
        );
        assert_eq!(found, [expected]);
    }
}

#[test]
fn a_code_of_32_characters_is_found() {
    let code = "x".repeat(32);
    let text =
        format!("profiles = [\"six\"]\n[[entry]]\ndata_centers = [\"{code}\"]\nregion = \"a\"\n");
    let locations = Locations::load("t.toml", &text, "six").expect("is taken");
    let found = region(&locations, &code, "2020-01-01T00:00:00Z");
    assert_eq!(found.as_deref(), Some("a"));
}

#[test]
fn whole_tables_that_are_refused() {
    let entry = "[[entry]]\ndata_centers = [\"a\"]\nregion = \"b\"\n";
    let cases = [
        ("profiles = [", "t.toml: line 1 is not valid TOML: "),
        (entry, "t.toml: missing field `profiles`"),
        ("profiles = [\"six\"]", "t.toml: has no entry: add [[entry]] rows"),
        ("profiles = [\"six\"]\nentry = 1", "t.toml: `entry` must be written as [[entry]] rows"),
        (
            &format!("profile = 1\n{entry}"),
            "t.toml: unknown key `profile`: did you mean `profiles`?",
        ),
        (
            &format!("profiles = [\"two\", \"one\"]\n{entry}"),
            "t.toml: unknown profile `six`: this table has one, two",
        ),
    ];
    for (text, expected) in cases {
        let found = Locations::load("t.toml", text, "six").unwrap_err();
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert!(
            found.iter().any(|problem| problem.starts_with(expected)),
            "{expected}: {found:#?}"
        );
    }
    let unknown = Locations::embedded("seven").unwrap_err();
    assert_eq!(unknown.len(), 1);
    assert_eq!(
        unknown[0].to_string(),
        "catalog/locations.toml: unknown profile `seven`: this table has all, six"
    );
}

#[test]
fn times_of_one_data_center_may_touch_but_not_overlap() {
    let cases = [
        ("", "", true),
        ("valid_to = 2020-01-01", "valid_from = 2020-01-01", false),
        ("valid_to = 2020-01-02", "valid_from = 2020-01-01", true),
        ("valid_to = 2020-01-01", "valid_from = 2021-01-01", false),
        ("valid_to = 2020-01-01", "", true),
        ("valid_from = 2020-01-01", "", true),
        ("valid_from = 2020-01-01", "valid_from = 2021-01-01", true),
        (
            "valid_from = 2020-01-01\nvalid_to = 2021-01-01",
            "valid_from = 2020-06-01\nvalid_to = 2020-07-01",
            true,
        ),
        ("valid_to = 2020-01-01T00:00:00Z", "valid_from = 2019-12-31T23:30:00-00:30", false),
        ("valid_to = \"2020-01-01\"", "valid_from = 2020-01-01", false),
    ];
    for (one, two, overlaps) in cases {
        for (one, two) in [(one, two), (two, one)] {
            let entry =
                |times| format!("[[entry]]\ndata_centers = [\"aaa01\"]\nregion = \"a\"\n{times}\n");
            let found = problems(&format!("{}{}", entry(one), entry(two)));
            assert_eq!(!found.is_empty(), overlaps, "{one} / {two}: {found:?}");
        }
    }
}

#[test]
fn a_gap_between_entries_has_no_region() {
    let text = "profiles = [\"six\"]\n[[entry]]\ndata_centers = [\"a\"]\nregion = \"r\"\nvalid_to = 2020-01-01\n[[entry]]\ndata_centers = [\"a\"]\nregion = \"s\"\nvalid_from = 2021-01-01\n";
    let locations = Locations::load("t.toml", text, "six").unwrap();
    assert_eq!(locations.locate("a", at("2020-06-01T00:00:00Z")), None);
    assert_eq!(region(&locations, "a", "2021-01-01T00:00:00Z").as_deref(), Some("s"));
}

#[test]
fn all_problems_are_said_at_once() {
    let found = problems(
        "x = 1\n[[entry]]\ndata_centers = [\"A\"]\nregion = \"B\"\n[[entry]]\nregion = 1\n",
    );
    assert_eq!(found.len(), 4, "{found:#?}");
}
