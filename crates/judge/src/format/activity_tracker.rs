//! The audit event itself: the current Activity Tracker event in its flat form, every field in its
//! canonical place. It only writes what the earlier stages determined. Source of the fields:
//! Activity Tracker event fields, DMTF CADF.

use std::borrow::Cow;

use http::StatusCode;
use jiff::Timestamp;
use jiff::tz::Offset;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::address::address;
use super::request_data::{write_request_data, write_response_data, write_truncated};
use crate::catalog::{Action, Severity};
use crate::classify::UserAction;
use crate::classify::outcome::Outcome;
use crate::classify::state_change::StateChange;
use crate::enrich::{AttributedAction, Identity, Side};
use crate::json::write::Json;
use crate::rules::crn::{CrnTemplates, CrnValues};
use crate::text::{clean, cut, is_unseen, trim};

/// Longest agent, in characters; the rest is cut.
const AGENT_CHARACTERS: usize = 350;
/// The published credential types. Any other is left out.
const CREDENTIAL_TYPES: [&str; 10] = [
    "user",
    "token",
    "apikey",
    "certificate",
    "public-access",
    "hmac",
    "compute-resource",
    "instance-identity-token",
    "apikey-serviceid",
    "s2s-authorization",
];

/// An Activity Tracker audit event: `schemas/audit-event.schema.json`.
#[derive(Debug, Clone, Copy)]
pub(super) struct AuditEvent<'a> {
    /// The action with everything that *enrich* determined.
    pub attributed: &'a AttributedAction<'a>,
    /// The id of the event.
    pub id: Uuid,
    /// The templates of its resource names.
    pub crns: &'a CrnTemplates,
}

/// How much of an event is written. Content that is too large is cut and marked as cut; the event
/// is never omitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Everything.
    Whole,
    /// Everything except request and response data.
    WithoutData,
    /// As `WithoutData`, with names, reasons, agents and trace ids cut after this many characters.
    Cut(usize),
}

impl Extent {
    /// The extents to try in turn when an event is too large.
    pub(super) const SMALLER: [Extent; 4] =
        [Extent::WithoutData, Extent::Cut(256), Extent::Cut(64), Extent::Cut(16)];

    /// Returns a text of the record as it is written; an ellipsis replaces what was cut.
    fn shown(self, text: &str) -> Cow<'_, str> {
        let text = clean(text);
        let Extent::Cut(characters) = self else {
            return text;
        };
        let kept = cut(&text, characters).len();
        if kept == text.len() {
            return text;
        }
        let mut text = text.into_owned();
        text.truncate(kept);
        text.push('…');
        Cow::Owned(text)
    }
}

