//! Audit events, held against what was demanded.

use serde_json::Value;

use super::{Book, Ledger, Sighting};
use crate::complaints::Wrong;
use crate::demand::Demand;
use crate::event;

impl Ledger {
    pub(super) fn saw_event(&self, sighting: &Sighting<'_>, region: usize) {
        let event: Value = serde_json::from_slice(sighting.value).unwrap_or_default();
        let number = event["correlationId"].as_str().and_then(|id| id.parse().ok());
        let mut book = self.lock();
        let Some(number) = book.note(sighting, number) else {
            return;
        };
        let expected = book.expected[number as usize];
        let device = book.devices[expected.device as usize];
        let spot = sighting.spot();
        book.tally.audited += 1;
        if region != device.region || sighting.key != device.id.to_string().as_bytes() {
            book.complain(Wrong::Misrouted, number, &spot);
        }
        match expected.demand {
            Demand::Audited => {}
            Demand::AuditedOrSkipped => book.tally.before_revocation += 1,
            // What such an event should say is not demanded.
            Demand::Skipped | Demand::Quarantined(_) => {
                book.complain(Wrong::Decision, number, &format!("audited, {spot}"));
                return;
            }
        }
        book.check_id(sighting, number, &event);
        book.check_event(sighting, number, &event);
    }
}

impl Book {
    /// No two records have one id, and no record has two.
    fn check_id(&mut self, sighting: &Sighting<'_>, number: u32, event: &Value) {
        let spot = sighting.spot();
        let Some(id) = event["id"].as_str().and_then(event::id_number) else {
            let what = format!("{spot} has the id {}, no UUID of version 5", event["id"]);
            self.complain(Wrong::Changed, number, &what);
            return;
        };
        let is_first = self.seen[number as usize] == 1;
        match self.ids.insert(id, number) {
            Some(other) if other != number => {
                let what = format!("{spot} has the id {}, as has record {other}", event["id"]);
                self.complain(Wrong::SharedId, number, &what);
            }
            None if !is_first => {
                let what = format!("{spot} has the id {}, and another before", event["id"]);
                self.complain(Wrong::Changed, number, &what);
            }
            _ => {}
        }
    }

    fn check_event(&mut self, sighting: &Sighting<'_>, number: u32, event: &Value) {
        let expected = self.expected[number as usize];
        let device = self.devices[expected.device as usize];
        let (id, spot) = (event["id"].as_str().unwrap_or_default(), sighting.spot());
        let demanded = event::text(number, &expected, &device, id);
        if sighting.value != demanded.as_bytes() {
            let what = format!("{spot}: {}", event::difference(event, &demanded));
            self.complain(Wrong::Changed, number, &what);
        }
        if sighting.headers != event::headers(&device, id) {
            let what = format!("{spot} has the headers {:?}", sighting.shown_headers());
            self.complain(Wrong::Changed, number, &what);
        }
    }
}
