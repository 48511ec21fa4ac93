//! The audit event itself: the Activity Tracker event of today in its flat form, every field in its
//! canonical place. It only writes down what the stages before it found out. Source of the fields:
//! Activity Tracker event fields, DMTF CADF.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::catalog::{Action, Severity};
use super::crn::{CrnTemplates, CrnValues};
use super::enrich::AttributedAction;
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

/// An Activity Tracker audit event, in canonical field order; `schemas/audit-event.schema.json`.
#[derive(Debug, Clone, Serialize)]
pub struct AuditEvent<'a> {
    #[serde(rename = "typeURI")]
    type_uri: &'static str,
    #[serde(rename = "eventType")]
    event_type: &'static str,
    id: Uuid,
    #[serde(rename = "eventTime")]
    event_time: String,
    action: &'a str,
    outcome: &'static str,
    severity: &'static str,
    message: String,
    initiator: Initiator<'a>,
    target: Target<'a>,
    observer: Observer,
    reason: Reason<'a>,
    #[serde(rename = "requestData")]
    request_data: Map<String, Value>,
    #[serde(rename = "responseData", skip_serializing_if = "Map::is_empty")]
    response_data: Map<String, Value>,
    #[serde(rename = "correlationId")]
    correlation_id: Cow<'a, str>,
    #[serde(rename = "dataEvent")]
    data_event: bool,
    #[serde(rename = "logSourceCRN")]
    log_source_crn: String,
    #[serde(rename = "saveServiceCopy")]
    save_service_copy: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Initiator<'a> {
    id: &'a str,
    name: &'a str,
    #[serde(rename = "typeURI")]
    type_uri: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<Credential<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<Host<'a>>,
    #[serde(rename = "authnId", skip_serializing_if = "Option::is_none")]
    authn_id: Option<&'a str>,
    #[serde(rename = "authnName", skip_serializing_if = "Option::is_none")]
    authn_name: Option<&'a str>,
}

#[derive(Debug, Clone, Serialize)]
struct Credential<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Debug, Clone, Serialize)]
struct Host<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Cow<'a, str>>,
    #[serde(rename = "addressType", skip_serializing_if = "Option::is_none")]
    address_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<&'a str>,
}

#[derive(Debug, Clone, Serialize)]
struct Target<'a> {
    id: String,
    name: &'a str,
    #[serde(rename = "typeURI")]
    type_uri: &'a str,
}

#[derive(Debug, Clone, Serialize)]
struct Observer {
    name: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Reason<'a> {
    #[serde(rename = "reasonCode", skip_serializing_if = "Option::is_none")]
    code: Option<u16>,
    #[serde(rename = "reasonType", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(rename = "reasonForFailure", skip_serializing_if = "Option::is_none")]
    for_failure: Option<Cow<'a, str>>,
}

impl<'a> AuditEvent<'a> {
    /// Composes the event of an action.
    pub fn compose(attributed: &'a AttributedAction<'a>, id: Uuid, crns: &CrnTemplates) -> Self {
        let change = &attributed.user_action.change;
        let action = attributed.user_action.action;
        let name = target_name(attributed);
        let crn = CrnValues {
            service: &action.service,
            location: attributed.place.data_center,
            account: &attributed.account,
            resource_type: &action.resource_type,
            id: &change.object,
        };
        AuditEvent {
            type_uri: "http://schemas.dmtf.org/cloud/audit/1.0/event",
            event_type: "activity",
            id,
            event_time: event_time(change.time),
            action: &action.name,
            outcome: change.outcome.name(),
            severity: severity(action, change).as_str(),
            message: message(action, name, change.outcome),
            initiator: initiator(attributed),
            target: Target {
                id: crns.target.fill(&crn),
                name,
                type_uri: &action.target_type,
            },
            observer: Observer {
                name: "ActivityTracker",
            },
            reason: reason(change),
            request_data: request_data(attributed),
            response_data: copied(&action.response_data, &attributed.user_action.attributes),
            correlation_id: match change.trace_id.as_deref() {
                Some(trace) => Cow::Borrowed(trace),
                // An attempt and its result must be pairable: the field is never left out.
                None => Cow::Owned(id.to_string()),
            },
            data_event: false,
            log_source_crn: crns.log_source.fill(&crn),
            save_service_copy: true,
        }
    }

