//! Gives an OAUTHBEARER token to a client.

use std::ffi::CStr;
use std::ptr;

use rdkafka::bindings::rd_kafka_oauthbearer_set_token;
use rdkafka::client::{Client, ClientContext};
use rdkafka::types::RDKafkaRespErr;

/// Whether the client takes the token, which is good until `lifetime_ms`, in milliseconds since
/// 1970.
pub(crate) fn set_token<C: ClientContext>(
    client: &Client<C>,
    value: &CStr,
    lifetime_ms: i64,
    principal: &CStr,
) -> bool {
    let mut complaint = [0; 256];
    // SAFETY: the client and the strings live through the call, which copies them; the buffer is as
    // long as is said.
    let code = unsafe {
        rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            value.as_ptr(),
            lifetime_ms,
            principal.as_ptr(),
            ptr::null_mut(),
            0,
            complaint.as_mut_ptr(),
            complaint.len(),
        )
    };
    code == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}
