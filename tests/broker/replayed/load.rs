//! Records that are quarantined for six causes, how each cause is corrected, and what must be found
//! in the end.

use serde_json::{Value, json};

use crate::ledger::{change, location_table};
use audit_testkit::topics::TestRecord;

/// The account of all records.
const ACCOUNT: u64 = 307_608;
/// The regions that are configured at first. The load has records of a seventh data center.
pub const REGIONS_BEFORE: &str = "au-syd,eu-de,eu-gb,jp-tok,us-south";
pub const REGIONS_AFTER: &str = "au-syd,eu-de,eu-gb,jp-tok,us-east,us-south";

/// Why a record is quarantined at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    UnknownPrincipal,
    UnlinkedPrincipal,
    NoAccess,
    UnknownLocation,
    UnroutedRegion,
    UnknownDevice,
    /// It stays so.
    Malformed,
    /// None: it is audited at once.
    Nothing,
}

impl Cause {
    const ALL: [Cause; 8] = [
        Cause::UnknownPrincipal,
        Cause::UnlinkedPrincipal,
        Cause::NoAccess,
        Cause::UnknownLocation,
        Cause::UnroutedRegion,
        Cause::UnknownDevice,
        Cause::Malformed,
        Cause::Nothing,
    ];

    pub fn of(number: u64) -> Cause {
        Cause::ALL[(number % 8) as usize]
    }

    /// The reason that the relay gives.
    pub const fn reason(self) -> &'static str {
        match self {
            Cause::UnknownPrincipal => "unknown_principal",
            Cause::UnlinkedPrincipal => "unlinked_principal",
            Cause::NoAccess => "no_infrastructure_access",
            Cause::UnknownLocation => "unknown_location",
            Cause::UnroutedRegion => "unrouted_region",
            Cause::UnknownDevice => "unknown_device",
            Cause::Malformed => "malformed",
            Cause::Nothing => "",
        }
    }

    const fn user(self) -> u64 {
        match self {
            Cause::UnknownPrincipal => 1,
            Cause::UnlinkedPrincipal => 2,
            Cause::NoAccess => 3,
            _ => 4,
        }
    }

    const fn data_center(self) -> &'static str {
        match self {
            Cause::UnknownLocation => "new01",
            Cause::UnroutedRegion => "wdc04",
            _ => "dal10",
        }
    }

    /// The region of its events in the end.
    pub const fn region(self) -> &'static str {
        match self {
            Cause::UnknownLocation => "eu-de",
            Cause::UnroutedRegion => "us-east",
            _ => "us-south",
        }
    }
}

/// Returns the record with this number.
pub fn record(number: u64) -> TestRecord {
    let cause = Cause::of(number);
    let usual = change(0);
    let mut value: Value =
        serde_json::from_slice(usual.value.as_deref().expect("a value")).expect("JSON");
    value["objectId"] = json!(1_000_000 + number % 97);
    value["traceId"] = json!(number.to_string());
    value["eventId"] = json!(format!("replayed-{number}"));
    value["userId"] = json!(cause.user());
    value["datacenter"] = json!(cause.data_center());
    if cause == Cause::UnknownDevice {
        value["objectId"] = json!(2_000_000);
        value["datacenter"] = Value::Null;
    }
    let mut value = value.to_string();
    if cause == Cause::Malformed {
        value.truncate(value.len() - 1);
    }
    TestRecord {
        key: Some((number % 97).to_string().into_bytes()),
        value: Some(value.into_bytes()),
        ..TestRecord::default()
    }
}

/// The principals before and after the causes are corrected.
pub fn principals(is_corrected: bool) -> String {
    let entry = |user: u64, linked: bool, access: bool| {
        json!({
            "accountId": ACCOUNT, "userId": user, "iamId": format!("IBMid-{user}"), "name": "a",
            "linked": linked, "infrastructureAccess": access, "validFrom": "2018-01-01T00:00:00Z",
        })
    };
    let mut entries =
        vec![entry(2, is_corrected, true), entry(3, true, is_corrected), entry(4, true, true)];
    if is_corrected {
        entries.push(entry(1, true, true));
    }
    entries.iter().map(|entry| format!("{entry}\n")).collect()
}

/// The devices before and after.
pub fn devices(is_corrected: bool) -> String {
    let device = if is_corrected { 2_000_000 } else { 3_000_000 };
    let entry = json!({
        "deviceId": device, "accountId": ACCOUNT, "datacenter": "dal10", "name": "a",
        "validFrom": "2018-01-01T00:00:00Z",
    });
    format!("{entry}\n")
}

/// The location table before and after.
pub fn locations(is_corrected: bool) -> String {
    let more: &[_] = if is_corrected { &[("new01", "eu-de")] } else { &[] };
    location_table(more)
}
