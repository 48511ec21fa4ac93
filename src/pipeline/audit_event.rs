//! The audit event itself: the Activity Tracker event of today in its flat form, every field in its
//! canonical place. It only writes down what the stages before it found out. Source of the fields:
//! Activity Tracker event fields, DMTF CADF.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use http::StatusCode;
use jiff::Timestamp;
use jiff::tz::Offset;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use super::catalog::{Action, Severity};
use super::classify::UserAction;
use super::crn::{CrnTemplates, CrnValues};
use super::enrich::{AttributedAction, Identity, Side};
use super::json::Json;
use super::request_data::{copied, cut, request_data};
use super::state_change::{Outcome, StateChange};

/// Agents are cut here, in characters.
const AGENT_CHARACTERS: usize = 350;
/// The published credential types; any other is left out.
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
pub struct AuditEvent<'a> {
    /// The action and all that was found out about it.
    pub attributed: &'a AttributedAction<'a>,
    /// The id of the event.
    pub id: Uuid,
    /// How its resources are named.
    pub crns: &'a CrnTemplates,
}

/// Whether request and response data are written, or given up because the event would be too large: it is cut, and
/// says so, but never omitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything.
    Whole,
    /// Without request and response data.
    Truncated,
}

impl AuditEvent<'_> {
    /// Writes the event as JSON, every field in its canonical place and without white space.
    pub fn write(&self, extent: Extent, json: &mut Json) {
        let change = self.change();
        let action = self.attributed.user_action.action;
        let mut id = [0; Hyphenated::LENGTH];
        let id: &str = self.id.hyphenated().encode_lower(&mut id);
        json.raw(r#"{"typeURI":"http://schemas.dmtf.org/cloud/audit/1.0/event","eventType":"activity","id":""#);
        json.raw(id);
        json.raw(r#"","eventTime":""#);
        event_time(change.time, json);
        json.raw(r#"","action":"#);
        json.text(&action.name);
        json.raw(r#","outcome":""#);
        json.raw(change.outcome.name());
        json.raw(r#"","severity":""#);
        json.raw(severity(action, change).as_str());
        json.raw(r#"","message":""#);
        self.message(json);
        json.raw(r#"","initiator":"#);
        self.initiator(json);
        json.raw(r#","target":{"id":""#);
        let crn = self.crn_values();
        self.crns.target.fill(&crn, json);
        json.raw(r#"","name":"#);
        json.text(self.target_name());
        json.raw(r#","typeURI":"#);
        json.text(&action.target_type);
        json.raw(r#"},"observer":{"name":"ActivityTracker"},"reason":"#);
        reason(change, json);
        self.data(extent, json);
        json.raw(r#","correlationId":"#);
        // An attempt and its result must be pairable: the field is never left out.
        json.text(change.trace_id.as_deref().unwrap_or(id));
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
        label
            .or_else(|| self.attributed.device?.name)
            .unwrap_or_default()
    }

    fn message(&self, json: &mut Json) {
        let action = self.attributed.user_action.action;
        json.escaped(&action.display_name);
        json.raw(": ");
        json.escaped(&action.verb);
        json.raw(" ");
        json.escaped(&action.object);
        let name = self.target_name();
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

    fn initiator(&self, json: &mut Json) {
        let change = self.change();
        let identity = &self.attributed.initiator;
        json.raw(r#"{"id":"#);
        json.text(&identity.iam_id);
        json.raw(r#","name":"#);
        json.text(self.user_name(identity));
        json.raw(r#","typeURI":""#);
        json.raw(identity.principal.kind.type_uri());
        json.raw("\"");
        let credential = change.credential_type.as_deref();
        if let Some(kind) = credential.filter(|kind| CREDENTIAL_TYPES.contains(kind)) {
            json.raw(r#","credential":{"type":"#);
            json.text(kind);
            json.raw("}");
        }
        host(change, json);
        if let Some(user) = &self.attributed.authenticated {
            json.raw(r#","authnId":"#);
            json.text(&user.iam_id);
            // Empty if nobody knows it: the two fields come together or not at all.
            json.raw(r#","authnName":"#);
            json.text(self.user_name(user));
        }
        json.raw("}");
    }

    /// The table's name for an identity, else what the record says of that side of the action.
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
        if extent == Extent::Truncated {
            json.raw(r#"{"truncated":true}"#);
            return;
        }
        json.object(&request_data(self.attributed));
        let UserAction {
            action, attributes, ..
        } = &self.attributed.user_action;
        let response = copied(&action.response_data, attributes);
        if !response.is_empty() {
            json.raw(r#","responseData":"#);
            json.object(&response);
        }
    }
}

/// `YYYY-MM-DDTHH:mm:ss.SS+0000`, hundredths truncated.
fn event_time(time: Timestamp, json: &mut Json) {
    let utc = Offset::UTC.to_datetime(time);
    // No event is older than 1970, so nothing of this is negative.
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

/// The action's own severity, raised by failure and by what the reason code says.
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

fn host(change: &StateChange<'_>, json: &mut Json) {
    let address = change.address.as_deref().and_then(address);
    let agent = change.agent.as_deref();
    if address.is_none() && agent.is_none() {
        return;
    }
    json.raw(r#","host":{"#);
    if let Some((address, kind)) = &address {
        json.raw(r#""address":"#);
        json.text(address);
        json.raw(r#","addressType":""#);
        json.raw(kind);
        json.raw("\"");
    }
    if let Some(agent) = agent {
        json.raw(if address.is_some() { "," } else { "" });
        json.raw(r#""agent":"#);
        json.text(cut(agent, AGENT_CHARACTERS));
    }
    json.raw("}");
}

/// The first address of a list, with its type; none if it is not an address at all.
fn address(list: &str) -> Option<(Cow<'_, str>, &'static str)> {
    let first = list.split(',').next()?.trim();
    let typed = |ip: IpAddr| if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    if let Ok(ip) = first.parse::<IpAddr>() {
        return Some((Cow::Borrowed(first), typed(ip)));
    }
    if let Ok(socket) = first.parse::<SocketAddr>() {
        return Some((Cow::Owned(socket.ip().to_string()), typed(socket.ip())));
    }
    let (network, length) = first.split_once('/')?;
    let network: IpAddr = network.parse().ok()?;
    let longest = if network.is_ipv4() { 32 } else { 128 };
    // Rust would read "+8" and "0000008" as well.
    let is_plain = length.len() <= 3 && length.bytes().all(|byte| byte.is_ascii_digit());
    let length: u8 = length.parse().ok().filter(|_| is_plain)?;
    (length <= longest).then_some((Cow::Borrowed(first), "subnet"))
}

fn reason(change: &StateChange<'_>, json: &mut Json) {
    let code = change.reason_code.or(match change.outcome {
        Outcome::Success => Some(200),
        Outcome::Pending => Some(202),
        // Which failure it was only the producer knows.
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
        json.text(kind);
    }
    let is_failure = change.outcome == Outcome::Failure;
    if let Some(cause) = change.reason_for_failure.as_deref().filter(|_| is_failure) {
        json.raw(divider);
        json.raw(r#""reasonForFailure":"#);
        json.text(&without_line_breaks(cause));
    }
    json.raw("}");
}

fn without_line_breaks(text: &str) -> Cow<'_, str> {
    if text.contains(['\n', '\r']) {
        let lines = text.split(['\n', '\r']).filter(|line| !line.is_empty());
        Cow::Owned(lines.collect::<Vec<_>>().join(" "))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_with_true_hundredths() {
        let cases = [
            (
                "2017-10-23T14:22:36.221541-05:00",
                "2017-10-23T19:22:36.22+0000",
            ),
            (
                "2018-12-31T23:59:59.999999999-06:00",
                "2019-01-01T05:59:59.99+0000",
            ),
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
    fn addresses_are_typed_or_left_out() {
        let cases = [
            ("192.0.2.10", Some(("192.0.2.10", "IPv4"))),
            ("192.0.2.10, 198.51.100.7", Some(("192.0.2.10", "IPv4"))),
            ("2001:db8::1", Some(("2001:db8::1", "IPv6"))),
            ("192.0.2.10:51234", Some(("192.0.2.10", "IPv4"))),
            ("192.0.2.0/24", Some(("192.0.2.0/24", "subnet"))),
            ("192.0.2.0/33", None),
            ("192.0.2.0/+8", None),
            ("192.0.2.0/0008", None),
            ("2001:db8::/32", Some(("2001:db8::/32", "subnet"))),
            ("localhost", None),
            ("", None),
        ];
        for (input, expected) in cases {
            let found = address(input);
            let found = found.as_ref().map(|(text, kind)| (text.as_ref(), *kind));
            assert_eq!(found, expected, "{input}");
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("ab", 3), "ab");
        assert_eq!(without_line_breaks("a\r\nb\nc"), "a b c");
    }
}
