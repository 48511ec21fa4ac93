//! How large an event may be: to the byte, through every step in which it is cut.

use audit_judge::fate::Fate;
use audit_judge::judge;
use audit_judge::reference::read_principals;
use audit_relay::deployment::Assembly;
use serde_json::{Value, json};

use crate::properties::{judged, load};

/// A record all of whose texts are longer than any cut.
fn long() -> String {
    let text = |letter: char| letter.to_string().repeat(300);
    json!({
        "accountId": 307608, "eventCreateDate": "2021-07-14T09:12:44.318207-05:00", "eventName": "Rename",
        "label": text('l'), "metaData": {"newName": text('n')}, "objectId": 1234567, "objectName": "Server",
        "userId": 1, "userType": "CUSTOMER", "username": text('w'), "outcome": "failure",
        "reasonForFailure": text('r'), "userAgent": text('a'), "traceId": text('t'), "credentialType": {"unknown": 1},
        "onBehalfOf": {"userId": 2, "username": text('u')},
    })
    .to_string()
}

/// The two users of the record, whose names the table does not have.
fn without_names() -> Assembly {
    let user = |id| {
        json!({
            "accountId": 307608, "userId": id, "iamId": format!("IBMid-{id}"), "infrastructureAccess": true,
            "validFrom": "2018-01-01T00:00:00Z",
        })
    };
    let lines = format!("{}\n{}\n", user(1), user(2));
    let mut assembly = load("");
    assembly.directory.principals = read_principals("principals", &lines).expect("good lines");
    assembly
}

/// The event under a limit, or nothing if it is too large.
fn event(assembly: &mut Assembly, limit: usize) -> Option<Vec<u8>> {
    assembly.rules.max_event_bytes = limit;
    let Assembly { rules, directory, .. } = &*assembly;
    match judge(Some(long().as_bytes()), rules, || directory) {
        Fate::Audited(audited) => Some(audited.event),
        other => {
            assert_eq!(other.kind().reason(), "too_large");
            None
        }
    }
}

/// The lengths of the texts that are cut, in characters.
fn lengths(event: &[u8]) -> Vec<usize> {
    let event: Value = serde_json::from_slice(event).expect("JSON");
    let texts = [
        "/target/name",
        "/initiator/name",
        "/initiator/authnName",
        "/initiator/host/agent",
        "/reason/reasonForFailure",
        "/correlationId",
    ];
    let length = |pointer: &&str| {
        let text = event.pointer(pointer).and_then(Value::as_str);
        text.expect("a text").chars().count()
    };
    let message = event["message"].as_str().expect("a text");
    let in_message = message.chars().filter(|char| matches!(char, 'l' | '…')).count();
    texts.iter().map(length).chain([in_message - FIXED_LETTERS]).collect()
}

/// How often the letter of the name occurs in the rest of the message: in "Metal", "Classic",
/// "metal" and "failure".
const FIXED_LETTERS: usize = 4;

/// An event that is exactly as large as it may be is left as it is; one byte less, and it is cut by
/// the next step.
#[test]
fn an_event_may_be_as_large_as_the_limit_and_not_a_byte_larger() {
    let mut assembly = without_names();
    let mut limit = usize::MAX;
    let mut seen = Vec::new();
    while let Some(event) = event(&mut assembly, limit) {
        assert_eq!(self::event(&mut assembly, event.len()).as_ref(), Some(&event));
        limit = event.len() - 1;
        seen.push(event);
    }
    let cuts: Vec<Vec<usize>> = seen.iter().map(|event| lengths(event)).collect();
    let cut = |characters: usize| vec![characters + 1; 7];
    let whole = vec![300; 7];
    assert_eq!(cuts, [whole.clone(), whole, cut(256), cut(64), cut(16)]);
    let data: Vec<Value> = seen.iter().map(|event| request_data(event)).collect();
    let unreadable =
        json!({"truncated": true, "unreadable": true, "unreadableFields": "credentialType"});
    assert!(data[0].get("newValue").is_some());
    assert!(data[1..].iter().all(|data| *data == unreadable), "{data:?}");
}

fn request_data(event: &[u8]) -> Value {
    let mut event: Value = serde_json::from_slice(event).expect("JSON");
    event["requestData"].take()
}

/// Agents are cut in every event.
#[test]
fn agents_have_at_most_350_characters() {
    let assembly = load("");
    for (given, kept) in [(349, 349), (350, 350), (351, 350)] {
        let record = json!({
            "accountId": 307608, "eventCreateDate": "2021-07-14T09:12:44.318207-05:00", "eventName": "Power On",
            "label": "web01", "objectId": 1234567, "objectName": "Server", "userId": 6100101,
            "userType": "CUSTOMER", "userAgent": "ä".repeat(given),
        });
        let Fate::Audited(audited) = judged(&assembly, record.to_string().as_bytes()) else {
            panic!("not audited");
        };
        let event: Value = serde_json::from_slice(&audited.event).expect("JSON");
        let agent = event["initiator"]["host"]["agent"].as_str();
        assert_eq!(agent.map(|agent| agent.chars().count()), Some(kept));
    }
}
