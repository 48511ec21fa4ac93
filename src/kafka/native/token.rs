//! Sets the OAUTHBEARER token of a client.

use std::ffi::CStr;
use std::ptr;

use rdkafka::bindings::rd_kafka_oauthbearer_set_token;
use rdkafka::client::{Client, ClientContext};
use rdkafka::types::RDKafkaRespErr;

/// Sets the token, which expires at `lifetime_ms`, in milliseconds since 1970. Returns whether the
/// client accepted it.
pub(crate) fn set_token<C: ClientContext>(
    client: &Client<C>,
    value: &CStr,
    lifetime_ms: i64,
    principal: &CStr,
) -> bool {
    let mut error_text = [0; 256];
    // SAFETY: the client and the strings live through the call, which copies them; the buffer has
    // the given length.
    let code = unsafe {
        rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            value.as_ptr(),
            lifetime_ms,
            principal.as_ptr(),
            ptr::null_mut(),
            0,
            error_text.as_mut_ptr(),
            error_text.len(),
        )
    };
    code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}
