//! What is written, in the form in which the client takes it: topic, partition, key and headers of
//! each output. It sends nothing itself.

use uuid::fmt::Hyphenated;

use crate::kafka::native::Headers;
use crate::kafka::producer::OutgoingRecord;
use crate::kafka::settings::SessionSettings;
use crate::kafka::topics::OutputTopics;
use audit_judge::fate::Envelope;

use crate::stream::keeping::Stub;
use crate::stream::{Content, Failure, Output, QuarantinedRecord};

/// The record to be sent for an output.
///
/// # Errors
/// [`Failure::Fatal`] for a region without a topic, which the core never names.
pub(in crate::kafka) fn outgoing<'a>(
    output: &Output<'a>,
    topics: &OutputTopics,
    settings: &SessionSettings,
) -> Result<OutgoingRecord<'a>, Failure> {
    let (topic, partition) = topics.destination(output).ok_or_else(|| {
        Failure::Fatal(format!(
            "no topic for the region of partition {} offset {}",
            output.source_partition, output.source_offset
        ))
    })?;
    let (key, payload, headers) = match output.content {
        Content::Event { envelope, event } => {
            (Some(envelope.device.as_bytes()), Some(event), event_headers(envelope, settings))
        }
        // A missing key or value stays missing: an empty one is something else.
        Content::Quarantined(kept) => (
            kept.original.key.as_deref(),
            kept.original.payload.as_deref(),
            quarantine_headers(kept, output, settings),
        ),
    };
    Ok(OutgoingRecord {
        topic,
        partition,
        timestamp_ms: output.timestamp_ms.unwrap_or(0),
        key,
        payload,
        headers,
    })
}

fn event_headers(envelope: &Envelope, settings: &SessionSettings) -> Option<Headers> {
    if !settings.event_headers {
        return None;
    }
    let mut id = [0; Hyphenated::LENGTH];
    let event_headers = envelope.headers(settings.region(envelope), &mut id);
    let mut headers = Headers::with_capacity(event_headers.len())?;
    for (name, value) in event_headers {
        headers.add(name.as_bytes(), Some(value.as_bytes()));
    }
    Some(headers)
}

/// The original headers, and after them why the record is here, where it came from, and what it was
/// if this is a stub. Each of ours is always there, since one that is missing could be forged.
fn quarantine_headers(
    kept: &QuarantinedRecord,
    output: &Output<'_>,
    settings: &SessionSettings,
) -> Option<Headers> {
    let stub = kept.original.stub.as_ref();
    let partition = output.source_partition.to_string();
    let offset = output.source_offset.to_string();
    let ours = [
        ("audit-relay-reason", kept.quarantine.reason.name()),
        ("audit-relay-detail", &kept.quarantine.detail),
        ("audit-relay-topic", &settings.topics.input),
        ("audit-relay-partition", &partition),
        ("audit-relay-offset", &offset),
        ("audit-relay-version", env!("CARGO_PKG_VERSION")),
        ("audit-relay-stub", if stub.is_some() { "true" } else { "false" }),
    ];
    let of_stub = stub.map(stub_headers);
    let of_stub = of_stub.as_ref().map_or(&[][..], |headers| headers);
    let count = kept.original.headers.len() + ours.len() + of_stub.len();
    let mut headers = Headers::with_capacity(count)?;
    for (name, value) in &kept.original.headers {
        headers.add(name, value.as_deref());
    }
    for (name, value) in ours {
        headers.add(name.as_bytes(), Some(value.as_bytes()));
    }
    for (name, value) in of_stub {
        headers.add(name.as_bytes(), Some(value.as_bytes()));
    }
    Some(headers)
}

/// What the original was that this is a stub of.
fn stub_headers(stub: &Stub) -> [(&'static str, String); 4] {
    let hex = stub.value_sha256.iter().map(|byte| format!("{byte:02x}"));
    [
        ("audit-relay-value-bytes", stub.value_bytes.to_string()),
        ("audit-relay-value-sha256", hex.collect()),
        ("audit-relay-key-bytes", stub.key_bytes.to_string()),
        ("audit-relay-headers-dropped", stub.headers_dropped.to_string()),
    ]
}
