//! The fields that a record leaves to the device table: every combination of the record's fields
//! and the table's entry, judged by the relay and by an independent statement of the rules. Above
//! all: which fates wait for the table.

use std::fmt::Write;

use audit_judge::judge;
use audit_judge::reference::{ReferenceTables, read_devices, read_principals};
use audit_judge::route::Routes;
use audit_judge::rules::Rules;

use self::{Device::*, Place::*};
use crate::decisions::{PolicyOptions, rules};

/// The fields that a record contains.
#[derive(Debug, Clone, Copy)]
struct Given {
    account: bool,
    place: bool,
    label: bool,
}

/// The table's knowledge of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Device {
    NoTable,
    Unknown,
    Entry { account: bool, place: Place, name: bool },
}

/// The data center of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Routed,
    Unrouted,
    Unlisted,
}

const PLACES: [Place; 4] = [Nowhere, Routed, Unrouted, Unlisted];
const DEVICE: u32 = 1_234_567;

/// Returns the expected fate, and whether it waits for the tables.
fn expected(given: Given, device: Device) -> (&'static str, bool) {
    // A table that supplies nothing changes nothing.
    let supplied = device != NoTable && !(given.account && given.place);
    let unnamed = device == Unknown && !given.label;
    match device {
        NoTable | Unknown if !given.account || !given.place => ("quarantined unknown_device", true),
        Entry { account: false, .. } if !given.account => ("quarantined unknown_device", true),
        Entry { place, .. } if !given.place => match place {
            Nowhere | Unlisted => ("quarantined unknown_location", true),
            Unrouted => ("quarantined unrouted_region", true),
            Routed => ("audited", true),
        },
        NoTable | Unknown | Entry { .. } => ("audited", supplied || unnamed),
    }
}

fn devices() -> Vec<Device> {
    let mut devices = vec![NoTable, Unknown];
    for place in PLACES {
        for (account, name) in combinations() {
            devices.push(Entry { account, place, name });
        }
    }
    devices
}

fn combinations() -> [(bool, bool); 4] {
    [(false, false), (false, true), (true, false), (true, true)]
}

fn reference(device: Device) -> ReferenceTables {
    let principal = r#"{"accountId":1,"userId":7,"iamId":"IBMid-7","linked":true,"infrastructureAccess":true,"validFrom":"2020-01-01T00:00:00Z"}"#;
    let devices = match device {
        NoTable => None,
        Unknown => Some(String::new()),
        Entry { account, place, name } => Some(entry(account, place, name)),
    };
    ReferenceTables {
        principals: read_principals("principals", principal).expect("principals"),
        devices: devices.map(|lines| read_devices("devices", &lines).expect("devices")),
    }
}

fn entry(account: bool, place: Place, name: bool) -> String {
    let mut line = format!(r#"{{"deviceId":{DEVICE},"validFrom":"2020-01-01T00:00:00Z""#);
    let place = match place {
        Nowhere => None,
        Routed => Some("dal10"),
        Unrouted => Some("fra02"),
        Unlisted => Some("zzz99"),
    };
    let account = account.then_some(r#","accountId":1"#);
    let name = name.then_some(r#","name":"web01""#);
    let place = place.map(|code| format!(r#","datacenter":"{code}""#));
    for field in [account, name, place.as_deref()].into_iter().flatten() {
        line.push_str(field);
    }
    line + "}"
}

fn record(given: Given) -> String {
    let mut record = format!(
        r#"{{"userType":"CUSTOMER","userId":7,"eventCreateDate":"2021-01-01T00:00:00Z","eventName":"Power On","objectName":"Server","objectId":{DEVICE}"#
    );
    let fields = [
        (given.account, r#","accountId":1"#),
        (given.place, r#","datacenter":"dal10""#),
        (given.label, r#","label":"web01""#),
    ];
    for (_, field) in fields.iter().filter(|(is_given, _)| *is_given) {
        write!(record, "{field}").expect("writing to a String cannot fail");
    }
    record + "}"
}

#[test]
fn fates_that_depend_on_the_device_table_wait_for_it() {
    let rules =
        Rules { routes: Routes::new(["us-south".to_string()]), ..rules(PolicyOptions::default()) };
    let mut wrong = Vec::new();
    for device in devices() {
        let reference = &reference(device);
        for (account, place) in combinations() {
            for label in [false, true] {
                let given = Given { account, place, label };
                let fate = judge(Some(record(given).as_bytes()), &rules, || reference);
                let kind = fate.kind();
                let words = format!("{} {}", kind.fate(), kind.reason());
                let got = (words.trim_end(), fate.awaits_tables());
                let expected = expected(given, device);
                if got != expected {
                    wrong.push(format!("{given:?} {device:?}: expected {expected:?}, got {got:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
