//! Hostile records: too deep, too large, too many fields, and texts that try to inject into names,
//! topics and logs. Each gets the right fate on a small stack, with bounded output. The inputs are
//! so large that a step with quadratic cost would not finish.

use audit_cases::Setup;
use audit_judge::fate::{Audited, Fate};
use serde_json::{Value, json};

const MEGABYTE: usize = 1_000_000;
/// A worker's thread has 2 MiB; recursion per level would need far more than this.
const STACK_BYTES: usize = 512 * 1024;

/// A record that is audited.
const GOOD: &str = r#"{"accountId":307608,"eventCreateDate":"2021-07-14T09:12:44.318207-05:00","eventName":"Power On","label":"web01.example.com","objectId":1234567,"objectName":"Server","userId":6100101,"userType":"CUSTOMER""#;

/// Returns the good record with one field added or replaced.
fn with(name: &str, value: &str) -> Vec<u8> {
    let good: Value = serde_json::from_str(&format!("{GOOD}}}")).expect("JSON");
    let fields = good.as_object().expect("an object").iter();
    let kept = fields.filter(|(field, _)| *field != name);
    let kept: String = kept.map(|(field, value)| format!("\"{field}\":{value},")).collect();
    format!("{{{kept}\"{name}\":{value}}}").into_bytes()
}

