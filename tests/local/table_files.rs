//! Table files as people and tools write them: accepted forms, and refusals with a helpful reason.

use std::path::Path;

use audit_relay::config::Config;
use audit_relay::deployment::{Deployment, FileProblems};

const LINE: &str = r#"{"accountId":1,"userId":2,"name":"ä","validFrom":"2018-01-01T00:00:00Z"}"#;

fn load(folder: &Path, principals: &[u8]) -> Result<Deployment, FileProblems> {
    let (file, devices) = (folder.join("p.jsonl"), folder.join("d.jsonl"));
    std::fs::write(&file, principals).expect("written");
    std::fs::write(&devices, "").expect("written");
    let text = format!(
        "kafka.\"bootstrap.servers\" = \"b:1\"\nprincipals.file = {file:?}\ndevices.file = {devices:?}\n"
    );
    Deployment::load(&Config::from_toml(&text, std::iter::empty()).expect("good"))
}

fn utf_16(text: &str, mark: bool) -> Vec<u8> {
    let mark = mark.then_some(0xfeff);
    let units = mark.into_iter().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

#[test]
fn files_are_accepted_with_a_byte_order_mark_and_any_line_ending() {
    let folder = tempfile::tempdir().expect("a folder");
    let other = LINE.replace(":2,", ":3,");
    for text in [
        format!("{LINE}\n{other}\n"),
        format!("\u{feff}{LINE}\r\n\r\n{other}"),
        format!("\n  \n{LINE}\n{other}\n\n"),
    ] {
        let deployment = load(folder.path(), text.as_bytes()).expect("taken");
        assert_eq!(deployment.reference.principals.len(), 2, "{text:?}");
        // The devices table may be empty: records can contain their location.
        assert!(deployment.reference.devices.is_some_and(|devices| devices.is_empty()));
    }
}

#[test]
fn refused_files_are_reported_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let latin_1: Vec<u8> = LINE.chars().map(|c| c as u8).collect();
    let cut = format!("{LINE}\n{}", &LINE[..50]);
    let cases: [(&[u8], &[&str]); 9] = [
        (b"", &["no entry", "principals.file", "mv"]),
        (b"\n \r\n", &["no entry"]),
        ("\u{feff}".as_bytes(), &["no entry"]),
        (&utf_16(LINE, true), &["UTF-16", "principals.file", "iconv"]),
        (&utf_16(LINE, false), &["UTF-16"]),
        (&latin_1, &["not UTF-8"]),
        (&LINE.as_bytes()[..20], &["p.jsonl:1:", "EOF"]),
        (cut.as_bytes(), &["p.jsonl:2:"]),
        (b"[]", &["p.jsonl:1:", "a JSON object"]),
    ];
    for (bytes, words) in cases {
        let problems = load(folder.path(), bytes).expect_err("refused").to_string();
        for word in words {
            assert!(problems.contains(word), "{word}: {problems}");
        }
    }
}
