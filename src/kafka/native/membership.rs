//! Tells whether the client has a member id.

use rdkafka::bindings::{rd_kafka_mem_free, rd_kafka_memberid};
use rdkafka::client::{Client, ClientContext};

/// Returns whether the client has a member id. It drops the id when it learns that the group does
/// not know it, or when it has had no contact with the group for too long.
pub(crate) fn has_member_id<C: ClientContext>(client: &Client<C>) -> bool {
    // SAFETY: the client is alive, since it is borrowed. It returns null, or a C string that the
    // caller owns and the client must free.
    unsafe {
        let id = rd_kafka_memberid(client.native_ptr());
        if id.is_null() {
            return false;
        }
        let is_set = *id != 0;
        rd_kafka_mem_free(client.native_ptr(), id.cast());
        is_set
    }
}
