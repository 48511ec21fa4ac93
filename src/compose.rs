//! Composes the records that the relay writes: key, value, headers. What is sent and what is hashed
//! for the trail's proof both come from here, so they cannot differ. Topic and partition are the
//! edge's.

use uuid::fmt::Hyphenated;

use audit_chain::hash::leaf::RecordHeader;
use audit_chain::header::HEADER_NAME;
use audit_judge::fate::Envelope;

use crate::config::Config;
use crate::quarantine;
use crate::quarantine::case::Place;
use crate::quarantine::headers::REPLAYED;
use crate::quarantine::resolved::Resolved;
use crate::stream::{Content, Output, QuarantinedRecord};

/// What the records of a deployment have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordFormat {
    /// The region names, by region index, as the `region` header contains them.
    pub regions: Vec<String>,
    /// Whether audit events carry headers.
    pub event_headers: bool,
    /// The name of the input topic, which quarantined records name.
    pub input: String,
    /// Whether records get the chain's header.
    pub is_sealed: bool,
}

/// What a header of a quarantined record is called that has the name of the chain's header.
pub const ORIGINAL_CHAIN_HEADER: &str = "original-audit-chain";

/// A record to be written.
#[derive(Debug, Clone, Copy)]
pub struct Composed<'a> {
    /// Milliseconds since 1970; 0 lets the client take its own time.
    pub timestamp_ms: i64,
    /// Its key. A missing key stays missing: an empty one means something else.
    pub key: Option<&'a [u8]>,
    /// Its value, which may be missing as well.
    pub value: Option<&'a [u8]>,
    /// All its headers but the chain's, in order.
    pub headers: &'a [RecordHeader<'a>],
}

impl RecordFormat {
    /// Returns the format of a deployment that writes to these regions.
    pub fn new(config: &Config, regions: Vec<String>) -> Self {
        RecordFormat {
            regions,
            event_headers: config.output.headers,
            input: config.input.topic.clone(),
            is_sealed: config.integrity.is_some(),
        }
    }

    /// Composes the record of an output and hands it over. If the input had no timestamp, it gets
    /// `time_ms`.
    pub fn compose<R>(
        &self,
        output: &Output<'_>,
        time_ms: i64,
        then: impl FnOnce(&Composed<'_>) -> R,
    ) -> R {
        let timestamp_ms = output.timestamp_ms.filter(|time| *time != 0).unwrap_or(time_ms);
        match output.content {
            Content::Event { envelope, event } => {
                let (key, value) = (Some(envelope.device.as_bytes()), Some(event));
                let mut id = [0; Hyphenated::LENGTH];
                let headers = envelope.headers(self.region(envelope), &mut id);
                let headers =
                    headers.map(|(name, value)| (name.as_bytes(), Some(value.as_bytes())));
                let headers = if self.event_headers { &headers[..] } else { &[] };
                then(&Composed { timestamp_ms, key, value, headers })
            }
            Content::Quarantined(kept) => {
                let own = quarantine::headers::write(kept, output, &self.input);
                let headers: Vec<RecordHeader<'_>> = self
                    .original_headers(kept)
                    .chain(
                        own.iter().map(|(name, value)| (name.as_bytes(), Some(value.as_bytes()))),
                    )
                    .collect();
                let (key, value) = (kept.original.key.as_deref(), kept.original.payload.as_deref());
                then(&Composed { timestamp_ms, key, value, headers: &headers })
            }
        }
    }

    /// Composes the event of a quarantined record that is replayed: as [`Self::compose`], with a
    /// header more, the record's place in the quarantine.
    pub fn compose_replayed<R>(
        &self,
        output: &Output<'_>,
        place: Place,
        time_ms: i64,
        then: impl FnOnce(&Composed<'_>) -> R,
    ) -> R {
        let place = place.to_string();
        self.compose(output, time_ms, |composed| {
            let replayed = (REPLAYED.as_bytes(), Some(place.as_bytes()));
            let headers: Vec<RecordHeader<'_>> =
                composed.headers.iter().copied().chain([replayed]).collect();
            then(&Composed { headers: &headers, ..*composed })
        })
    }

    fn region(&self, envelope: &Envelope) -> &str {
        self.regions.get(envelope.region.0).map_or("", String::as_str)
    }

    /// Returns the headers that the input record had. A sealed record has one header with the name
    /// of the chain's, so that of the input gets another name.
    fn original_headers<'a>(
        &self,
        kept: &'a QuarantinedRecord,
    ) -> impl Iterator<Item = RecordHeader<'a>> {
        let headers = kept.original.headers.iter();
        headers.map(|(name, value)| {
            let is_taken = self.is_sealed && name == HEADER_NAME.as_bytes();
            let name = if is_taken { ORIGINAL_CHAIN_HEADER.as_bytes() } else { name.as_slice() };
            (name, value.as_deref())
        })
    }
}

