//! Each refusal with its message, on small files that are valid except for one problem.

use super::super::*;

const HEAD: &str = r#"
family = "test"
enabled = true
service = "s"
display_name = "Test"
classes = ["C"]
resource_type = "t"
"#;

/// Returns a valid row, except that the keys in `lines` replace its own.
fn row(lines: &str) -> String {
    let defaults = [
        ("name", "\"s.o.v\""),
        ("events", "[\"Event\"]"),
        ("target_type", "\"s/o\""),
        ("severity", "\"normal\""),
    ];
    let kept = defaults
        .iter()
        .filter(|(key, _)| !lines.lines().any(|line| line.starts_with(&format!("{key} ="))));
    let kept: String = kept.map(|(key, value)| format!("{key} = {value}\n")).collect();
    format!("[[action]]\n{kept}{lines}\n")
}

fn problems(texts: &[&str]) -> Vec<String> {
    let names = ["one.toml", "two.toml"];
    let files: Vec<_> =
        names.into_iter().zip(texts).map(|(name, text)| CatalogFile { name, text }).collect();
    match Catalog::load(&files, &Switches::default()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_right_row_is_right() {
    let text = format!(
        "{HEAD}{}",
        row(
            "permission = \"P\"\nresponse_data = [\"a\"]\nclasses = [\"D\"]\nresource_type = \"x\"\ndisplay_name = \"Other\""
        )
    );
    let file = CatalogFile { name: "one.toml", text: &text };
    let catalog = Catalog::load(&[file], &Switches::default()).unwrap();
    let only = catalog.actions().next().unwrap();
    assert_eq!((only.resource_type.as_str(), only.display_name.as_str()), ("x", "Other"));
    assert!(catalog.listed("C", None, Some("event")).is_none());
    assert!(catalog.listed("D", None, Some("event")).is_some());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
fn rows_that_could_not_be_judged_by_are_refused() {
    let long = format!("events = [\"{}\"]", "x".repeat(129));
    let long_message = format!(
        "`events` holds \"{}\", which is longer than 128 bytes and would never be found: shorten it",
        "x".repeat(129)
    );
    let cases = [
        ("serverity = \"x\"", "unknown key `serverity`: did you mean `severity`?"),
        ("severity = \"high\"", "unknown severity `high`: write normal, warning or critical"),
        ("severity = \"Normal\"", "unknown severity `Normal`: write normal, warning or critical"),
        ("events = []", "matches no events: name some in `events`, or in `match` with a condition"),
        ("events = [\"- _\"]", "`events` holds \"- _\", which has no letter: remove it"),
        (&long, &long_message),
        ("classes = []", "`classes` is empty: name the upstream classes"),
        (
            "resource_type = \"a:b\"",
            "`resource_type` is \"a:b\": write one or more of a-z, 0-9 and -",
        ),
        (
            "target_type = \" \"",
            "`target_type` is \" \": write service/object or service/object/attribute in a-z, 0-9 and -",
        ),
        (
            "target_type = \"Audit Log/THING\"",
            "`target_type` is \"Audit Log/THING\": write service/object or service/object/attribute in a-z, 0-9 and -",
        ),
        (
            "display_name = \"X: Y\"",
            "`display_name` is \"X: Y\": leave out colons and control characters, since the message has a colon behind it",
        ),
        (
            "place = \"datacenter\"",
            "`place` is for actions with `creates = true`: of what was there before, the device table knows the place",
        ),
        ("creates = true\nplace = \" \"", "`place` is blank: name a metadata key or leave it out"),
        (
            "permission = \"remote management\"",
            "`permission` is \"remote management\": write it as REMOTE_MANAGEMENT, in A-Z, 0-9 and _",
        ),
        (
            "request_data = [\"a b\"]",
            "`request_data` lists `a b`: write keys in letters, digits, _, . and -, with a letter first",
        ),
        (
            "response_data = [\"truncated\"]",
            "`response_data` lists `truncated`, which the relay writes itself: leave it out",
        ),
        ("request_data = [\"a\", \"a\"]", "`request_data` lists `a` twice: leave out one"),
        (
            "update = { type = \"t\", initial = \"\", new = \"n\" }",
            "`update.initial` is blank: say something or leave it out",
        ),
        (
            "update = { type = \"t\", old = \"o\", new = \"n\" }",
            "unknown field `old`, expected one of `type`, `initial`, `new`",
        ),
        (
            "match = [{ events = [\"X\"], when = { a = { in = [] } } }]",
            "`in` of the condition on `a` is empty: list values or leave it out",
        ),
        (
            "match = [{ events = [\"X\"], when = { a = { not_in = [] } } }]",
            "`not_in` of the condition on `a` is empty: list values or leave it out",
        ),
        (
            "match = [{ events = [\"X\"], when = { a = {} } }]",
            "the condition on `a` must say one thing: give it `in`, `not_in`, or `present = true`",
        ),
        (
            "match = [{ events = [\"X\"], when = { a = { in = [1], present = true } } }]",
            "the condition on `a` must say one thing: give it `in`, `not_in`, or `present = true`",
        ),
        (
            "match = [{ events = [\"X\"], when = {} }]",
            "`match` with an empty `when`: move its events to the row's own `events`",
        ),
        (
            "match = [{ events = [], when = { a = { in = [1] } } }]",
            "`match` without events: name the events that it is about",
        ),
        (
            "match = [{ events = [\"X\"], when = { a = { in = [0, \"1\"], not_in = [0.0, 1] } } }]",
            "the condition on `a` can never hold, for `not_in` excludes all of `in`: correct one of them",
        ),
        (
            "match = [{ events = [\"X\"], when = { a = { in = [[1]] } } }]",
            "the condition on `a` names [1]: only texts, finite numbers and booleans can be compared",
        ),
        (
            "match = [{ events = [\"X\"], when = { a = { is = [1] } } }]",
            "unknown field `is`, expected one of `in`, `not_in`, `present`",
        ),
    ];
    for (lines, expected) in cases {
        let found = problems(&[&format!("{HEAD}{}", row(lines))]);
        assert!(found.contains(&format!("one.toml: s.o.v: {expected}")), "{lines}: {found:#?}");
    }
}

#[test]
fn names_must_have_three_parts_and_the_files_service() {
    let form =
        "is not of the form service.object.verb in [a-z0-9-]: e.g. `audit-log.bare-metal.reboot`";
    for name in [
        "s.v", "s..v", ".o.v", "s.o.", "s.O.v", "s.o v.v", "s", "s.o.p.v", "s.-o.v", "s.o--p.v",
        "s.o.v.",
    ] {
        let found = problems(&[&format!("{HEAD}{}", row(&format!("name = \"{name}\"")))]);
        assert_eq!(found, [format!("one.toml: {name}: `{name}` {form}")]);
    }
    let found = problems(&[&format!("{HEAD}{}", row("name = \"x.o.v\""))]);
    assert_eq!(
        found,
        ["one.toml: x.o.v: the name's service `x` is not the file's, `s`: correct one of them"]
    );
}

#[test]
fn whole_files_that_are_refused() {
    let good = format!("{HEAD}{}", row(""));
    let without_service = good.replace("service = \"s\"\n", "");
    let cases = [
        ("a = ", "one.toml: line 1 is not valid TOML: "),
        (HEAD, "one.toml: describes no action: add [[action]] rows or leave the file out"),
        ("", "one.toml: missing field `family`"),
        (&without_service, "one.toml: missing field `service`"),
        (&good.replace("family", "famly"), "one.toml: unknown key `famly`: did you mean `family`?"),
        (
            &good.replace("\"test\"", "\"Te st\""),
            "one.toml: `family` is \"Te st\": write one or more of a-z, 0-9 and -",
        ),
        (
            &good.replace(
                "[[action]]",
                "attributes = { a = { also = [\"B\"] }, b = {} }\n[[action]]",
            ),
            "one.toml: `attributes.a.also` holds `B`, which is an attribute of its own: leave out one",
        ),
        (
            &good.replace("[[action]]", "[action]"),
            "one.toml: `action` must be written as [[action]] rows",
        ),
        (&good.replace("name = \"s.o.v\"\n", ""), "one.toml: action 1: missing field `name`"),
    ];
    for (text, expected) in cases {
        let found = problems(&[text]);
        assert!(
            found.iter().any(|problem| problem.starts_with(expected)),
            "{expected}: {found:#?}"
        );
    }
}

#[test]
fn all_problems_are_said_at_once() {
    let bad = format!(
        "{HEAD}{}{}",
        row("severity = \"high\"\nzzz = 1\nevents = []"),
        row("name = \"x\"")
    );
    assert_eq!(problems(&[&bad, "a = "]).len(), 5);
}

#[test]
fn a_name_given_twice_is_said_once() {
    let text = format!("{HEAD}{}", row(""));
    assert_eq!(
        problems(&[&text, &text]),
        ["two.toml: s.o.v: the name is given twice, first in one.toml: merge or rename the rows"]
    );
}

#[test]
fn overlapping_rows_are_refused_and_disjoint_ones_are_not() {
    let when = |test: &str| {
        format!("events = []\nmatch = [{{ events = [\"EVENT\"], when = {{ {test} }} }}]")
    };
    let overlap = "two.toml: s.o.w: could match the same record as `s.o.v` of one.toml, by `event` of class `c`: give each event to one of them, or tell them apart by `when`";
    let cases = [
        (String::new(), String::new(), true),
        (String::new(), "events = [\"e-vent\"]".to_owned(), true),
        (String::new(), "events = [\"Other\"]".to_owned(), false),
        (String::new(), "classes = [\"D\"]".to_owned(), false),
        (String::new(), "classes = [\"D\", \" c\"]".to_owned(), true),
        (String::new(), when("a = { in = [1] }"), true),
        (when("a = { in = [1] }"), when("a = { in = [2] }"), false),
        (when("a = { in = [1] }"), when("a = { in = [\"1\", 2] }"), true),
        (when("a = { in = [1] }"), when("a = { not_in = [1.0] }"), false),
        (when("a = { in = [1] }"), when("b = { not_in = [1] }"), true),
        (when("a = { not_in = [1] }"), when("a = { not_in = [2] }"), true),
        (
            when("a = { in = [1] }, b = { in = [1] }"),
            when("a = { in = [1] }, b = { in = [2] }"),
            false,
        ),
    ];
    for (one, two, overlaps) in cases {
        // The second file is disabled, which does not excuse it.
        let first = format!("{HEAD}{}", row(&one));
        let second = format!("{HEAD}{}", row(&format!("name = \"s.o.w\"\n{two}")))
            .replace("enabled = true", "enabled = false");
        let found = problems(&[&first, &second]);
        let expected: &[&str] = if overlaps { &[overlap] } else { &[] };
        assert_eq!(found, expected, "{one} / {two}");
    }
}
