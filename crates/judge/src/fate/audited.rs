//! An audit event that is ready to write, with its destination and its record headers.

use compact_str::CompactString;
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// Index of a region in the table of output regions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegionIndex(pub usize);

/// An audit event, ready to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// Its destination and its metadata.
    pub envelope: Envelope,
    /// The event as canonical JSON.
    pub event: Vec<u8>,
    /// See [`Fate::awaits_tables`](super::Fate::awaits_tables).
    pub awaits_tables: bool,
}

/// What the output record states outside the event itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The configured region, which decides the topic.
    pub region: RegionIndex,
    /// Key of the output record: the device, which keeps order per device.
    pub device: CompactString,
    /// The account, for the `account` header.
    pub account: CompactString,
    /// The data center, for the `location` header.
    pub location: CompactString,
    /// Id of the event, for the `id` header.
    pub id: Uuid,
}

impl Envelope {
    /// Returns the record headers that describe the event. `region` (where it was processed) and
    /// `location` (where the resource is) are different values. `id` is the buffer for the text of
    /// the id.
    pub fn headers<'a>(
        &'a self,
        region: &'a str,
        id: &'a mut [u8; Hyphenated::LENGTH],
    ) -> [(&'static str, &'a str); 5] {
        [
            ("type", "audit"),
            ("account", &self.account),
            ("region", region),
            ("location", &self.location),
            ("id", self.id.hyphenated().encode_lower(id)),
        ]
    }
}
