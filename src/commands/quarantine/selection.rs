//! Which records are meant.

use audit_judge::parse::record::Field;

use super::archive::Found;
use crate::commands::arguments::SelectionArgs;
use crate::commands::state_change::id_of;

impl SelectionArgs {
    /// Returns whether a record is meant.
    pub(super) fn holds(&self, found: &Found<'_>) -> bool {
        let time = found.record.timestamp_ms;
        let is_since = self.since.is_none_or(|since| since.as_millisecond() <= time);
        let is_before = self.until.is_none_or(|until| time < until.as_millisecond());
        let is_reason =
            self.reason.is_empty() || self.reason.iter().any(|reason| reason == found.reason());
        let is_place = self.records.is_empty() || self.records.contains(&found.place);
        let has_text = |text: &String| found.detail().contains(text.as_str());
        is_since
            && is_before
            && is_reason
            && is_place
            && self.detail_contains.as_ref().is_none_or(has_text)
            && self.holds_fields(found.record.value)
    }

    /// Reads the record itself only if it must be.
    fn holds_fields(&self, value: Option<&[u8]>) -> bool {
        let is_field = |field, expected: &Option<String>| {
            expected.is_none() || id_of(value, field) == *expected
        };
        is_field(Field::ObjectId, &self.device) && is_field(Field::AccountId, &self.account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::trail_reader::TrailRecord;
    use crate::quarantine::case::{Case, CaseId, Place};
    use crate::quarantine::outcomes::Standing;

    fn holds(selection: &SelectionArgs, value: &[u8], standing: Option<&Standing>) -> bool {
        let record = TrailRecord {
            partition: 3,
            offset: 7,
            timestamp_ms: 1_000,
            key: None,
            value: Some(value),
            headers: Vec::new(),
        };
        let id = CaseId { topic: "changes".to_string(), partition: 0, offset: 1, hash: [0; 8] };
        let (reason, detail) = ("unknown_principal".to_string(), "no user 7".to_string());
        let case = Case { id, reason, detail, is_stub: false };
        let place = Place { partition: 3, offset: 7 };
        let digest = case.id.digest();
        selection.holds(&Found { case, digest, place, record: &record, standing })
    }

    #[test]
    fn each_option_makes_it_fewer() {
        let value = br#"{"objectId":1234567,"accountId":" 307608 "}"#;
        let all = SelectionArgs::default();
        assert!(holds(&all, value, None));
        let at = |ms| Some(jiff::Timestamp::from_millisecond(ms).expect("a time"));
        let places = |text: &str| vec![text.parse().expect("a place")];
        let text = |text: &str| Some(text.to_string());
        for (selection, expected) in [
            (SelectionArgs { reason: vec!["malformed".to_string()], ..all.clone() }, false),
            (
                SelectionArgs {
                    reason: vec!["malformed".to_string(), "unknown_principal".to_string()],
                    ..all.clone()
                },
                true,
            ),
            (SelectionArgs { detail_contains: text("user 7"), ..all.clone() }, true),
            (SelectionArgs { detail_contains: text("user 8"), ..all.clone() }, false),
            (SelectionArgs { device: text("1234567"), ..all.clone() }, true),
            (SelectionArgs { device: text("123456"), ..all.clone() }, false),
            (SelectionArgs { account: text("307608"), ..all.clone() }, true),
            (SelectionArgs { account: text("3"), device: text("1234567"), ..all.clone() }, false),
            (SelectionArgs { since: at(1_000), until: at(1_001), ..all.clone() }, true),
            (SelectionArgs { since: at(1_001), ..all.clone() }, false),
            (SelectionArgs { until: at(1_000), ..all.clone() }, false),
            (SelectionArgs { records: places("3/7"), ..all.clone() }, true),
            (SelectionArgs { records: places("3/8"), ..all.clone() }, false),
        ] {
            assert_eq!(holds(&selection, value, None), expected, "{selection:?}");
        }
    }

    #[test]
    fn the_last_judgement_counts() {
        let again = Standing::Again {
            reason: "unknown_device".to_string(),
            detail: "no device 1".to_string(),
        };
        let reason = |reason: &str| SelectionArgs {
            reason: vec![reason.to_string()],
            ..SelectionArgs::default()
        };
        assert!(holds(&reason("unknown_device"), b"", Some(&again)));
        assert!(!holds(&reason("unknown_principal"), b"", Some(&again)));
    }

    #[test]
    fn a_wrapped_record_has_its_fields() {
        let device = SelectionArgs { device: Some("5".to_string()), ..SelectionArgs::default() };
        let event = br#"{"specversion":"1.0","data":{"objectId":"5"}}"#;
        assert!(holds(&device, event, None));
        assert!(!holds(&device, b"no JSON", None));
    }
}
