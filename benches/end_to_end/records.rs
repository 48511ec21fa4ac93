//! The benchmark's input: event-log records as their producers send them. They are generated from a
//! seed, so that every run reads the same bytes. This module knows the expected fate of each record
//! and nothing about Kafka.

use std::fmt::Write;

use audit_testkit::random::Random;
use serde::Serialize;

/// Devices of the records. All records of a device go to the same partition.
pub const DEVICES: u64 = 20_000;
const ACCOUNTS: u64 = 200;
const USERS_OF_AN_ACCOUNT: u64 = 20;

/// The share of each fate, in records per thousand; the rest is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Default)]
pub struct Mix {
    pub audited: u64,
    pub malformed: u64,
    /// Acts of unknown principals, which are quarantined.
    pub unknown_principals: u64,
}

/// The expected fate of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Audited,
    Skipped,
    Malformed,
    UnknownPrincipal,
}

/// A record to write.
#[derive(Debug)]
pub struct Record {
    /// Number of the device; the record's key is derived from it.
    pub device: u64,
    pub value: String,
    pub expected: Expected,
}

impl Record {
    pub fn key(&self) -> String {
        device_id(self.device).to_string()
    }
}

fn device_id(device: u64) -> u64 {
    1_000_000 + device
}

/// The principals of the records, each with its key: users of 200 accounts, all linked and with
/// access.
pub fn principals() -> impl Iterator<Item = (String, String)> {
    let users = |account| (0..USERS_OF_AN_ACCOUNT).map(move |user| (account, user));
    (0..ACCOUNTS).flat_map(users).map(|(account, user)| {
        let (account_id, user_id) = (account_id(account), user_id(account, user));
        let iam_id = account * USERS_OF_AN_ACCOUNT + user;
        let permissions = r#"["HARDWARE_VIEW","REMOTE_MANAGEMENT","SERVER_RELOAD","PORT_CONTROL"]"#;
        let principal = format!(
            r#"{{"accountId":{account_id},"userId":{user_id},"iamId":"IBMid-{iam_id:010}","name":"operator{user}@customer{account}.example.com","kind":"user","linked":true,"infrastructureAccess":true,"permissions":{permissions},"validFrom":"2018-01-01T00:00:00Z"}}"#
        );
        (format!("{account_id}/{user_id}"), principal)
    })
}

fn account_id(account: u64) -> u64 {
    307_000 + account
}

fn user_id(account: u64, user: u64) -> u64 {
    6_100_000 + account * USERS_OF_AN_ACCOUNT + user
}

