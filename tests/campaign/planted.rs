//! A judge that never complains proves nothing: here each kind of fault is planted, and the ledger must find that one and no other.
//! So must be what ends a run early.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::change::{self, Variant};
use crate::complaints::Wrong;
use crate::demand::{ACCOUNT, ACTIONS, Demand, Device, Expected, Reason, event_time, iam_id};
use crate::ledger::{Gone, Ledger, Offsets, Place, Sighting};
use crate::restarts::{MOST_SHORT_LIVES, Restarts, SHORT_LIFE};

const TIME_MS: i64 = 1_700_000_000_120;
const USER: u64 = 6_100_001;

/// A ledger that expects four records of one device: three to be audited, and one to be quarantined.
struct Planted {
    ledger: Ledger,
    device: Device,
    expected: Vec<Expected>,
}

impl Planted {
    fn new() -> Planted {
        let ledger = Ledger::default();
        let (index, device) = ledger.add_device(0);
        let expected = |demand, variant| Expected {
            demand,
            variant,
            device: index,
            action: 1,
            user: USER,
            time_ms: TIME_MS,
        };
        let expected = vec![
            expected(Demand::Audited, Variant::User),
            expected(Demand::Audited, Variant::User),
            expected(Demand::Quarantined(Reason::Malformed), Variant::Truncated),
            expected(Demand::Audited, Variant::User),
            expected(Demand::Skipped, Variant::System),
        ];
        for (offset, record) in expected.iter().enumerate() {
            let number = ledger.expect(*record);
            ledger.delivered(number, 0, offset as i64);
        }
        Planted {
            ledger,
            device,
            expected,
        }
    }

    fn event(&self, number: u32) -> serde_json::Value {
        let (place, id) = (self.device.data_center(), self.device.id);
        json!({
            "action": ACTIONS[1].1, "outcome": "success", "eventTime": event_time(TIME_MS),
            "initiator": { "id": iam_id(USER) }, "correlationId": number.to_string(),
            "target": { "id": format!("crn:v1:bluemix:public:audit-log:{place}:a/{ACCOUNT}::bare-metal:{id}") },
        })
    }

    fn see(&self, region: usize, event: &serde_json::Value) {
        let (key, value) = (self.device.id.to_string(), event.to_string());
        self.ledger.saw(&Sighting {
            place: Place::Region(region),
            topic: "events",
            partition: 0,
            offset: 0,
            key: key.as_bytes(),
            value: value.as_bytes(),
            number: None,
            reason: "",
            source: None,
            stub_of: None,
        });
    }

    fn see_audited(&self, numbers: &[u32]) {
        for number in numbers {
            self.see(self.device.region, &self.event(*number));
        }
    }

    fn see_quarantined(&self, reason: &str, spoil: bool) {
        let key = self.device.id.to_string();
        let mut value = change::value(2, &self.expected[2], &self.device);
        value.truncate(value.len() - usize::from(spoil));
        self.ledger.saw(&Sighting {
            place: Place::Quarantine,
            topic: "quarantine",
            partition: 0,
            offset: 0,
            key: key.as_bytes(),
            value: &value,
            number: Some(2),
            reason,
            source: Some((0, 2)),
            stub_of: None,
        });
    }

    /// Fails unless this is all that the ledger complains of, when everything should be there.
    fn must_find(self, what: &str, expected: &[(Wrong, u64)]) -> Result<(), String> {
        self.ledger
            .complain_of_missing(&self.ledger.ends(), Wrong::Lost);
        let complaints = self.ledger.complaints();
        let found = Wrong::ALL
            .iter()
            .map(|wrong| (*wrong, complaints.count(*wrong)));
        let found: Vec<(Wrong, u64)> = found.filter(|(_, count)| *count > 0).collect();
        match found == expected {
            true => Ok(()),
            false => Err(format!(
                "{what}: {found:?}, not {expected:?}: {:?}",
                complaints.told()
            )),
        }
    }
}

