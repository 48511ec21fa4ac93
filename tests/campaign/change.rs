//! The records of the load: a pure function of what is expected of them, so that the ledger can
//! make each one again and compare.

use crate::demand::{ACCOUNT, DEEDS, Device, Expected, instant};
use audit_testkit::random::Random;

/// What a record is like, where its demand does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// A user's action.
    User,
    /// The system's own.
    System,
    /// Of a user, but nothing that is audited.
    Unlisted,
    /// Cut short.
    Truncated,
    /// Cut short, and larger than the quarantine topic takes while it is told to refuse: then a
    /// stub stands for it.
    Oversized,
    /// Says neither where the device is nor names one that is known.
    LostDevice,
    /// Names a place that is not known.
    Nowhere,
}

/// More than the 2 MiB that the quarantine topic takes while it is told to refuse.
pub const OVERSIZED_BYTES: usize = 3 << 20;

/// The value of the record with this number.
pub fn value(number: u32, expected: &Expected, device: &Device) -> Vec<u8> {
    let variant = expected.variant;
    let object = match variant {
        Variant::LostDevice => 9_000_000 + u64::from(number),
        _ => device.id,
    };
    let place = match variant {
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
        _ => DEEDS[usize::from(expected.deed)].event_name,
    };
    let mut text = format!(
        "{{\"accountId\":{ACCOUNT},\"eventCreateDate\":\"{}\",\"eventName\":\"{event}\",\"objectName\":\"Server\",\"objectId\":{object},\"label\":\"{}\",\"traceId\":\"{number}\",\"userId\":{user},\"userType\":\"{user_type}\",\"metaData\":\"\"{place}}}",
        instant(expected.time_ms),
        device.label(),
    );
    match variant {
        Variant::Truncated => text.truncate(text.len() - 2),
        Variant::Oversized => {
            text.truncate(text.len() - 2);
            // Nothing that a producer could compress to a size that is taken.
            let random = Random::new(u64::from(number));
            while text.len() < OVERSIZED_BYTES {
                let chance = random.below(u64::MAX);
                let letter = |place: u32| char::from(b'0' + (chance >> (6 * place)) as u8 % 64);
                text.extend((0..10).map(letter));
            }
        }
        _ => {}
    }
    text.into_bytes()
}