    /// Gives up request and response data, and says so: an over-large event is cut, never omitted.
    pub fn truncate(&mut self) {
        self.request_data = Map::from_iter([("truncated".to_string(), Value::Bool(true))]);
        self.response_data = Map::new();
    }
}

/// `YYYY-MM-DDTHH:mm:ss.SS+0000`, hundredths truncated.
fn event_time(time: Timestamp) -> String {
    let utc = Offset::UTC.to_datetime(time);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:02}+0000",
        utc.year(),
        utc.month(),
        utc.day(),
        utc.hour(),
        utc.minute(),
        utc.second(),
        utc.subsec_nanosecond() / 10_000_000
    )
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

fn message(action: &Action, name: &str, outcome: Outcome) -> String {
    let Action {
        display_name,
        verb,
        object,
        ..
    } = action;
    let space = if name.is_empty() { "" } else { " " };
    let suffix = match outcome {
        Outcome::Success => "",
        Outcome::Failure => " -failure",
        Outcome::Pending => " -pending",
    };
    format!("{display_name}: {verb} {object}{space}{name}{suffix}")
}

fn target_name<'a>(attributed: &'a AttributedAction<'a>) -> &'a str {
    let label = attributed.user_action.change.label.as_deref();
    label
        .or_else(|| attributed.device?.name)
        .unwrap_or_default()
}

fn initiator<'a>(attributed: &'a AttributedAction<'a>) -> Initiator<'a> {
    let change = &attributed.user_action.change;
    let identity = &attributed.initiator;
    let acting_name = change
        .identity_provider_name
        .as_deref()
        .or(change.username.as_deref());
    let upstream_name = match &change.on_behalf_of {
        Some(behalf) => behalf.username.as_deref(),
        None => acting_name,
    };
    let known_name = identity.principal.name;
    let authenticated = attributed.authenticated.as_ref();
    Initiator {
        id: &identity.iam_id,
        name: known_name.or(upstream_name).unwrap_or_default(),
        type_uri: identity.principal.kind.type_uri(),
        credential: change
            .credential_type
            .as_deref()
            .filter(|kind| CREDENTIAL_TYPES.contains(kind))
            .map(|kind| Credential { kind }),
        host: host(change),
        authn_id: authenticated.map(|user| user.iam_id.as_str()),
        // Empty if nobody knows it: the two fields come together or not at all.
        authn_name: authenticated.map(|user| {
            let known_name = user.principal.name;
            known_name.or(acting_name).unwrap_or_default()
        }),
    }
}

fn host<'a>(change: &'a StateChange<'_>) -> Option<Host<'a>> {
    let (address, address_type) = change
        .address
        .as_deref()
        .and_then(address)
        .map_or((None, None), |(address, kind)| (Some(address), Some(kind)));
    let agent = change
        .agent
        .as_deref()
        .map(|agent| cut(agent, AGENT_CHARACTERS));
    (address.is_some() || agent.is_some()).then_some(Host {
        address,
        address_type,
        agent,
    })
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

fn reason<'a>(change: &'a StateChange<'_>) -> Reason<'a> {
    let code = change.reason_code.or(match change.outcome {
        Outcome::Success => Some(200),
        Outcome::Pending => Some(202),
        // Which failure it was only the producer knows.
        Outcome::Failure => None,
    });
    let status = code.and_then(|code| http::StatusCode::from_u16(code).ok());
    let for_failure = change.reason_for_failure.as_deref();
    Reason {
        code,
        kind: status.and_then(|status| status.canonical_reason()),
        for_failure: for_failure
            .filter(|_| change.outcome == Outcome::Failure)
            .map(without_line_breaks),
    }
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
            assert_eq!(event_time(input.parse().expect(input)), expected, "{input}");
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
