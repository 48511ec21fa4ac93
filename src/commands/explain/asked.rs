//! Which entries of the reference tables a record was judged by: all versions of each key that was
//! asked for, which of them counted, and which decided.

use jiff::{SignedDuration, Timestamp};

use audit_judge::classify::UserAction;
use audit_judge::enrich::{AttributedAction, device_version, principals_asked};
use audit_judge::parse::field::Id;
use audit_judge::reference::packing::Packed;
use audit_judge::reference::{DeviceKey, Directory, PrincipalKey, Table, TableKey};
use audit_judge::rules::Rules;

/// What was asked of the tables.
pub(super) struct Asked<'a> {
    directory: &'a Directory,
    principals: Vec<PrincipalKey>,
    /// Only if the record lacks something that the device's entry could supply.
    device: Option<DeviceKey>,
    /// Since when its entry that counted is valid.
    device_from: Option<Timestamp>,
    moment: Timestamp,
    tolerance: SignedDuration,
}

impl<'a> Asked<'a> {
    /// What an action asks.
    pub(super) fn of(action: &UserAction<'_>, directory: &'a Directory, rules: &Rules) -> Self {
        let change = &action.change;
        let tolerance = SignedDuration::from_millis(rules.policy.clock_skew_ms.into());
        let used = device_version(action, directory, rules);
        let account = change.account.clone().or_else(|| {
            let device = used?.value?;
            device.account.map(Id::from)
        });
        let complete =
            change.account.is_some() && change.data_center.is_some() && change.label.is_some();
        Asked {
            directory,
            principals: account
                .map(|account| principals_asked(action, &account, directory))
                .unwrap_or_default(),
            device: action.device_key().filter(|_| !complete),
            device_from: used.map(|version| version.valid_from),
            moment: change.time,
            tolerance,
        }
    }

    /// One line for each version.
    pub(super) fn describe(&self, attributed: Option<&AttributedAction<'_>>) -> Vec<String> {
        let mut lines = Vec::new();
        for key in &self.principals {
            let used = attributed.and_then(|attributed| {
                let identities = std::iter::once(&attributed.initiator);
                let mut identities = identities.chain(&attributed.authenticated);
                identities.find(|identity| identity.key == *key)
            });
            let decided = used.map(|identity| identity.valid_from);
            self.versions("principal", key, &self.directory.principals, decided, &mut lines);
        }
        if let (Some(device), Some(devices)) = (&self.device, &self.directory.devices) {
            self.versions("device", device, devices, self.device_from, &mut lines);
        }
        lines
    }

    /// Without a version that led to an audit event, the one valid at the time decided.
    fn versions<K: TableKey, V: Packed>(
        &self,
        what: &str,
        key: &K,
        table: &Table<K, V>,
        decided: Option<Timestamp>,
        lines: &mut Vec<String>,
    ) {
        let Some(versions) = table.versions(key) else {
            lines.push(format!("{what} {key}: not in the table"));
            return;
        };
        let at_moment = versions.as_of(self.moment);
        let at_moment = at_moment.map(|version| version.valid_from);
        let near: Vec<Timestamp> = versions
            .others_near(self.moment, self.tolerance)
            .into_iter()
            .map(|(_, version)| version.valid_from)
            .collect();
        if at_moment.is_none() {
            lines.push(format!("{what} {key}: not known at {}", self.moment));
        }
        for version in versions.iter() {
            let from = Some(version.valid_from);
            let role = if decided.or(at_moment) == from {
                " (decides)"
            } else if at_moment == from {
                " (valid at the time)"
            } else if near.contains(&version.valid_from) {
                " (considered: within the clock skew)"
            } else {
                ""
            };
            let removed = match version.value {
                Some(_) => "",
                None if version.is_unreadable => " unreadable",
                None => " removed",
            };
            let origin = if version.explicit { "" } else { ", by the record's timestamp" };
            lines.push(format!("{what} {key}{removed} from {}{origin}{role}", version.valid_from));
        }
    }
}
