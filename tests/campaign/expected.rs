//! What must become of each record, said once, when it is made. This is the second statement of the
//! rules: it shares no code with the relay.

use std::fmt;

use crate::change::Variant;
use crate::people::Action;

/// All records are of this account.
pub const ACCOUNT: u64 = 307_608;
/// A data center in each of the regions, in their order.
pub const DATA_CENTERS: [&str; 6] = ["syd04", "fra02", "lon06", "tok02", "wdc04", "dal10"];

/// Something that is done to a device.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    /// What the record calls it.
    pub event_name: &'static str,
    /// What the event must call it, behind the object.
    pub verb: &'static str,
    /// How grave the event must call it.
    pub severity: &'static str,
}

/// Some of them.
pub const DEEDS: [Deed; 4] = [
    deed("Power Off", "power-off", "warning"),
    deed("Power On", "power-on", "normal"),
    deed("OS Reload", "reload", "critical"),
    deed("Soft Reboot", "soft-reboot", "normal"),
];

const fn deed(event_name: &'static str, verb: &'static str, severity: &'static str) -> Deed {
    Deed { event_name, verb, severity }
}

/// Why a record must be in the quarantine topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Malformed,
    UnknownPrincipal,
    UnknownDevice,
    UnknownLocation,
}

impl Reason {
    /// As the header says it.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::UnknownPrincipal => "unknown_principal",
            Reason::UnknownDevice => "unknown_device",
            Reason::UnknownLocation => "unknown_location",
        }
    }
}

/// What must become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    Audited,
    Skipped,
    Quarantined(Reason),
    /// A revocation was written so short a time before that a relay need not have heard of it.
    AuditedOrSkipped,
}

/// A record as the ledger knows it.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    pub demand: Demand,
    pub variant: Variant,
    /// Index of the device.
    pub device: u32,
    /// Index of the deed.
    pub deed: u8,
    /// The user who acted.
    pub user: u64,
    /// When it happened, in milliseconds since 1970.
    pub time_ms: i64,
    /// The timestamp of the record, which its output must have as well.
    pub stamp_ms: i64,
}

impl Expected {
    /// Lets it be this action, if there is one.
    pub fn take(&mut self, action: Option<Action>) {
        if let Some(action) = action {
            self.user = action.user;
            self.time_ms = action.time_ms;
            self.demand = action.demand;
        }
    }
}

/// A device: it has one place, and one partition of the input.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    pub id: u64,
    pub partition: i32,
    /// Index of its region, and of its data center.
    pub region: usize,
    /// Whether its changes leave it to the table where it is.
    pub in_table: bool,
}

impl Device {
    /// The device of an index, in a partition.
    pub fn new(index: u32, partition: i32) -> Device {
        Device {
            id: 1_000_000 + u64::from(index),
            partition,
            region: (index as usize / 2) % DATA_CENTERS.len(),
            in_table: index % 2 == 1,
        }
    }

    pub fn data_center(&self) -> &'static str {
        DATA_CENTERS[self.region]
    }

    /// The name that its records call it by.
    pub fn label(&self) -> String {
        format!("web{}", self.id)
    }
}

/// The identity of a user, by which the events must name them.
pub fn iam_id(user: u64) -> String {
    format!("IBMid-{user:010}")
}

/// The name of a user, as the topic of the principals has it.
pub fn user_name(user: u64) -> String {
    format!("user{user}@example.com")
}

/// A time as records have it.
pub fn instant(time_ms: i64) -> impl fmt::Display {
    jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default()
}

/// A time as events must have it: hundredths, and no colon.
pub fn event_time(time_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default();
    let hundredths = time_ms.rem_euclid(1_000) / 10;
    format!("{}.{hundredths:02}+0000", time.strftime("%Y-%m-%dT%H:%M:%S"))
}
