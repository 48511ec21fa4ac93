//! Packed principals are read back unchanged, and are found by every IAM id that they ever had.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::reference::packing::PackedValue;
use crate::reference::versions::Version;
use crate::reference::{TableChange, TableWriter};

proptest! {
    #[test]
    fn a_principal_is_read_as_it_was_packed(
        iam_id in prop::option::of("[a-z]{1,40}"),
        name in prop::option::of(".{0,40}"),
        (kind, master) in (0u8..5, any::<bool>()).prop_map(|(kind, master)| (PrincipalKind::unpacked(kind), master && kind == 0)),
        linked in any::<bool>(),
        infrastructure_access in any::<Option<bool>>(),
        permissions in prop::collection::vec(prop_oneof!["[A-Z][A-Z_]{0,11}", Just("PORT_CONTROL".to_string())], 0..5),
        devices in prop::option::of(prop::collection::vec("[a-z0-9]{1,64}", 0..4)),
        guests in prop::option::of(prop::collection::vec("[a-z0-9]{1,64}", 0..4)),
    ) {
        let (mut names, mut packed) = (Vec::new(), Vec::new());
        let [ids, guest_ids] = [&devices, &guests].map(|list| {
            let mut ids = Vec::new();
            list.iter().flatten().for_each(|id| DeviceIds::put(id, &mut ids));
            ids
        });
        for permission in &permissions {
            Permissions::put(permission, &mut names);
        }
        let written = PrincipalView {
            iam_id: iam_id.as_deref(),
            name: name.as_deref(),
            kind,
            master,
            linked,
            infrastructure_access,
            permissions: Permissions(&names),
            devices: devices.as_ref().map(|_| DeviceIds(&ids)),
            virtual_guests: guests.as_ref().map(|_| DeviceIds(&guest_ids)),
        };
        Principal::pack(&written, &mut packed);
        let read = Principal::view(&packed);
        prop_assert_eq!((read.iam_id, read.name), (iam_id.as_deref(), name.as_deref()));
        prop_assert_eq!((read.kind, read.master, read.linked), (kind, master, linked));
        prop_assert_eq!(Principal::alias(&packed), iam_id.as_deref());
        prop_assert_eq!(read.infrastructure_access, infrastructure_access);
        prop_assert_eq!(read.permissions.iter().collect::<Vec<_>>(), permissions);
        let all = |ids: DeviceIds<'_>| ids.iter().map(str::to_string).collect::<Vec<_>>();
        prop_assert_eq!(read.devices.map(all), devices);
        prop_assert_eq!(read.virtual_guests.map(all), guests);
    }
}

const ACCOUNTS: [&str; 3] = ["1", "2", "12"];
const IAM_IDS: [&str; 4] = ["a", "b", "2a", "iam-ServiceId-c"];

/// A record of a principal: its id, when it is written, when its validity begins, and its IAM id,
/// if it exists at all and has one. A principal without a classic user id is keyed by its IAM id.
#[derive(Debug, Clone)]
struct Written {
    account: usize,
    user: Option<u8>,
    iam_id: usize,
    has_iam_id: bool,
    is_removed: bool,
    valid_from: Option<i64>,
    after: i64,
    is_looked_at: bool,
}

fn written() -> impl Strategy<Value = Vec<Written>> {
    let who =
        (0..3usize, prop::option::weighted(0.8, 0u8..6), 0..4usize, prop::bool::weighted(0.9));
    let what = (prop::bool::weighted(0.2), prop::option::weighted(0.3, -20i64..400));
    let one = (who, what, 0i64..4, prop::bool::weighted(0.03));
    let one = one.prop_map(|(who, what, after, is_looked_at)| Written {
        account: who.0,
        user: who.1,
        iam_id: who.2,
        has_iam_id: who.3 || who.1.is_none(),
        is_removed: what.0,
        valid_from: what.1,
        after,
        is_looked_at,
    });
    prop::collection::vec(one, 1..150)
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn change(written: &Written, now: i64) -> TableChange<PrincipalKey, Principal> {
    let iam_id = IAM_IDS[written.iam_id];
    let id = written.user.map_or(Id::from(iam_id), |user| Id::from(user.to_string()));
    let value = PackedValue::of(&PrincipalView {
        iam_id: written.has_iam_id.then_some(iam_id),
        name: Some("somebody"),
        kind: PrincipalKind::User,
        master: false,
        linked: true,
        infrastructure_access: None,
        permissions: Permissions(&[]),
        devices: None,
        virtual_guests: None,
    });
    TableChange {
        key: PrincipalKey { account: Id::from(ACCOUNTS[written.account]), id },
        change: Version {
            valid_from: second(written.valid_from.unwrap_or(now)),
            explicit: written.valid_from.is_some(),
            value: (!written.is_removed).then_some(value),
            is_unreadable: false,
        },
        written: Some(second(now)),
    }
}

/// Compares the principals with an IAM id at a moment, by the index and by a scan of all of them.
fn assert_found_as_in_all(table: &Table<PrincipalKey, Principal>, moment: i64) {
    let has = |versions: Versions<'_, Principal>, iam_id: &str| {
        let principal = versions.as_of(second(moment)).and_then(|version| version.value);
        principal.is_some_and(|principal| principal.iam_id == Some(iam_id))
    };
    for account in ACCOUNTS {
        for iam_id in IAM_IDS {
            let mut found = BTreeSet::new();
            table.carriers(account, iam_id, |id, versions| {
                if has(versions, iam_id) {
                    found.insert(id.to_string());
                }
            });
            let all = table.iter().filter(|(key, _)| key.account == account);
            let all = all.filter(|(_, versions)| has(*versions, iam_id));
            let all: BTreeSet<String> = all.map(|(key, _)| key.id.to_string()).collect();
            assert_eq!(found, all, "{account}/{iam_id} at {moment}");
        }
    }
}

proptest! {
    #[test]
    fn principals_are_found_by_the_iam_id_that_they_had(written in written(), history in 1i64..40) {
        let mut table = TableWriter::with_history(SignedDuration::from_secs(history));
        let mut snapshots = Vec::new();
        let mut now = 0;
        for written in &written {
            now += written.after;
            table.apply(change(written, now)).expect("room");
            if written.is_looked_at {
                snapshots.push(table.snapshot());
            }
        }
        snapshots.push(table.snapshot());
        for table in &snapshots {
            for moment in [0, now / 2, now - history, now - 1, now, now + 50] {
                assert_found_as_in_all(table, moment);
            }
        }
    }
}