/// The twelve actions with the metadata that producers send for them.
const ACTIONS: [(&str, &str); 12] = [
    (
        "Provision",
        r#"{"hostname":"web01","domain":"example.com","operatingSystem":"DEBIAN_12_64"}"#,
    ),
    ("Power On", ""),
    ("Power Off", ""),
    ("Reboot", ""),
    ("Soft Reboot", ""),
    ("Hard Reboot", ""),
    ("Rename", r#"{"oldName":"web01.example.com","newName":"web02.example.com"}"#),
    ("Rescue", ""),
    ("OS Reload", r#"{"imageTemplateId":4711,"operatingSystem":"DEBIAN_12_64"}"#),
    ("Disable Port", r#"{"interface":"public","port":1,"speed":0}"#),
    ("Enable Port", r#"{"interface":"private","port":0,"speed":-1}"#),
    ("Port Speed Update", r#"{"interface":"public","port":1,"previousSpeed":100,"speed":1000}"#),
];

/// The names of the events that are audited if a customer caused them; their class is `Server`.
pub fn listed_events() -> impl Iterator<Item = &'static str> {
    ACTIONS.iter().map(|(name, _)| *name)
}

/// Class and name of events that are never audited.
const UNLISTED: [(&str, &str); 5] = [
    ("CCI", "Power On"),
    ("User", "Login Successful"),
    ("Server", "Cancel Service"),
    ("Storage", "Snapshot Created"),
    ("Security Group", "Rule Added"),
];

/// One or more data centers of each of the six regions, region by region.
const DATA_CENTERS: [&str; 12] = [
    "dal10", "wdc04", "lon02", "fra02", "syd01", "tok02", "dal13", "tor01", "lon06", "ams03",
    "mel01", "osa21",
];

const WORDS: [&str; 16] = [
    "chassis", "uplink", "backend", "frontend", "ticket", "billing", "monitor", "network",
    "storage", "memory", "firmware", "cabinet", "portal", "request", "operator", "cluster",
];

/// The cause of an event, and whether the catalogue lists it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Customers,
    UnknownPrincipals,
    CustomersUnlisted,
    Employees,
    System,
    SystemUnlisted,
}

/// An endless sequence of records.
#[derive(Debug)]
pub struct Records {
    mix: Mix,
    bytes: usize,
    random: Random,
    made: u64,
}

impl Records {
    /// Generates records of about this size.
    pub fn new(mix: Mix, bytes: usize) -> Self {
        Records { mix, bytes, random: Random::from_state(0x00a0_d17e_1e1a_7000), made: 0 }
    }

    fn kind(&mut self, expected: Expected) -> Kind {
        match expected {
            Expected::Skipped => {}
            Expected::Audited | Expected::Malformed => return Kind::Customers,
            Expected::UnknownPrincipal => return Kind::UnknownPrincipals,
        }
        match self.random.below(100) {
            0..40 => Kind::System,
            40..80 => Kind::SystemUnlisted,
            80..95 => Kind::CustomersUnlisted,
            _ => Kind::Employees,
        }
    }

    fn expected(&mut self) -> Expected {
        let Mix { audited, malformed, unknown_principals } = self.mix;
        match self.random.below(1_000) {
            draw if draw < audited => Expected::Audited,
            draw if draw < audited + malformed => Expected::Malformed,
            draw if draw < audited + malformed + unknown_principals => Expected::UnknownPrincipal,
            _ => Expected::Skipped,
        }
    }

    /// Writes the fields in alphabetical order, as the upstream does.
    fn value(&mut self, device: u64, kind: Kind) -> String {
        let listed = matches!(
            kind,
            Kind::Customers | Kind::UnknownPrincipals | Kind::Employees | Kind::System
        );
        let (class, name, meta_data) = if listed {
            let (name, meta_data) = *self.random.one_of(&ACTIONS);
            ("Server", name, meta_data)
        } else {
            let (class, name) = *self.random.one_of(&UNLISTED);
            (class, name, "")
        };
        let account = device % ACCOUNTS;
        let user = self.random.below(USERS_OF_AN_ACCOUNT);
        let by_system = matches!(kind, Kind::System | Kind::SystemUnlisted);
        let mut head = format!(r#"{{"accountId":{},"#, account_id(account));
        let _ = write!(
            head,
            r#""datacenter":"{}","eventCreateDate":"{}","eventName":"{name}","#,
            DATA_CENTERS[device as usize % DATA_CENTERS.len()],
            time(self.made),
        );
        if !by_system {
            let _ = write!(head, r#""ipAddress":"192.0.2.{}","#, 1 + user);
        }
        let _ = write!(head, r#""label":"web{device}.example.com","metaData":"#);
        let mut middle = format!(r#","objectId":{},"objectName":"{class}","#, device_id(device));
        if !by_system {
            let _ = write!(
                middle,
                r#""openIdConnectUserName":"operator{user}@customer{account}.example.com","#
            );
        }
        let trace = 0x5_9e76_7e9c_2184_u64.wrapping_add(self.random.next() & 0xffff_ffff);
        let mut tail = format!(r#""traceId":"{:013x}","#, trace & 0xf_ffff_ffff_ffff);
        tail.push_str(&actor(kind, account, user));
        self.padded(&head, meta_data, &middle, &tail)
    }

    /// Pads a record to its size where producers put extra data: in the resource and, for large
    /// records, also in the metadata.
    fn padded(&mut self, head: &str, meta_data: &str, middle: &str, tail: &str) -> String {
        let written = head.len() + meta_data.len() + middle.len() + tail.len() + 24;
        let missing = self.bytes.saturating_sub(written);
        let in_meta_data = if missing > 300 { missing / 2 } else { 0 };
        let mut value = String::with_capacity(self.bytes + 64);
        value.push_str(head);
        value.push('"');
        let meta_data = self.filled(meta_data, in_meta_data);
        value.push_str(&meta_data.replace('"', "\\\""));
        value.push('"');
        value.push_str(middle);
        value.push_str(r#""resource":"#);
        let resource = self.filled("{}", self.bytes.saturating_sub(value.len() + tail.len()));
        value.push_str(&resource);
        value.push(',');
        value.push_str(tail);
        value
    }

    /// Adds about this many bytes of attributes to an object.
    fn filled(&mut self, object: &str, bytes: usize) -> String {
        let mut filled = object.strip_suffix('}').unwrap_or("{").to_string();
        let end = filled.len() + bytes;
        let mut number = 0;
        while filled.len() + 24 < end {
            let comma = if filled.len() > 1 { "," } else { "" };
            let (word, other) = (*self.random.one_of(&WORDS), *self.random.one_of(&WORDS));
            let _ = write!(
                filled,
                r#"{comma}"{word}{number}":"{other}-{:x}""#,
                self.random.next() >> 40
            );
            number += 1;
        }
        if object.is_empty() && number == 0 {
            return String::new();
        }
        filled.push('}');
        filled
    }
}

impl Iterator for Records {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let expected = self.expected();
        let kind = self.kind(expected);
        let device = self.random.below(DEVICES);
        let mut value = self.value(device, kind);
        if expected == Expected::Malformed {
            // Truncated, as by a producer with a fixed buffer; the value is ASCII.
            value.truncate(value.len() * 2 / 3);
        }
        self.made += 1;
        Some(Record { device, value, expected })
    }
}

fn actor(kind: Kind, account: u64, user: u64) -> String {
    let (user_type, names_user) = match kind {
        Kind::Customers | Kind::UnknownPrincipals | Kind::CustomersUnlisted => ("CUSTOMER", true),
        Kind::Employees => ("EMPLOYEE", true),
        Kind::System | Kind::SystemUnlisted => ("SYSTEM", false),
    };
    if !names_user {
        return format!(r#""userId":"","userType":"{user_type}"}}"#);
    }
    let id = match kind {
        Kind::UnknownPrincipals => user_id(ACCOUNTS + account, user),
        _ => user_id(account, user),
    };
    format!(
        r#""userId":{id},"userType":"{user_type}","username":"{}_operator{user}"}}"#,
        account_id(account)
    )
}

/// Records are about three milliseconds apart and span one day.
fn time(number: u64) -> String {
    let micros = number * 3_217 % 86_400_000_000;
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("2025-11-06T{hours:02}:{minutes:02}:{:02}.{fraction:06}-06:00", seconds % 60)
}