/// Plants, and looks.
pub fn the_ledger_finds_what_is_planted() -> Result<(), String> {
    let planted = Planted::new();
    planted.see_audited(&[0, 1, 3]);
    planted.see_quarantined("malformed", false);
    planted.must_find("nothing", &[])?;

    let planted = Planted::new();
    planted.see_audited(&[0, 3]);
    planted.must_find("two are missing", &[(Wrong::Lost, 2)])?;

    let planted = Planted::new();
    planted.see_audited(&[0, 3, 1, 0]);
    planted.see_quarantined("unknown_device", false);
    let found = [
        (Wrong::Doubled, 1),
        (Wrong::Reordered, 1),
        (Wrong::Decision, 1),
    ];
    planted.must_find("twice, late, and for the wrong reason", &found)?;

    let planted = Planted::new();
    planted.see_audited(&[0, 1, 3, 4]);
    planted.see_quarantined("malformed", true);
    planted.see(0, &json!({ "correlationId": "17" }));
    let found = [
        (Wrong::Decision, 1),
        (Wrong::Changed, 1),
        (Wrong::Unexpected, 1),
    ];
    planted.must_find("audited for nothing, cut, and from nowhere", &found)?;

    let planted = Planted::new();
    let mut event = planted.event(1);
    event["initiator"]["id"] = json!("IBMid-somebody");
    planted.see_audited(&[0]);
    planted.see(planted.device.region, &event);
    planted.see(planted.device.region + 1, &planted.event(3));
    planted.see_quarantined("malformed", false);
    let found = [(Wrong::Misrouted, 1), (Wrong::Changed, 1)];
    planted.must_find("another's name, another's region", &found)?;

    // What may have gone with its topic is no loss; what was written after it was deleted is.
    let planted = Planted::new();
    planted.see_audited(&[0]);
    planted.see_quarantined("malformed", false);
    planted.ledger.add_gone(Gone {
        region: planted.device.region,
        from: Offsets::from([(0, 1)]),
        to: Offsets::from([(0, 3)]),
    });
    planted.must_find("one is gone, one is lost", &[(Wrong::Lost, 1)])
}

/// What becomes of a relay in turn.
enum Fortune {
    /// It ends by itself so often, after this time.
    Ends(u32, &'static str, Duration),
    /// A fault explains what ended.
    Excused,
}

/// Plants relays that end, and looks at who is found to do nothing else.
pub fn a_relay_that_only_restarts_is_found() -> Result<(), String> {
    use Fortune::{Ends, Excused};
    const FEW: u32 = MOST_SHORT_LIVES - 1;
    const LONG_LIFE: Duration = SHORT_LIFE.saturating_mul(2);
    let short = |times, relay| Ends(times, relay, SHORT_LIFE);
    let apart = [short(FEW, "a"), Excused, short(FEW, "a"), short(FEW, "b")];
    let lives = [
        short(FEW, "a"),
        Ends(1, "a", LONG_LIFE),
        short(FEW, "a"),
        Ends(MOST_SHORT_LIVES, "b", LONG_LIFE),
    ];
    must_name("none is so bad", &apart, None)?;
    must_name("some live long", &lives, None)?;
    let loops = [short(MOST_SHORT_LIVES, "b"), short(FEW, "a")];
    must_name("one only restarts", &loops, Some("b"))
}

/// Fails unless this relay, or none, is named, and with the last lines of its log.
fn must_name(what: &str, fortunes: &[Fortune], expected: Option<&str>) -> Result<(), String> {
    let log = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    std::fs::write(&log, "the topic is missing").map_err(|error| error.to_string())?;
    let found = after(fortunes, log.path()).check();
    let found = found.err().map(|error| error.to_string());
    let is_right = match (&found, expected) {
        (Some(found), Some(relay)) => {
            found.starts_with(&format!("relay {relay} ")) && found.contains("the topic is missing")
        }
        (found, expected) => found.is_none() && expected.is_none(),
    };
    match is_right {
        true => Ok(()),
        false => Err(format!("{what}: {found:?}, not {expected:?}")),
    }
}

fn after(fortunes: &[Fortune], log: &Path) -> Restarts {
    let mut restarts = Restarts::default();
    for fortune in fortunes {
        match fortune {
            Fortune::Ends(times, relay, lived) => {
                (0..*times).for_each(|_| restarts.ended(relay, *lived, log));
            }
            Fortune::Excused => restarts.excuse(),
        }
    }
    restarts
}