fn nested(opening: &str, closing: &str, depth: usize) -> String {
    format!("{}0{}", opening.repeat(depth), closing.repeat(depth))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns the kind and reason of a fate.
fn kind_text(fate: &Fate) -> String {
    let kind = fate.kind();
    format!("{} {}", kind.fate(), kind.reason()).trim_end().to_string()
}

/// The description of a record, the record, and its expected fate.
type Case = (&'static str, Vec<u8>, &'static str);

fn depths() -> Vec<Case> {
    let lists = nested("[", "]", MEGABYTE);
    let objects = nested("{\"a\":", "}", MEGABYTE);
    let text = quoted(&lists);
    vec![
        ("lists alone", lists.clone().into(), "quarantined malformed"),
        ("objects alone", objects.clone().into(), "quarantined malformed"),
        (
            "an opening that never closes",
            "{\"a\":[".repeat(MEGABYTE).into(),
            "quarantined malformed",
        ),
        ("lists in an unknown field", with("unknown", &lists), "audited"),
        ("objects in an unknown field", with("unknown", &objects), "audited"),
        ("lists in an id", with("accountId", &lists), "quarantined malformed"),
        ("objects in a name", with("eventName", &objects), "quarantined malformed"),
        ("objects on behalf of", with("onBehalfOf", &objects), "audited"),
        ("lists in a state", with("newState", &lists), "audited"),
        ("objects in metadata", with("metaData", &objects), "audited"),
        ("lists in metadata in a text", with("metaData", &text), "audited"),
    ]
}

fn numbers() -> Vec<Case> {
    let digits = "9".repeat(MEGABYTE);
    vec![
        ("an id of a million digits", with("objectId", &digits), "quarantined malformed"),
        ("an id beyond floating point", with("objectId", "1e400"), "quarantined malformed"),
        ("an id that is a fraction", with("objectId", "1234567.5"), "quarantined malformed"),
        ("an id below zero", with("objectId", "-1"), "quarantined malformed"),
        ("an id above 64 bits", with("objectId", "18446744073709551616"), "quarantined malformed"),
        ("an unknown number beyond floating point", with("unknown", "1e999999999"), "audited"),
        ("an unknown number of a million digits", with("unknown", &digits), "audited"),
        (
            "a version of a million digits",
            with("schemaVersion", &digits),
            "quarantined unsupported_version",
        ),
        ("a reason code beyond its range", with("reasonCode", "99999"), "quarantined malformed"),
        (
            "a year that does not exist",
            with("eventCreateDate", "\"99999-01-01T00:00:00Z\""),
            "quarantined malformed",
        ),
    ]
}

fn sizes() -> Vec<Case> {
    let long = quoted(&"x".repeat(10 * MEGABYTE));
    let escapes = format!("\"{}\"", "\\u0007\\\"".repeat(MEGABYTE));
    let keys: String = (0..200_000).map(|key| format!("\"k{key}\":1,")).collect();
    let same = "\"k\":1,".repeat(MEGABYTE);
    let attributes = format!("{{{}\"z\":1}}", keys);
    vec![
        ("10 MB of an unknown field", with("unknown", &long), "audited"),
        ("10 MB of an id", with("userId", &long), "quarantined malformed"),
        ("10 MB of a name", with("eventName", &long), "skipped unlisted_action"),
        ("10 MB of a label", with("label", &long), "audited"),
        ("10 MB of a reason", with("reasonForFailure", &long), "audited"),
        ("10 MB of a trace", with("traceId", &long), "audited"),
        ("10 MB of a user", with("username", &long), "audited"),
        ("10 MB of an agent", with("userAgent", &long), "audited"),
        ("10 MB of an address", with("ipAddress", &long), "audited"),
        ("10 MB of metadata", with("metaData", &long), "audited"),
        ("escapes", with("label", &escapes), "audited"),
        ("escapes in metadata", with("metaData", &escapes), "audited"),
        ("many attributes", with("metaData", &attributes), "audited"),
        ("many keys", format!("{{{keys}{}}}", &GOOD[1..]).into(), "audited"),
        ("one unknown key, often", format!("{{{same}{}}}", &GOOD[1..]).into(), "audited"),
        (
            "one known key, twice",
            format!("{GOOD},\"objectId\":7}}").into(),
            "quarantined malformed",
        ),
        ("blanks", format!("{}{GOOD}}}", " ".repeat(10 * MEGABYTE)).into(), "audited"),
    ]
}

fn encodings() -> Vec<Case> {
    let at = |position: usize| {
        let mut record = format!("{GOOD}}}").into_bytes();
        record.insert(position, 0xff);
        record
    };
    vec![
        ("a stray byte at the beginning", at(0), "quarantined malformed"),
        ("a stray byte in a name", at(20), "quarantined malformed"),
        ("a stray byte at the end", at(GOOD.len() + 1), "quarantined malformed"),
        ("a surrogate alone in a label", with("label", "\"\\ud800\""), "audited"),
        ("a surrogate alone in metadata", with("metaData", "\"\\ud800\""), "audited"),
        ("a byte order mark", format!("\u{feff}{GOOD}}}").into(), "quarantined malformed"),
        ("nothing but NULs", vec![0; MEGABYTE], "quarantined malformed"),
    ]
}

#[test]
fn hostile_records_get_their_fate_on_a_small_stack() {
    let judging = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(|| {
        let setup = Setup::new("");
        let cases = [depths(), numbers(), sizes(), encodings()].concat();
        let wrong = cases.into_iter().filter_map(|(name, record, expected)| {
            let fate = setup.judge(Some(&record));
            assert_bounded(name, &fate, &setup);
            (kind_text(&fate) != expected)
                .then(|| format!("{name}: {}, not {expected}", kind_text(&fate)))
        });
        wrong.collect::<Vec<String>>()
    });
    let wrong = judging.expect("a thread").join().expect("no panic");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Asserts that the event or the detail is bounded, however large the record is.
fn assert_bounded(name: &str, fate: &Fate, setup: &Setup) {
    match fate {
        Fate::Audited(audited) => {
            assert!(audited.event.len() <= setup.rules.max_event_bytes, "{name}");
            assert!(audited.envelope.device.len() <= 64, "{name}");
        }
        Fate::Quarantined(quarantine) => {
            let detail = &quarantine.detail;
            assert!(detail.chars().count() <= 400, "{name}: {detail}");
            assert!(!detail.chars().any(char::is_control), "{name}: {detail}");
        }
        Fate::Skipped(_) => {}
    }
}

/// Texts that try to end a name, line, string or label, or to control a terminal.
const INJECTIONS: [&str; 12] = [
    "a\r\nlevel=ERROR forged=1",
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "x::y:z/..",
    "crn:v1:evil:public:svc:us-south:a/1::server:1",
    "../../etc/passwd",
    "a\",\"action\":\"forged",
    "} 1\n# HELP forged forged",
    "{account}{location}",
    "%s%n${jndi:ldap://x}",
    "\u{202e}cod.exe\u{2028}next",
    "a\u{0}b",
    "<script>alert(1)</script>",
];

/// Every field with text from the producer.
const TEXTS: [&str; 20] = [
    "accountId",
    "objectId",
    "objectName",
    "eventKey",
    "eventName",
    "userType",
    "userId",
    "username",
    "openIdConnectUserName",
    "iamId",
    "credentialType",
    "ipAddress",
    "userAgent",
    "label",
    "datacenter",
    "outcome",
    "reasonForFailure",
    "traceId",
    "eventId",
    "metaData",
];

#[test]
fn no_text_escapes_its_field() {
    let setup = Setup::new("");
    let mut audited = 0;
    for field in TEXTS {
        for injection in INJECTIONS {
            let name = format!("{field}: {injection:?}");
            let fate = setup.judge(Some(&with(field, &quoted(injection))));
            assert_bounded(&name, &fate, &setup);
            if let Fate::Audited(event) = &fate {
                audited += 1;
                assert_shape_kept(&name, event, &setup);
            }
        }
    }
    assert!(audited > 50, "only {audited} of them were audited");
}

/// Asserts that the event is one line of JSON, that its CRNs have only the relay's own segments,
/// and that region and device are valid in headers, keys and labels.
fn assert_shape_kept(name: &str, event: &Audited, setup: &Setup) {
    assert!(!event.event.iter().any(|byte| *byte < b' '), "{name}: control characters");
    let value: Value = serde_json::from_slice(&event.event).expect("JSON");
    let plain: Value = {
        let Fate::Audited(plain) = setup.judge(Some(format!("{GOOD}}}").as_bytes())) else {
            panic!("the good record must be audited");
        };
        serde_json::from_slice(&plain.event).expect("JSON")
    };
    for fixed in ["action", "logSourceCRN"] {
        assert_eq!(value[fixed], plain[fixed], "{name}");
    }
    // A reason for failure implies that the action failed.
    let failed = name.starts_with("reasonForFailure");
    let severity = if failed { "warning" } else { "normal" };
    assert_eq!(value["severity"], severity, "{name}");
    assert_eq!(value["target"]["id"], plain["target"]["id"], "{name}");
    assert_eq!(value["target"]["id"].as_str().map(|id| id.split(':').count()), Some(10), "{name}");
    assert_eq!(event.envelope.device, "1234567", "{name}");
    assert!(event.envelope.region.0 < setup.rules.routes.regions().len(), "{name}");
}

/// The problem of a bad table record goes to the log.
#[test]
fn bad_table_records_are_reported_in_one_line() {
    use audit_judge::reference::{Oddities, parse_device_record, parse_principal_record};
    let odd = &mut Oddities::default();
    let deep = nested("[", "]", MEGABYTE).into_bytes();
    let value = json!({"accountId": INJECTIONS[0], "iamId": INJECTIONS[1], "name": INJECTIONS[2], "kind": format!("{}{}", INJECTIONS[1], "x".repeat(10_000))})
        .to_string();
    let mut reported = 0;
    for key in INJECTIONS.iter().map(|key| key.as_bytes()).chain([&b"\xff"[..], b"1/2"]) {
        for value in [Some(&deep[..]), Some(value.as_bytes()), Some(b"\xff\n"), None] {
            let problems = [
                parse_principal_record(key, value, Some(1), odd).err(),
                parse_device_record(key, value, Some(1), odd).err(),
            ];
            for problem in problems.into_iter().flatten() {
                let text = problem.to_string();
                assert!(!text.chars().any(char::is_control), "{text:?}");
                assert!(text.chars().count() < 1_000, "{text}");
                reported += 1;
            }
        }
    }
    // Both tables refuse bad keys, whatever the value. `1/2` is a valid principal key, so its
    // tombstone is accepted.
    assert_eq!(reported, (INJECTIONS.len() + 1) * 4 * 2 + 3 + 4);
}
