//! Recognises a value that is not a state change: compressed, encoded, a batch, an envelope. It
//! runs only when a record could not be read, so that the detail of its quarantine can state what
//! to change. It unwraps nothing.

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use crate::json::Raw;
use crate::json::nested::members;

/// Names the wrapping and the remedy; `None` if the wrapping is not known.
#[cold]
pub(crate) fn recognise(bytes: &[u8]) -> Option<&'static str> {
    by_first_bytes(bytes).or_else(|| {
        let text = std::str::from_utf8(bytes).ok()?.trim();
        match text.as_bytes() {
            [b'{', ..] => envelope(text),
            [b'[', ..] => Some("the value is a list of records: send one record in each message"),
            [b'"', ..] => Some("the value is JSON inside a JSON string: send the object itself; the producer serializes twice"),
            _ => is_base64_of_object(text).then_some("the value is base64 of JSON: send the JSON itself"),
        }
    })
}

const COMPRESSED: &[(&[u8], &str)] = &[
    (
        b"\x1f\x8b",
        "the value is compressed by gzip: let the producer compress (compression.type), not the application",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "the value is compressed by zstd: let the producer compress (compression.type), not the application",
    ),
    (
        b"\x04\x22\x4d\x18",
        "the value is compressed by lz4: let the producer compress (compression.type), not the application",
    ),
    (
        b"\xff\x06\0\0sNaPpY",
        "the value is compressed by snappy: let the producer compress (compression.type), not the application",
    ),
    (
        b"\x82SNAPPY\0",
        "the value is compressed by snappy: let the producer compress (compression.type), not the application",
    ),
    (
        b"\x78\x01",
        "the value is compressed by zlib: let the producer compress (compression.type), not the application",
    ),
    (
        b"\x78\x9c",
        "the value is compressed by zlib: let the producer compress (compression.type), not the application",
    ),
    (
        b"\x78\xda",
        "the value is compressed by zlib: let the producer compress (compression.type), not the application",
    ),
    (b"\xef\xbb\xbf", "the value begins with a byte order mark: write UTF-8 without one"),
    (b"\xff\xfe", "the value is UTF-16: write UTF-8"),
    (b"\xfe\xff", "the value is UTF-16: write UTF-8"),
    (b"{\0", "the value is UTF-16: write UTF-8"),
    (b"Obj\x01", "the value is an Avro file: Avro is not read; send JSON"),
    (b"\xac\xed\0\x05", "the value is a serialized Java object: send JSON"),
    (
        b"\x03\0",
        "the value is in the wire format of the AWS Glue Schema Registry, which is not read: send plain JSON",
    ),
    (
        b"\x03\x05",
        "the value is in the wire format of the AWS Glue Schema Registry, which is not read: send plain JSON",
    ),
];

fn by_first_bytes(bytes: &[u8]) -> Option<&'static str> {
    let mut known = COMPRESSED.iter();
    let found = known.find(|(magic, _)| bytes.starts_with(magic));
    found.map(|(_, what)| *what)
}

/// Recognises the envelopes of connectors, gateways and log shippers by members that a state change
/// does not have.
fn envelope(text: &str) -> Option<&'static str> {
    let [schema, payload, before, after, op] =
        members(text, ["schema", "payload", "before", "after", "op"])?;
    let [records, value, detail, detail_type, at, message] =
        members(text, ["records", "value", "detail", "detail-type", "@timestamp", "message"])?;
    let opens =
        |member: Option<Raw<'_>>, with: char| member.is_some_and(|raw| raw.0.starts_with(with));
    let is_change = op.is_some() && (before.is_some() || after.is_some());
    Some(match () {
        () if payload.is_some_and(is_change_event) || is_change => {
            "the value is a Debezium change event: unwrap it by the transform ExtractNewRecordState"
        }
        () if schema.is_some() && opens(payload, '{') => {
            "the value is an envelope of Kafka Connect, schema and payload: set value.converter.schemas.enable=false"
        }
        () if opens(records, '[') => {
            "the value is a batch under `records`, as Azure and AWS write them: send one record in each message"
        }
        () if detail_type.is_some() && opens(detail, '{') => {
            "the value is an EventBridge event: send its `detail` alone"
        }
        () if at.is_some() && message.is_some() => {
            "the value is an envelope of a log shipper: send its `message` alone"
        }
        () if opens(payload, '{') => "the value is an envelope: send its `payload` alone",
        () if opens(value, '{') => "the value is an envelope: send its `value` alone",
        () => return None,
    })
}

