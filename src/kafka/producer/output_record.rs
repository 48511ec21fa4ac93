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
    let (topic, partition) = topics.destination(output).ok_or_else(|| {
        Failure::Fatal(format!(
            "no topic for the region of partition {} offset {}",
            output.source_partition, output.source_offset
        ))
    })?;
    Ok(OutgoingRecord {
        topic,
        partition,
        timestamp_ms: composed.timestamp_ms,
        key: composed.key,
        payload: composed.value,
        headers: headers(composed, chain),
    })
}

/// Returns the headers of a record that was composed, with the value of the chain's header, if it
/// has one: the last of all.
pub(in crate::kafka) fn headers(composed: &Composed<'_>, chain: Option<&str>) -> Option<Headers> {
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
    let (topic, partition) = topics
        .checkpoints(seal.partition)
        .ok_or_else(|| Failure::Fatal("no topic for seals is configured".to_string()))?;
    Ok(OutgoingRecord {
        topic,
        partition,
        timestamp_ms: seal.timestamp_ms,
        key: Some(seal.key.as_bytes()),
        payload: Some(seal.note.as_bytes()),
        headers: None,
    })
}
