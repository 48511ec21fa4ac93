//! Builds the record to send for an output or a seal: topic, partition, and headers in the form of
//! the client. It sends nothing.

use audit_chain::header::HEADER_NAME;

use crate::compose::Composed;
use crate::kafka::native::Headers;
use crate::kafka::producer::OutgoingRecord;
use crate::kafka::topics::OutputTopics;
use crate::stream::{Failure, Output, SealRecord};

/// Returns the record to send for an output that was composed, with the value of the chain's
/// header, if it has one: the last of all.
///
/// # Errors
/// Fails with [`Failure::Fatal`] for a region without a topic, which the core never names.
pub(in crate::kafka) fn output_record<'a>(
    output: &Output<'_>,
    composed: &Composed<'a>,
    chain: Option<&str>,
    topics: &OutputTopics,
) -> Result<OutgoingRecord<'a>, Failure> {
    let destination = topics.destination(output).ok_or_else(|| {
        Failure::Fatal(format!(
            "no topic for the region of partition {} offset {}",
            output.source_partition, output.source_offset
        ))
    })?;
    Ok(outgoing(composed, chain, destination))
}

/// Returns the record to send for one that was composed, likewise, to a topic and a partition.
pub(in crate::kafka) fn outgoing<'a>(
    composed: &Composed<'a>,
    chain: Option<&str>,
    (topic, partition): (usize, i32),
) -> OutgoingRecord<'a> {
    OutgoingRecord {
        topic,
        partition,
        timestamp_ms: composed.timestamp_ms,
        key: composed.key,
        payload: composed.value,
        headers: headers(composed, chain),
    }
}

fn headers(composed: &Composed<'_>, chain: Option<&str>) -> Option<Headers> {
    let count = composed.headers.len() + usize::from(chain.is_some());
    if count == 0 {
        return None;
    }
    let mut headers = Headers::with_capacity(count)?;
    for (name, value) in composed.headers {
        headers.add(name, *value);
    }
    if let Some(chain) = chain {
        headers.add(HEADER_NAME.as_bytes(), Some(chain.as_bytes()));
    }
    Some(headers)
}

/// Returns the record to send for a seal.
///
/// # Errors
/// Fails with [`Failure::Fatal`] if no topic for seals was given, although something is sealed.
pub(in crate::kafka) fn seal_record<'a>(
    seal: &'a SealRecord,
    topics: &OutputTopics,
) -> Result<OutgoingRecord<'a>, Failure> {
    let destination = topics
        .checkpoints(seal.partition)
        .ok_or_else(|| Failure::Fatal("no topic for seals is configured".to_string()))?;
    Ok(outgoing_seal(seal, destination))
}

/// Returns the record to send for a seal, to a topic and a partition.
pub(in crate::kafka) fn outgoing_seal(
    seal: &SealRecord,
    (topic, partition): (usize, i32),
) -> OutgoingRecord<'_> {
    OutgoingRecord {
        topic,
        partition,
        timestamp_ms: seal.timestamp_ms,
        key: Some(seal.key.as_bytes()),
        payload: Some(seal.note.as_bytes()),
        headers: None,
    }
}