/// Composes the record of an outcome.
pub fn compose_outcome<'a>(resolved: &Resolved<'a>) -> Composed<'a> {
    Composed {
        timestamp_ms: resolved.at_ms,
        key: Some(resolved.key),
        value: Some(resolved.value),
        headers: &[],
    }
}

#[cfg(test)]
mod tests {
    use audit_judge::fate::{Quarantine, RegionIndex};
    use uuid::Uuid;

    use super::*;
    use crate::stream::Partition;
    use crate::stream::kept_record::KeptRecord;

    fn output(content: Content<'_>, timestamp_ms: Option<i64>) -> Output<'_> {
        Output { source_partition: Partition(3), source_offset: 7, timestamp_ms, content }
    }

    fn format(event_headers: bool, is_sealed: bool) -> RecordFormat {
        let regions = vec!["eu-de".to_string(), "us-south".to_string()];
        RecordFormat { regions, event_headers, input: "changes".to_string(), is_sealed }
    }

    #[test]
    fn an_event_has_its_key_and_headers() {
        let envelope = Envelope {
            region: RegionIndex(1),
            device: "1234567".into(),
            account: "307608".into(),
            location: "dal10".into(),
            id: Uuid::from_u128(5),
        };
        let content = Content::Event { envelope: &envelope, event: b"{}" };
        for (timestamp, expected) in [(Some(9), 9), (None, 4), (Some(0), 4)] {
            format(true, false).compose(&output(content, timestamp), 4, |composed| {
                assert_eq!(composed.timestamp_ms, expected);
                assert_eq!(composed.key, Some(&b"1234567"[..]));
                assert_eq!(composed.value, Some(&b"{}"[..]));
                assert_eq!(composed.headers[2], (&b"region"[..], Some(&b"us-south"[..])));
            });
        }
        format(false, true).compose(&output(content, None), 4, |composed| {
            assert_eq!(composed.headers, []);
        });
    }

    /// A producer that sends the chain's header must not be able to hold its partition.
    #[test]
    fn a_header_with_the_name_of_the_chains_gets_another_one_where_the_trail_is_sealed() {
        let headers = vec![
            (b"audit-chain".to_vec(), Some(b"forged".to_vec())),
            (b"Audit-Chain".to_vec(), None),
        ];
        let original = KeptRecord { key: None, payload: None, headers, stub: None };
        let kept = QuarantinedRecord { original, quarantine: Quarantine::malformed("no JSON") };
        for (is_sealed, name) in [(true, "original-audit-chain"), (false, "audit-chain")] {
            let output = output(Content::Quarantined(&kept), Some(1));
            format(true, is_sealed).compose(&output, 4, |composed| {
                assert_eq!((composed.key, composed.value), (None, None));
                assert_eq!(composed.headers[0], (name.as_bytes(), Some(&b"forged"[..])));
                assert_eq!(composed.headers[1], (&b"Audit-Chain"[..], None));
                assert_eq!(composed.headers[2].0, b"audit-relay-reason");
            });
        }
    }
}