impl AuditEvent<'_> {
    /// Writes the event as JSON, every field in its canonical place and without white space.
    pub(super) fn write(&self, extent: Extent, json: &mut Json) {
        let change = self.change();
        let action = self.attributed.user_action.action;
        let mut id = [0; Hyphenated::LENGTH];
        let id: &str = self.id.hyphenated().encode_lower(&mut id);
        json.raw(r#"{"typeURI":"http://schemas.dmtf.org/cloud/audit/1.0/event","eventType":"activity","id":""#);
        json.raw(id);
        json.raw(r#"","eventTime":""#);
        event_time(change.time, json);
        json.raw(r#"","action":"#);
        json.word(&action.name);
        json.raw(r#","outcome":""#);
        json.raw(change.outcome.name());
        json.raw(r#"","severity":""#);
        json.raw(severity(action, change).as_str());
        json.raw(r#"","message":""#);
        self.message(extent, json);
        json.raw(r#"","initiator":"#);
        self.initiator(extent, json);
        json.raw(r#","target":{"id":""#);
        let crn = self.crn_values();
        self.crns.target.fill(&crn, json);
        json.raw(r#"","name":"#);
        json.text(&extent.shown(self.target_name()));
        json.raw(r#","typeURI":"#);
        json.word(&action.target_type);
        json.raw(r#"},"observer":{"name":"ActivityTracker"},"reason":"#);
        reason(change, extent, json);
        self.data(extent, json);
        json.raw(r#","correlationId":"#);
        // An attempt and its result must be pairable, so this field is always written.
        json.text(&extent.shown(change.trace_id.as_deref().unwrap_or(id)));
        json.raw(r#","dataEvent":false,"logSourceCRN":""#);
        self.crns.log_source.fill(&crn, json);
        json.raw(r#"","saveServiceCopy":true}"#);
    }

    fn change(&self) -> &StateChange<'_> {
        &self.attributed.user_action.change
    }

    fn crn_values(&self) -> CrnValues<'_> {
        let action = self.attributed.user_action.action;
        CrnValues {
            service: &action.service,
            location: self.attributed.place.data_center,
            account: &self.attributed.account,
            resource_type: &action.resource_type,
            id: &self.change().object,
        }
    }

    fn target_name(&self) -> &str {
        let label = self.change().label.as_deref();
        label.or_else(|| self.attributed.device?.name).unwrap_or_default()
    }

    fn message(&self, extent: Extent, json: &mut Json) {
        let action = self.attributed.user_action.action;
        json.escaped(&action.display_name);
        json.raw(": ");
        json.raw(&action.verb);
        json.raw(" ");
        json.raw(&action.object);
        let name = extent.shown(self.target_name());
        let name = without_outcome(&name);
        if !name.is_empty() {
            json.raw(" ");
            json.escaped(name);
        }
        json.raw(match self.change().outcome {
            Outcome::Success => "",
            Outcome::Failure => " -failure",
            Outcome::Pending => " -pending",
        });
    }

    fn initiator(&self, extent: Extent, json: &mut Json) {
        let change = self.change();
        let identity = &self.attributed.initiator;
        json.raw(r#"{"id":"#);
        json.text(&identity.iam_id);
        json.raw(r#","name":"#);
        json.text(&extent.shown(self.user_name(identity)));
        json.raw(r#","typeURI":""#);
        json.raw(identity.principal.kind.type_uri());
        json.raw("\"");
        if let Some(kind) = change.credential_type.as_deref().and_then(credential) {
            json.raw(r#","credential":{"type":""#);
            json.raw(kind);
            json.raw("\"}");
        }
        host(change, extent, json);
        if let Some(user) = &self.attributed.authenticated {
            json.raw(r#","authnId":"#);
            json.text(&user.iam_id);
            // Empty if the name is not known: the two fields appear together or not at all.
            json.raw(r#","authnName":"#);
            json.text(&extent.shown(self.user_name(user)));
        }
        json.raw("}");
    }

    /// Returns the table's name for an identity, else the record's name for that side of the
    /// action.
    fn user_name<'s>(&'s self, identity: &'s Identity<'s>) -> &'s str {
        let change = self.change();
        let identity_provider = change.identity_provider_name.as_deref();
        let said = || match identity.named_by? {
            Side::Acting => identity_provider.or(change.username.as_deref()),
            Side::Behalf => change.on_behalf_of.as_ref()?.username.as_deref(),
        };
        identity.principal.name.or_else(said).unwrap_or_default()
    }

    fn data(&self, extent: Extent, json: &mut Json) {
        json.raw(r#","requestData":"#);
        let UserAction { change, action, attributes, .. } = &self.attributed.user_action;
        if extent != Extent::Whole {
            return write_truncated(change.unreadable, json);
        }
        write_request_data(self.attributed, json);
        write_response_data(action, attributes, json);
    }
}

/// Writes `YYYY-MM-DDTHH:mm:ss.SS+0000`, hundredths truncated.
fn event_time(time: Timestamp, json: &mut Json) {
    let utc = Offset::UTC.to_datetime(time);
    // No event is older than 1970, so none of these values is negative.
    json.two_digits(utc.year() / 100);
    json.two_digits(utc.year() % 100);
    let parts = [
        ("-", utc.month()),
        ("-", utc.day()),
        ("T", utc.hour()),
        (":", utc.minute()),
        (":", utc.second()),
    ];
    for (before, part) in parts {
        json.raw(before);
        json.two_digits(part.into());
    }
    json.raw(".");
    json.two_digits((utc.subsec_nanosecond() / 10_000_000) as i16);
    json.raw("+0000");
}

/// Returns the action's own severity, raised by failure and by the reason code.
fn severity(action: &Action, change: &StateChange<'_>) -> Severity {
    let by_outcome = match change.outcome {
        Outcome::Failure => Severity::Warning,
        Outcome::Success | Outcome::Pending => Severity::Normal,
    };
    let by_code = match change.reason_code {
        Some(401 | 403 | 503 | 507) => Severity::Critical,
        Some(400 | 409 | 424 | 500 | 502 | 504 | 505) => Severity::Warning,
        _ => Severity::Normal,
    };
    action.severity.max(by_outcome).max(by_code)
}

/// Returns the published credential type that matches, in any case.
fn credential(written: &str) -> Option<&'static str> {
    let written = trim(written);
    let mut published = CREDENTIAL_TYPES.into_iter();
    published.find(|kind| kind.eq_ignore_ascii_case(written))
}

/// Returns a name without trailing words that would read like the outcome. Used in the message
/// only: the target's name keeps them.
fn without_outcome(name: &str) -> &str {
    let mut name = trim(name);
    while let Some(before) = before_outcome(name) {
        name = trim(before);
    }
    name
}

/// Returns the text before a last word that would read like the outcome; `None` if there is no such
/// word.
fn before_outcome(name: &str) -> Option<&str> {
    const OUTCOMES: [&str; 3] = ["-failure", "-pending", "-success"];
    let (before, last) = name.split_at_checked(name.len().checked_sub("-failure".len())?)?;
    let is_word = last.starts_with('-') && before.chars().next_back().is_none_or(is_unseen);
    let is_outcome = |word: &&str| word.eq_ignore_ascii_case(last);
    (is_word && OUTCOMES.iter().any(is_outcome)).then_some(before)
}

fn host(change: &StateChange<'_>, extent: Extent, json: &mut Json) {
    let address = change.address.as_deref().and_then(address);
    let agent = change.agent.as_deref();
    if address.is_none() && agent.is_none() {
        return;
    }
    json.raw(r#","host":{"#);
    if let Some((address, kind)) = &address {
        json.raw(r#""address":"#);
        json.word(address);
        json.raw(r#","addressType":""#);
        json.raw(kind);
        json.raw("\"");
    }
    if let Some(agent) = agent {
        json.raw(if address.is_some() { "," } else { "" });
        json.raw(r#""agent":"#);
        json.text(cut(&extent.shown(agent), AGENT_CHARACTERS));
    }
    json.raw("}");
}

fn reason(change: &StateChange<'_>, extent: Extent, json: &mut Json) {
    let code = change.reason_code.or(match change.outcome {
        Outcome::Success => Some(200),
        Outcome::Pending => Some(202),
        // Only the producer knows which failure it was.
        Outcome::Failure => None,
    });
    let status = code.and_then(|code| StatusCode::from_u16(code).ok());
    let mut divider = "";
    json.raw("{");
    if let Some(status) = status {
        json.raw(r#""reasonCode":"#);
        json.raw(status.as_str());
        divider = ",";
    }
    if let Some(kind) = status.and_then(|status| status.canonical_reason()) {
        json.raw(r#","reasonType":"#);
        json.word(kind);
    }
    let is_failure = change.outcome == Outcome::Failure;
    if let Some(cause) = change.reason_for_failure.as_deref().filter(|_| is_failure) {
        json.raw(divider);
        json.raw(r#""reasonForFailure":"#);
        json.text(&extent.shown(cause));
    }
    json.raw("}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_true_hundredths() {
        let cases = [
            ("2017-10-23T14:22:36.221541-05:00", "2017-10-23T19:22:36.22+0000"),
            ("2018-12-31T23:59:59.999999999-06:00", "2019-01-01T05:59:59.99+0000"),
            ("2018-01-01T00:00:00Z", "2018-01-01T00:00:00.00+0000"),
            ("1970-01-01T00:00:00.009Z", "1970-01-01T00:00:00.00+0000"),
        ];
        for (input, expected) in cases {
            let mut json = Json::default();
            event_time(input.parse().expect(input), &mut json);
            assert_eq!(json.into_bytes(), expected.as_bytes(), "{input}");
        }
    }

    #[test]
    fn what_was_cut_says_so() {
        let extent = Extent::Cut(3);
        for (text, expected) in [("äöü", "äöü"), ("äöüß", "äöü…"), ("a\n\nbc", "a b…")]
        {
            assert_eq!(extent.shown(text), expected);
            assert_eq!(Extent::WithoutData.shown(text), clean(text));
        }
    }

    #[test]
    fn no_name_reads_like_an_outcome() {
        for (name, expected) in [
            ("web01", "web01"),
            ("node-failure", "node-failure"),
            ("web01 -failure", "web01"),
            ("web01 -Failure -pending ", "web01"),
            ("-failure", ""),
            ("web01\u{a0}-failure\u{200b}", "web01"),
            ("a  b -failures", "a  b -failures"),
        ] {
            assert_eq!(without_outcome(name), expected, "{name:?}");
        }
    }

    #[test]
    fn credentials_are_the_published_ones_in_any_case() {
        assert_eq!(credential(" APIKEY "), Some("apikey"));
        assert_eq!(credential("Public-Access"), Some("public-access"));
        assert_eq!(credential("password"), None);
    }
}
