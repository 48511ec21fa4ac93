//! Compares audit events with the expected records.

use serde_json::Value;

use super::{Book, Ledger, SeenRecord};
use crate::event;
use crate::expected::ExpectedFate;
use crate::violations::Violation;

impl Ledger {
    pub(super) fn observe_event(&self, record: &SeenRecord<'_>, region: usize) {
        let event: Value = serde_json::from_slice(record.value).unwrap_or_default();
        let number = event["correlationId"].as_str().and_then(|id| id.parse().ok());
        let mut book = self.lock();
        let Some(number) = book.note(record, number) else {
            return;
        };
        let expected = book.expected[number as usize];
        let device = book.devices[expected.device as usize];
        let spot = record.spot();
        book.tally.audited += 1;
        if region != device.region || record.key != device.id.to_string().as_bytes() {
            book.add_violation(Violation::Misrouted, number, &spot);
        }
        match expected.fate {
            ExpectedFate::Audited => {}
            ExpectedFate::AuditedOrSkipped => book.tally.before_revocation += 1,
            // No event is expected to compare with.
            ExpectedFate::Skipped | ExpectedFate::Quarantined(_) => {
                book.add_violation(Violation::Decision, number, &format!("audited, {spot}"));
                return;
            }
        }
        book.check_id(record, number, &event);
        book.check_event(record, number, &event);
    }
}

impl Book {
    /// Checks that no two records have the same id, and no record has two ids.
    fn check_id(&mut self, record: &SeenRecord<'_>, number: u32, event: &Value) {
        let spot = record.spot();
        let Some(id) = event["id"].as_str().and_then(event::id_number) else {
            let what = format!("{spot} has the id {}, not a UUID of version 5", event["id"]);
            self.add_violation(Violation::Changed, number, &what);
            return;
        };
        let is_first = self.seen[number as usize] == 1;
        match self.ids.insert(id, number) {
            Some(other) if other != number => {
                let what = format!("{spot} has the id {}, as has record {other}", event["id"]);
                self.add_violation(Violation::SharedId, number, &what);
            }
            None if !is_first => {
                let what = format!("{spot} has the id {}, and another before", event["id"]);
                self.add_violation(Violation::Changed, number, &what);
            }
            _ => {}
        }
    }

    fn check_event(&mut self, record: &SeenRecord<'_>, number: u32, event: &Value) {
        let expected = self.expected[number as usize];
        let device = self.devices[expected.device as usize];
        let (id, spot) = (event["id"].as_str().unwrap_or_default(), record.spot());
        let expected_text = event::text(number, &expected, &device, id);
        if record.value != expected_text.as_bytes() {
            let what = format!("{spot}: {}", event::difference(event, &expected_text));
            self.add_violation(Violation::Changed, number, &what);
        }
        if record.headers != event::headers(&device, id) {
            let what = format!("{spot} has the headers {:?}", record.shown_headers());
            self.add_violation(Violation::Changed, number, &what);
        }
    }
}
