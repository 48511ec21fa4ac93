//! The headers of a quarantined record, written and read here alone: why it is in quarantine, where
//! it came from, and what the original was if this is a stub. They follow the record's own headers
//! and are always complete, so that the last header of a name is the relay's and cannot be forged.
//! `schemas/README.md` describes them.

use std::borrow::Cow;

use crate::stream::kept_record::Stub;
use crate::stream::{Output, QuarantinedRecord};

/// The kind of reason, such as `malformed`.
pub const REASON: &str = "audit-relay-reason";
/// The reason in words.
pub const DETAIL: &str = "audit-relay-detail";
/// The input topic.
pub const TOPIC: &str = "audit-relay-topic";
/// The partition of the input topic.
pub const PARTITION: &str = "audit-relay-partition";
/// The offset in that partition.
pub const OFFSET: &str = "audit-relay-offset";
/// The version of the relay.
pub const VERSION: &str = "audit-relay-version";
/// Whether this is a stub: `true` or `false`.
pub const STUB: &str = "audit-relay-stub";
/// Of a stub: the length of the original value, in bytes.
pub const VALUE_BYTES: &str = "audit-relay-value-bytes";
/// Of a stub: the SHA-256 of the original value, in lower-case hexadecimal digits.
pub const VALUE_SHA256: &str = "audit-relay-value-sha256";
/// Of a stub: the length of the original key, in bytes.
pub const KEY_BYTES: &str = "audit-relay-key-bytes";
/// Of a stub: how many of the original headers are missing.
pub const HEADERS_DROPPED: &str = "audit-relay-headers-dropped";

/// Of an audit event: the place in the quarantine of the record that it is of.
pub const REPLAYED: &str = "audit-relay-replayed";

/// The name and value of one header.
pub type Header<'a> = (&'static str, Cow<'a, str>);

/// Returns the headers of a record that goes to quarantine.
pub fn write<'a>(
    kept: &'a QuarantinedRecord,
    output: &Output<'_>,
    input_topic: &'a str,
) -> Vec<Header<'a>> {
    let stub = kept.original.stub.as_ref();
    let mut headers = vec![
        (REASON, kept.quarantine.reason.name().into()),
        (DETAIL, kept.quarantine.detail.as_str().into()),
        (TOPIC, input_topic.into()),
        (PARTITION, output.source_partition.to_string().into()),
        (OFFSET, output.source_offset.to_string().into()),
        (VERSION, env!("CARGO_PKG_VERSION").into()),
        (STUB, if stub.is_some() { "true" } else { "false" }.into()),
    ];
    headers.extend(stub.into_iter().flat_map(of_stub));
    headers
}

fn of_stub<'a>(stub: &Stub) -> [Header<'a>; 4] {
    let hex = stub.value_sha256.iter().map(|byte| format!("{byte:02x}"));
    [
        (VALUE_BYTES, stub.value_bytes.to_string().into()),
        (VALUE_SHA256, hex.collect::<String>().into()),
        (KEY_BYTES, stub.key_bytes.to_string().into()),
        (HEADERS_DROPPED, stub.headers_dropped.to_string().into()),
    ]
}

/// Returns the value that the relay gave a header: the last one of that name.
pub fn read<'h>(
    headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
    name: &str,
) -> Option<&'h str> {
    let (_, value) = headers.filter(|(given, _)| *given == name).last()?;
    std::str::from_utf8(value?).ok()
}

#[cfg(test)]
mod tests {
    use audit_judge::fate::Quarantine;

    use super::*;
    use crate::stream::kept_record::KeptRecord;
    use crate::stream::{Content, Partition};

    fn written(stub: Option<Stub>) -> Vec<(String, String)> {
        let original = KeptRecord { key: None, payload: None, headers: Vec::new(), stub };
        let kept = QuarantinedRecord { original, quarantine: Quarantine::malformed("no JSON") };
        let output = Output {
            source_partition: Partition(3),
            source_offset: 1_200,
            timestamp_ms: None,
            content: Content::Quarantined(&kept),
        };
        let headers = write(&kept, &output, "changes").into_iter();
        headers.map(|(name, value)| (name.to_string(), value.into_owned())).collect()
    }

    fn value(headers: &[(String, String)], name: &str) -> Option<String> {
        let headers = headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_bytes())));
        read(headers, name).map(String::from)
    }

    #[test]
    fn what_is_written_can_be_read() {
        let headers = written(None);
        for (name, expected) in [
            (REASON, "malformed"),
            (DETAIL, "no JSON"),
            (TOPIC, "changes"),
            (PARTITION, "3"),
            (OFFSET, "1200"),
            (STUB, "false"),
        ] {
            assert_eq!(value(&headers, name).as_deref(), Some(expected), "{name}");
        }
        assert_eq!(headers.len(), 7);
        let stub =
            Stub { value_bytes: 9, value_sha256: [0xa5; 32], key_bytes: 2, headers_dropped: 1 };
        let headers = written(Some(stub));
        assert_eq!(headers.len(), 11);
        assert_eq!(value(&headers, STUB).as_deref(), Some("true"));
        assert_eq!(value(&headers, VALUE_BYTES).as_deref(), Some("9"));
        assert_eq!(value(&headers, VALUE_SHA256), Some("a5".repeat(32)));
        assert_eq!(value(&headers, KEY_BYTES).as_deref(), Some("2"));
        assert_eq!(value(&headers, HEADERS_DROPPED).as_deref(), Some("1"));
    }

    #[test]
    fn a_header_of_the_record_itself_does_not_count() {
        let forged = (REASON.to_string(), "forged".to_string());
        let headers: Vec<_> = [forged].into_iter().chain(written(None)).collect();
        assert_eq!(value(&headers, REASON).as_deref(), Some("malformed"));
        assert_eq!(value(&headers[..0], REASON), None);
    }
}
