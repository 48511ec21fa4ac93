//! Handles error codes as numbers. librdkafka passes a broker's code on unchanged, and a newer
//! broker has codes that the bindings' enumeration lacks. Such a value in a Rust enum is undefined
//! behavior, so every code that a broker may have chosen is read as a number.

use std::ffi::{CStr, c_char};

use rdkafka::bindings::{rd_kafka_error_t, rd_kafka_event_t, rd_kafka_t};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

/// No error.
pub(super) const NO_ERROR: i32 = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR as i32;
/// The broker does not know the topic.
pub(super) const UNKNOWN_TOPIC: i32 =
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART as i32;

// The bindings declare these with the enumeration as the return type; in C it is an `int`.
unsafe extern "C" {
    /// Produces a record. May return the error that the broker last reported for the topic.
    pub(super) fn rd_kafka_producev(client: *mut rd_kafka_t, ...) -> i32;
    /// Returns the error of an event.
    pub(super) fn rd_kafka_event_error(event: *mut rd_kafka_event_t) -> i32;
    /// Returns the code of an error.
    pub(super) fn rd_kafka_error_code(error: *const rd_kafka_error_t) -> i32;
    /// Describes any number. For one that librdkafka does not know, the text contains only the
    /// number.
    fn rd_kafka_err2str(code: i32) -> *const c_char;
}

/// Returns the code, if rust-rdkafka has a name for it.
pub(super) fn known_code(code: i32) -> Option<RDKafkaErrorCode> {
    use RDKafkaErrorCode::{Begin, End, EndAll};
    let named = RDKafkaErrorCode::from(RDKafkaRespErr::try_from(code).ok()?);
    // The boundary values of the enumeration are not errors; a newer broker may assign their
    // numbers to errors.
    (!matches!(named, Begin | End | EndAll)).then_some(named)
}

/// Returns librdkafka's text for an error code, which contains the number if it has none.
pub(super) fn code_text(code: i32) -> String {
    // SAFETY: the call accepts any number, and returns a C string that stays valid at least until
    // this thread's next such call.
    let text = unsafe { CStr::from_ptr(rd_kafka_err2str(code)) };
    text.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_codes_have_a_name() {
        assert_eq!(known_code(-199), Some(RDKafkaErrorCode::BadMessage));
        assert_eq!(known_code(10), Some(RDKafkaErrorCode::MessageSizeTooLarge));
        let end = RDKafkaRespErr::RD_KAFKA_RESP_ERR_END_ALL as i32;
        for code in [115, end, 999, 32_767, -200, -100, -32_768, i32::MIN] {
            assert_eq!(known_code(code), None, "{code}");
        }
    }

    #[test]
    fn an_unknown_code_is_described_by_its_number() {
        assert!(code_text(10).contains("too large"), "{}", code_text(10));
        for code in [115, 999, -32_768] {
            let text = code_text(code);
            assert!(text.contains(&code.to_string()), "{text}");
        }
    }
}
