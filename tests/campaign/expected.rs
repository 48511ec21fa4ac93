//! The expected fate of each record, decided once, when the record is created. This is a second
//! statement of the rules, and shares no code with the relay.

use std::fmt;

use crate::change::Variant;
use crate::principals::Action;

/// The account of all records.
pub const ACCOUNT: u64 = 307_608;
/// One data center of each region, in the order of the regions.
pub const DATA_CENTERS: [&str; 6] = ["syd04", "fra02", "lon06", "tok02", "wdc04", "dal10"];

/// A kind of action on a device.
#[derive(Clone, Copy, Debug)]
pub struct ActionKind {
    /// Its name in the record.
    pub event_name: &'static str,
    /// Its expected name in the event, after the object.
    pub verb: &'static str,
    /// Its expected severity in the event.
    pub severity: &'static str,
}

/// The kinds of actions in the load.
pub const ACTION_KINDS: [ActionKind; 4] = [
    action_kind("Power Off", "power-off", "warning"),
    action_kind("Power On", "power-on", "normal"),
    action_kind("OS Reload", "reload", "critical"),
    action_kind("Soft Reboot", "soft-reboot", "normal"),
];

const fn action_kind(
    event_name: &'static str,
    verb: &'static str,
    severity: &'static str,
) -> ActionKind {
    ActionKind { event_name, verb, severity }
}

/// The expected reason of a quarantined record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Malformed,
    UnknownPrincipal,
    UnknownDevice,
    UnknownLocation,
}

impl Reason {
    /// Its name in the header.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Malformed => "malformed",
            Reason::UnknownPrincipal => "unknown_principal",
            Reason::UnknownDevice => "unknown_device",
            Reason::UnknownLocation => "unknown_location",
        }
    }
}

/// The expected fate of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedFate {
    Audited,
    Skipped,
    Quarantined(Reason),
    /// A revocation was written so recently that a relay need not have received it.
    AuditedOrSkipped,
}

/// A record as the ledger knows it, with its expected fate.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedRecord {
    pub fate: ExpectedFate,
    pub variant: Variant,
    /// Index of the device.
    pub device: u32,
    /// Index of the kind of action.
    pub action_kind: u8,
    /// The user who acted.
    pub user: u64,
    /// Time of the action, in milliseconds since 1970.
    pub time_ms: i64,
    /// The timestamp of the record; its output must have the same.
    pub stamp_ms: i64,
}

impl ExpectedRecord {
    /// Sets user, time and fate from this action, if there is one.
    pub fn set_action(&mut self, action: Option<Action>) {
        if let Some(action) = action {
            self.user = action.user;
            self.time_ms = action.time_ms;
            self.fate = action.fate;
        }
    }
}

/// A device, with one location and one partition of the input.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    pub id: u64,
    pub partition: i32,
    /// Index of its region, and of its data center.
    pub region: usize,
    /// Whether its location comes from the table instead of from its changes.
    pub in_table: bool,
}

impl Device {
    /// Creates the device of an index, in a partition.
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

    /// Its name in records.
    pub fn label(&self) -> String {
        format!("web{}", self.id)
    }
}

/// The expected identity of a user in events.
pub fn iam_id(user: u64) -> String {
    format!("IBMid-{user:010}")
}

/// The name of a user in the topic of the principals.
pub fn user_name(user: u64) -> String {
    format!("user{user}@example.com")
}

/// A time in the format of records.
pub fn instant(time_ms: i64) -> impl fmt::Display {
    jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default()
}

/// A time in the expected format of events: with hundredths, and no colon in the offset.
pub fn event_time(time_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(time_ms).unwrap_or_default();
    let hundredths = time_ms.rem_euclid(1_000) / 10;
    format!("{}.{hundredths:02}+0000", time.strftime("%Y-%m-%dT%H:%M:%S"))
}
