//! Whether the client believes that the group knows it.

use rdkafka::bindings::{rd_kafka_mem_free, rd_kafka_memberid};
use rdkafka::client::{Client, ClientContext};

/// Whether the client has a member id. It drops it when it learns that the group does not know it,
/// or has heard nothing of the group for too long.
pub(crate) fn has_member_id<C: ClientContext>(client: &Client<C>) -> bool {
    // SAFETY: the client lives, since it is borrowed. What it returns is a C string of ours, to be
    // freed by the client, or nothing.
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
