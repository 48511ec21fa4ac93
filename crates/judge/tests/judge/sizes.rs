//! The size limit of an event, to the byte, through every step of truncation.

use audit_cases::Setup;
use audit_judge::fate::Fate;
use audit_judge::reference::read_principals;
use serde_json::{Value, json};

/// A record with texts that are longer than every truncation length.
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

/// A setup with the record's two users, without names in the table.
fn without_names() -> Setup {
    let user = |id| {
        json!({
            "accountId": 307608, "userId": id, "iamId": format!("IBMid-{id}"), "infrastructureAccess": true,
            "validFrom": "2018-01-01T00:00:00Z",
        })
    };
    let lines = format!("{}\n{}\n", user(1), user(2));
    let mut setup = Setup::new("");
    setup.reference.principals = read_principals("principals", &lines).expect("valid lines");
    setup
}

/// Returns the event with this limit, or none if it is too large.
fn event(setup: &mut Setup, limit: usize) -> Option<Vec<u8>> {
    setup.rules.max_event_bytes = limit;
    match setup.judge(Some(long().as_bytes())) {
        Fate::Audited(audited) => Some(audited.event),
        other => {
            assert_eq!(other.kind().reason(), "too_large");
            None
        }
    }
}

/// Returns the lengths of the truncatable texts, in characters.
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

/// Occurrences of the name's letter in the rest of the message: in "Metal", "Classic", "metal" and
/// "failure".
const FIXED_LETTERS: usize = 4;

/// An event of exactly the limit is unchanged; with a limit one byte lower, the next step truncates
/// it.
#[test]
fn an_event_fits_exactly_at_the_limit() {
    let mut setup = without_names();
    let mut limit = usize::MAX;
    let mut seen = Vec::new();
    while let Some(event) = event(&mut setup, limit) {
        assert_eq!(self::event(&mut setup, event.len()).as_ref(), Some(&event));
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

/// Agents are truncated in every event.
#[test]
fn agents_have_at_most_350_characters() {
    let setup = Setup::new("");
    for (given, kept) in [(349, 349), (350, 350), (351, 350)] {
        let record = json!({
            "accountId": 307608, "eventCreateDate": "2021-07-14T09:12:44.318207-05:00", "eventName": "Power On",
            "label": "web01", "objectId": 1234567, "objectName": "Server", "userId": 6100101,
            "userType": "CUSTOMER", "userAgent": "ä".repeat(given),
        });
        let Fate::Audited(audited) = setup.judge(Some(record.to_string().as_bytes())) else {
            panic!("not audited");
        };
        let event: Value = serde_json::from_slice(&audited.event).expect("JSON");
        let agent = event["initiator"]["host"]["agent"].as_str();
        assert_eq!(agent.map(|agent| agent.chars().count()), Some(kept));
    }
}
