//! Removes framings that producers add without being configured to: the wire format of Confluent's
//! serializers, and CloudEvents in structured mode. The content is read as if it had arrived
//! unframed; no registry is contacted. CloudEvents in binary mode, and schema ids in headers, leave
//! the value unchanged.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::json::Raw;
use crate::json::nested;

/// Returns the framed content, or the bytes unchanged. For values of tables, of which millions are
/// read at startup.
///
/// # Errors
/// Names the framing whose content is not a JSON object, and the remedy.
pub fn unwrap(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let body = body(bytes)?;
    if memchr::memmem::find(body, b"specversion").is_none() {
        return Ok(Cow::Borrowed(body));
    }
    cloud_event(body).unwrap_or(Ok(Cow::Borrowed(body)))
}

/// Returns the bytes after the frame of a schema registry. Most records have none, which one byte
/// shows.
pub(crate) fn body(bytes: &[u8]) -> Result<&[u8], String> {
    match bytes.first() {
        Some(&MAGIC) => behind_schema_id(bytes),
        _ => Ok(bytes),
    }
}

/// The first byte of the wire format.
const MAGIC: u8 = 0;

#[cold]
fn behind_schema_id(bytes: &[u8]) -> Result<&[u8], String> {
    // Confluent's ids have 4 bytes; Apicurio's once had 8.
    for frame in [1 + 4, 1 + 8] {
        match bytes.get(frame..) {
            Some(body) if is_object(body) => return Ok(body),
            _ => {}
        }
    }
    let id = bytes.get(1..5).and_then(|id| id.try_into().ok());
    let id = id.map_or(0, u32::from_be_bytes);
    Err(format!(
        "the value is in the wire format of a schema registry (schema id {id}), and what it frames is no JSON object: Avro and Protobuf are not read; write it with the JSON Schema serializer, or as plain JSON"
    ))
}

fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'{')
}

/// Returns the data of a CloudEvent in structured mode; `None` if the bytes are not one.
#[cold]
pub(crate) fn cloud_event(bytes: &[u8]) -> Option<Result<Cow<'_, [u8]>, String>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let [version, data, base64] = nested::members(text, ["specversion", "data", "data_base64"])?;
    version.filter(|version| version.0.starts_with('"'))?;
    let data = match (data, base64) {
        (Some(Raw(object)), _) if object.starts_with('{') => Some(Cow::Borrowed(object.as_bytes())),
        (Some(Raw(text)), _) => nested::string(text).map(|text| Cow::Owned(text.into_bytes())),
        (None, Some(Raw(text))) => nested::string(text).and_then(decoded),
        (None, None) => None,
    };
    Some(data.filter(|data| is_object(data)).ok_or_else(|| {
        "the value is a CloudEvent whose data is no JSON object: send the state change as JSON in `data`, or as `data_base64` of JSON".to_owned()
    }))
}

fn decoded(text: String) -> Option<Cow<'static, [u8]>> {
    BASE64_STANDARD.decode(text.trim()).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_framed_comes_out() {
        let plain = br#"{"a":1}"#;
        for framed in [
            &plain[..],
            b"\0\0\0\0\x07{\"a\":1}",
            b"\0{{{{{\"a\":1}",
            b"\0\0\0\0\0\0\0\0\x07{\"a\":1}",
            br#"{"specversion":"1.0","type":"t","source":"s","id":"1","data":{"a":1}}"#,
            br#"{"data":"{\"a\":1}","specversion":"1.0"}"#,
            br#"{"data_base64":"eyJhIjoxfQ==","specversion":"1.0"}"#,
            b"\0\0\0\0\x07{\"data\":{\"a\":1},\"specversion\":\"1.0\"}",
        ] {
            let name = String::from_utf8_lossy(framed);
            assert_eq!(unwrap(framed).as_deref(), Ok(&plain[..]), "{name:?}");
        }
    }

    #[test]
    fn what_is_not_framed_stays() {
        for bytes in [
            &b""[..],
            b"\x01\0\0\0\x07{}",
            br#"{"specversion":1,"data":{}}"#,
            br#"{"data":{}}"#,
            b"\xff",
        ] {
            assert_eq!(unwrap(bytes).as_deref(), Ok(bytes));
        }
    }

    #[test]
    fn other_content_is_named_with_the_remedy() {
        for (bytes, words) in [
            (&b"\0\0\0\0\x07\x02\x06abc"[..], "schema id 7"),
            (b"\0", "schema id 0"),
            (b"\0\0\0\0\0[1]", "JSON Schema serializer"),
            (br#"{"specversion":"1.0"}"#, "CloudEvent"),
            (br#"{"specversion":"1.0","data":[1]}"#, "CloudEvent"),
            (br#"{"specversion":"1.0","data_base64":"AAAA"}"#, "data_base64"),
            (br#"{"specversion":"1.0","data_base64":"?"}"#, "data_base64"),
        ] {
            let problem = unwrap(bytes).expect_err("must be refused");
            assert!(problem.contains(words), "{problem}");
        }
    }
}
