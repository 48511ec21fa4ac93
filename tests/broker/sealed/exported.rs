//! Exports of a trail: they verify like the topics, and any change to what is covered is evidence.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;
use crate::trail::KEPT_FOREVER;
use audit_testkit::random::Random;

/// Changes that are tried, each of its own export.
const CHANGES: u64 = 400;

/// The lines of each file.
type Files = BTreeMap<PathBuf, Vec<Value>>;

fn read(folder: &Path) -> Files {
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let lines = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("text");
        let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (path, lines)
    };
    files.map(lines).collect()
}

fn write(files: &Files) {
    for (path, lines) in files {
        let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(path, lines).expect("written");
    }
}

/// The stream of a record, or the key of a seal.
fn chain(record: &Value) -> Option<String> {
    let Some((_, chain)) = record["headers"].as_array()?.last().map(|it| (&it[0], &it[1])) else {
        return record["key"].as_str().map(String::from);
    };
    let chain = STANDARD.decode(chain.as_str()?).expect("Base64");
    String::from_utf8(chain).expect("text").split(' ').nth(1).map(String::from)
}

/// Flips a bit of some bytes in Base64.
fn flip(value: &mut Value, random: &Random) -> bool {
    let Some(text) = value.as_str() else { return false };
    let mut bytes = STANDARD.decode(text).expect("Base64");
    if bytes.is_empty() {
        return false;
    }
    let at = random.index(bytes.len());
    bytes[at] ^= 1 << random.index(8);
    *value = STANDARD.encode(bytes).into();
    true
}

/// Changes something that is covered. Returns what, or nothing if chance hit what is not there.
fn change(files: &mut Files, random: &Random) -> Option<String> {
    let index = random.index(files.len());
    let (path, lines) = files.iter_mut().nth(index)?;
    let is_seal = path.to_string_lossy().contains("checkpoints");
    // The first line is not a record.
    let at = 1 + random.index(lines.len().checked_sub(2)? + 1);
    let place = format!("{} line {}", path.display(), at + 1);
    let record = &mut lines[at];
    let what = match random.index(7) {
        0 if flip(&mut record["value"], random) => "a bit of the value",
        1 if flip(&mut record["key"], random) => "a bit of the key",
        2 if !is_seal => {
            record["timestamp"] = json!(record["timestamp"].as_i64()? ^ 1 << random.index(20));
            "the timestamp"
        }
        3 => {
            let headers = record["headers"].as_array_mut()?;
            let count = headers.len().checked_sub(1)? + 1;
            let header = &mut headers[random.index(count)];
            let part = random.index(2);
            flip(&mut header[part], random).then_some("a bit of a header")?
        }
        4 => {
            lines.remove(at);
            "removed"
        }
        5 => {
            let mut again = lines[at].clone();
            // Behind all others, or in the place of what retention or a marker left free.
            again["offset"] = json!(lines.last()?["offset"].as_i64()? + 1);
            lines[0]["end"] = json!(again["offset"].as_i64()? + 1);
            lines[0]["stable_end"] = lines[0]["end"].clone();
            lines.push(again);
            "doubled"
        }
        6 if at + 1 < lines.len() && chain(&lines[at]) == chain(&lines[at + 1]) => {
            let offsets = [at, at + 1].map(|at| lines[at]["offset"].clone());
            lines.swap(at, at + 1);
            [lines[at]["offset"], lines[at + 1]["offset"]] = offsets;
            "exchanged with the next"
        }
        _ => return None,
    };
    Some(format!("{place}: {what}"))
}

/// Closes what is in quarantine, so that the trail has outcomes.
#[track_caller]
fn close_all(broker: &KafkaBroker, deployment: &TestDeployment) {
    broker.create_topic_with(&format!("{}.state", deployment.quarantine), 1, &KEPT_FOREVER);
    let config = deployment.config("operator");
    let config = config.to_str().expect("a path");
    let arguments = ["quarantine", "done", "--all", "--note", "sent again", "--config", config];
    let done = deployment.command(&arguments);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn any_change_to_an_export_is_evidence() {
    let broker = KafkaBroker::shared();
    let deployment = sealed(broker, 3);
    process(broker, &deployment, 0..600);
    close_all(broker, &deployment);
    let folder = deployment.path("export");
    let at = folder.to_str().expect("a path");
    let topics =
        ["--topic-prefix", &deployment.prefix, "--quarantine-topic", &deployment.quarantine];
    let cluster = ["--bootstrap-servers", &deployment.bootstrap];
    let cluster = [&cluster[..], &["--property", "broker.address.family=v4"]].concat();
    let exported = deployment.command(&[&["export", at][..], &cluster, &topics].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(exported.status.success(), "{}", text(&exported.stderr));
    let again = deployment.command(&[&["export", at][..], &cluster, &topics].concat());
    assert!(text(&again.stderr).contains("create"), "nothing is overwritten");

    let trust = deployment.path("trust");
    let trust = trust.to_str().expect("a path");
    let verify = || {
        let arguments = [&["verify", "--trust", trust, "--files", at][..], &topics].concat();
        let output = deployment.command(&arguments);
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, said) = verify();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("Proven up to the last seal of all 5 sets."), "{said}");

    let original = read(&folder);
    let random = Random::new(1);
    let (mut tried, mut kinds) = (0, std::collections::BTreeSet::new());
    while tried < CHANGES {
        let mut files = original.clone();
        let Some(what) = change(&mut files, &random) else { continue };
        write(&files);
        let (code, said) = verify();
        assert_eq!(code, Some(1), "{what}: {said}");
        tried += 1;
        kinds.insert(what.split(": ").last().map(String::from));
    }
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    write(&original);
    fs::remove_file(original.keys().next().expect("a file")).expect("removed");
    assert_eq!(verify().0, Some(1), "a file that is missing");
}