fn is_change_event(payload: Raw<'_>) -> bool {
    let found = members(payload.0, ["before", "after", "op"]);
    found.is_some_and(|[before, after, op]| op.is_some() && (before.is_some() || after.is_some()))
}

/// Returns whether a text is base64 whose first bytes begin an object or compressed data.
fn is_base64_of_object(text: &str) -> bool {
    /// A multiple of four, so that this prefix decodes on its own.
    const LOOKED_AT: usize = 16;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(&byte);
    let Some(beginning) = text.get(..LOOKED_AT) else {
        return false;
    };
    let beginning = BASE64_STANDARD_NO_PAD.decode(beginning);
    text.bytes().all(is_base64)
        && beginning.is_ok_and(|bytes| bytes.starts_with(b"{") || by_first_bytes(&bytes).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_it_is_and_what_to_change() {
        for (bytes, words) in [
            (&b"\x1f\x8b\x08\0"[..], "gzip"),
            (b"\x28\xb5\x2f\xfd\x04", "zstd"),
            (b"\x04\x22\x4d\x18", "lz4"),
            (b"\xff\x06\0\0sNaPpY", "snappy"),
            (b"\x82SNAPPY\0\0\0\0\x01", "snappy"),
            (b"\x78\x9c\x01", "zlib"),
            (b"\xef\xbb\xbf{}", "byte order mark"),
            (b"{\0\"\0", "UTF-16"),
            (b"\xff\xfe{\0", "UTF-16"),
            (b"Obj\x01\x04", "Avro"),
            (b"\x03\0\x11\x11", "Glue"),
            (b"\xac\xed\0\x05sr", "Java"),
            (b" [{\"eventName\":1}]", "list of records"),
            (b"\"{\\\"eventName\\\":1}\"", "serializes twice"),
            (b"eyJldmVudE5hbWUiOiJQb3dlciBPbiJ9", "base64"),
            (b"H4sIAAAAAAAAA6tWKkgsys", "base64"),
            (br#"{"records":[{"eventName":"Power On"}]}"#, "batch"),
            (br#"{"Records":[]}"#, "batch"),
            (
                br#"{"schema":{"type":"struct"},"payload":{"eventName":"x"}}"#,
                "schemas.enable=false",
            ),
            (
                br#"{"schema":null,"payload":{"before":null,"after":{},"op":"c"}}"#,
                "ExtractNewRecordState",
            ),
            (br#"{"before":null,"after":{"id":1},"source":{},"op":"c"}"#, "ExtractNewRecordState"),
            (br#"{"version":"0","detail-type":"x","detail":{}}"#, "detail"),
            (br#"{"@timestamp":"2021","message":"{}","host":{}}"#, "message"),
            (br#"{"payload":{"eventName":"x"}}"#, "payload"),
            (br#"{"value":{"eventName":"x"}}"#, "value"),
        ] {
            let what = recognise(bytes).unwrap_or_default();
            assert!(what.contains(words), "{}: {what}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn says_nothing_of_what_it_does_not_know() {
        for bytes in [
            &b""[..],
            b"hello",
            b"hello, this is only a text",
            b"{\"a\":1}",
            b"{\"a\":",
            b"{\"value\":1}",
            b"\x01\x02\x03",
            b"\xc3\x28",
        ] {
            assert_eq!(recognise(bytes), None, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
