//! The records of the load: a pure function of the expected record, so that the ledger can rebuild
//! and compare each one.

use crate::expected::{ACCOUNT, ACTION_KINDS, Device, ExpectedRecord, instant};
use audit_testkit::random::Random;

/// The shape of a record, as far as its expected fate does not imply it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// An action of a user.
    User,
    /// An action of the system itself.
    System,
    /// An action of a user that is not in the catalogue.
    Unlisted,
    /// Truncated JSON.
    Truncated,
    /// Truncated JSON that is larger than the lowered limit of the quarantine topic, so that a stub
    /// may be written for it.
    Oversized,
    /// Names an unknown device, and no location.
    LostDevice,
    /// Names an unknown location.
    Nowhere,
}

/// More than 2 MiB, the lowered limit of the quarantine topic.
pub const OVERSIZED_BYTES: usize = 3 << 20;

/// The value of the record with this number.
pub fn value(number: u32, expected: &ExpectedRecord, device: &Device) -> Vec<u8> {
    let variant = expected.variant;
    let object = match variant {
        Variant::LostDevice => 9_000_000 + u64::from(number),
        _ => device.id,
    };
    let location = match variant {
        Variant::Nowhere => ",\"datacenter\":\"xyz99\"".to_string(),
        Variant::LostDevice => String::new(),
        _ if device.in_table => String::new(),
        _ => format!(",\"datacenter\":\"{}\"", device.data_center()),
    };
    let (user_type, user) = match variant {
        Variant::System => ("SYSTEM", "\"\"".to_string()),
        _ => ("CUSTOMER", expected.user.to_string()),
    };
    let event = match variant {
        Variant::Unlisted => "Coffee Served",
        _ => ACTION_KINDS[usize::from(expected.action_kind)].event_name,
    };
    let mut text = format!(
        "{{\"accountId\":{ACCOUNT},\"eventCreateDate\":\"{}\",\"eventName\":\"{event}\",\"objectName\":\"Server\",\"objectId\":{object},\"label\":\"{}\",\"traceId\":\"{number}\",\"userId\":{user},\"userType\":\"{user_type}\",\"metaData\":\"\"{location}}}",
        instant(expected.time_ms),
        device.label(),
    );
    match variant {
        Variant::Truncated => text.truncate(text.len() - 2),
        Variant::Oversized => {
            text.truncate(text.len() - 2);
            // Random text, which a producer cannot compress below the limit.
            let random = Random::new(u64::from(number));
            while text.len() < OVERSIZED_BYTES {
                let chance = random.below(u64::MAX);
                let letter =
                    |location: u32| char::from(b'0' + (chance >> (6 * location)) as u8 % 64);
                text.extend((0..10).map(letter));
            }
        }
        _ => {}
    }
    text.into_bytes()
}
