//! The state changes that are measured with: event-log records as their producers send them, made
//! from a seed, so that every run of the benchmark reads the same bytes. It knows what should
//! become of each record, and nothing of Kafka.

use std::fmt::Write;

use audit_testkit::random::Random;
use serde::Serialize;

/// Devices that the records are about; a device is always in the same partition.
pub const DEVICES: u64 = 20_000;
const ACCOUNTS: u64 = 200;
const USERS_OF_AN_ACCOUNT: u64 = 20;

/// How many records of a thousand become what; the rest is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Default)]
pub struct Mix {
    pub audited: u64,
    pub malformed: u64,
    /// Acts of principals that no table holds, which are quarantined for that.
    pub strangers: u64,
}

/// What must become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Audited,
    Skipped,
    Malformed,
    Stranger,
}

/// A record to be written.
#[derive(Debug)]
pub struct Record {
    /// Number of the device; the key is made from it.
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

/// The principals of the records, each with its key: users of some hundred accounts, all linked and
/// with access.
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

/// The twelve actions, with the metadata that their producers send.
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

/// Class and name of events that are not audited, whoever causes them.
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

/// Who caused an event, and whether it is one of the catalogue's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Customers,
    Strangers,
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
    /// Records of about this size.
    pub fn new(mix: Mix, bytes: usize) -> Self {
        Records { mix, bytes, random: Random::from_state(0x00a0_d17e_1e1a_7000), made: 0 }
    }

    fn kind(&mut self, expected: Expected) -> Kind {
        match expected {
            Expected::Skipped => {}
            Expected::Audited | Expected::Malformed => return Kind::Customers,
            Expected::Stranger => return Kind::Strangers,
        }
        match self.random.below(100) {
            0..40 => Kind::System,
            40..80 => Kind::SystemUnlisted,
            80..95 => Kind::CustomersUnlisted,
            _ => Kind::Employees,
        }
    }

    fn expected(&mut self) -> Expected {
        let Mix { audited, malformed, strangers } = self.mix;
        match self.random.below(1_000) {
            draw if draw < audited => Expected::Audited,
            draw if draw < audited + malformed => Expected::Malformed,
            draw if draw < audited + malformed + strangers => Expected::Stranger,
            _ => Expected::Skipped,
        }
    }

    /// The fields in the order of the upstream, which is that of the alphabet.
    fn value(&mut self, device: u64, kind: Kind) -> String {
        let listed =
            matches!(kind, Kind::Customers | Kind::Strangers | Kind::Employees | Kind::System);
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

    /// A record is filled up to its size where producers put what nobody asked for: in the resource
    /// and, when it is to be large, in the metadata too.
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

    /// An object with attributes added until about so many bytes are added.
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
            // Cut off, as a producer with a fixed buffer does; all of it is ASCII.
            value.truncate(value.len() * 2 / 3);
        }
        self.made += 1;
        Some(Record { device, value, expected })
    }
}

fn actor(kind: Kind, account: u64, user: u64) -> String {
    let (user_type, names_user) = match kind {
        Kind::Customers | Kind::Strangers | Kind::CustomersUnlisted => ("CUSTOMER", true),
        Kind::Employees => ("EMPLOYEE", true),
        Kind::System | Kind::SystemUnlisted => ("SYSTEM", false),
    };
    if !names_user {
        return format!(r#""userId":"","userType":"{user_type}"}}"#);
    }
    let id = match kind {
        Kind::Strangers => user_id(ACCOUNTS + account, user),
        _ => user_id(account, user),
    };
    format!(
        r#""userId":{id},"userType":"{user_type}","username":"{}_operator{user}"}}"#,
        account_id(account)
    )
}

/// Records follow each other by some milliseconds, over one day.
fn time(number: u64) -> String {
    let micros = number * 3_217 % 86_400_000_000;
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("2025-11-06T{hours:02}:{minutes:02}:{:02}.{fraction:06}-06:00", seconds % 60)
}
