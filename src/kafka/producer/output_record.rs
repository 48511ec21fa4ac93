//! Builds the record to send for an output: topic, partition, key and headers. It sends nothing.

use uuid::fmt::Hyphenated;

use crate::kafka::native::Headers;
use crate::kafka::producer::OutgoingRecord;
use crate::kafka::settings::SessionSettings;
use crate::kafka::topics::OutputTopics;
use audit_judge::fate::Envelope;

use crate::quarantine;
use crate::stream::{Content, Failure, Output, QuarantinedRecord};

/// Returns the record to send for an output.
///
/// # Errors
/// Fails with [`Failure::Fatal`] for a region without a topic, which the core never names.
pub(in crate::kafka) fn output_record<'a>(
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
        // A missing key or value stays missing: an empty one means something else.
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

/// Returns the original headers, followed by the relay's own.
fn quarantine_headers(
    kept: &QuarantinedRecord,
    output: &Output<'_>,
    settings: &SessionSettings,
) -> Option<Headers> {
    let own = quarantine::headers::write(kept, output, &settings.topics.input);
    let mut headers = Headers::with_capacity(kept.original.headers.len() + own.len())?;
    for (name, value) in &kept.original.headers {
        headers.add(name, value.as_deref());
    }
    for (name, value) in own {
        headers.add(name.as_bytes(), Some(value.as_bytes()));
    }
    Some(headers)
}
