//! The report for programs.

use audit_chain::time::Time;
use serde_json::{Map, Value, json};

use super::{QuarantineTotals, Report};

impl Report {
    /// Returns the report as JSON: `exit`, `findings` by label with `count` and `texts`,
    /// `confirmed` events by stream, and for each set its last seal with `seal`, `hash`,
    /// `input_end` and `time`. Once quarantined records were replayed, `quarantine` has the numbers
    /// of those that were `quarantined`, `audited` later, and `closed` without an event.
    pub fn to_json(&self) -> Value {
        let findings = self.findings.iter().map(|(label, texts, count)| {
            (label.text().to_string(), json!({ "count": count, "texts": texts }))
        });
        let confirmed = self.confirmed.iter();
        let confirmed = confirmed.map(|(stream, events)| (stream.to_string(), json!(events)));
        let seals = self.seals.iter().map(|(set, last)| {
            let time = Time::from_epoch_ms(last.time_ms).map(|time| time.to_string());
            let seal = json!({
                "seal": last.seal,
                "hash": last.digest.to_string(),
                "input_end": last.input_end,
                "time": time,
            });
            (set.to_string(), seal)
        });
        let quarantine = self.quarantine().map(|totals| {
            let QuarantineTotals { quarantined, audited, closed } = totals;
            json!({ "quarantined": quarantined, "audited": audited, "closed": closed })
        });
        json!({
            "exit": self.exit().code(),
            "findings": findings.collect::<Map<_, _>>(),
            "confirmed": confirmed.collect::<Map<_, _>>(),
            "seals": seals.collect::<Map<_, _>>(),
            "quarantine": quarantine,
        })
    }
}
