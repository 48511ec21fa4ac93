//! Principals: who can act in an account. How they are packed is here as well.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::field::{Id, is_iam_id, is_id};
use super::packing::{Packed, Reader, put_part};
use super::table::{KeyRoom, TableKey};

/// Key of a principal: the account, and the classic user id or, where there is none, the IAM id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrincipalKey {
    /// The classic account.
    pub account: Id,
    /// `userId`, else `iamId`.
    pub id: Id,
}

impl fmt::Display for PrincipalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.id)
    }
}

impl TableKey for PrincipalKey {
    fn text<'a>(&'a self, room: &'a mut KeyRoom) -> &'a [u8] {
        let (account, id) = (self.account.as_bytes(), self.id.as_bytes());
        let length = account.len() + 1 + id.len();
        // Longer than any id can be: a key that no table has.
        let Some(text) = room.get_mut(..length) else {
            return &[];
        };
        let (before, after) = text.split_at_mut(account.len());
        before.copy_from_slice(account);
        after[0] = b'/';
        after[1..].copy_from_slice(id);
        text
    }

    fn of(text: &str) -> Option<Self> {
        let (account, id) = text.split_once('/')?;
        (is_id(account) && (is_id(id) || is_iam_id(id))).then(|| PrincipalKey {
            account: Id::from(account),
            id: Id::from(id),
        })
    }
}

/// Someone or something that can act in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The IAM identity that an audit event names as initiator.
    pub iam_id: Option<Id>,
    /// User name, often an e-mail address.
    pub name: Option<String>,
    /// What kind of identity this is.
    pub kind: PrincipalKind,
    /// Whether the classic account is linked to the cloud account for this principal.
    pub linked: bool,
    /// The explicit statement, which wins over the permissions.
    pub infrastructure_access: Option<bool>,
    /// Classic permission names.
    pub permissions: Vec<String>,
    /// The devices that the principal may touch; `None` means all.
    pub devices: Option<Vec<Id>>,
}

/// A [`Principal`] in a table.
#[derive(Debug, Clone, Copy)]
pub struct PrincipalView<'a> {
    /// The IAM identity that an audit event names as initiator.
    pub iam_id: Option<&'a str>,
    /// User name, often an e-mail address.
    pub name: Option<&'a str>,
    /// What kind of identity this is.
    pub kind: PrincipalKind,
    /// Whether the classic account is linked to the cloud account for this principal.
    pub linked: bool,
    /// The explicit statement, which wins over the permissions.
    pub infrastructure_access: Option<bool>,
    /// Classic permission names.
    pub permissions: Permissions<'a>,
    /// The devices that the principal may touch; `None` means all.
    pub devices: Option<DeviceIds<'a>>,
}

impl PrincipalView<'_> {
    /// The principal, apart from the table.
    pub fn to_owned(self) -> Principal {
        Principal {
            iam_id: self.iam_id.map(Id::from),
            name: self.name.map(str::to_string),
            kind: self.kind,
            linked: self.linked,
            infrastructure_access: self.infrastructure_access,
            permissions: self.permissions.iter().map(str::to_string).collect(),
            devices: self
                .devices
                .map(|devices| devices.iter().map(Id::from).collect()),
        }
    }
}

/// Kinds of identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PrincipalKind {
    /// A person.
    #[default]
    User,
    /// A service id.
    ServiceId,
    /// A registered client application.
    Application,
    /// A trusted profile, assumed by a user.
    Profile,
    /// A client certificate.
    Certificate,
}

impl PrincipalKind {
    /// The value of `initiator.typeURI`.
    pub const fn type_uri(self) -> &'static str {
        match self {
            PrincipalKind::User | PrincipalKind::Profile => "service/security/account/user",
            PrincipalKind::ServiceId => "service/security/account/serviceid",
            PrincipalKind::Application => "service/security/clientid",
            PrincipalKind::Certificate => "service/security/client/certificateid",
        }
    }

    const fn unpacked(bits: u8) -> Self {
        match bits {
            1 => PrincipalKind::ServiceId,
            2 => PrincipalKind::Application,
            3 => PrincipalKind::Profile,
            4 => PrincipalKind::Certificate,
            _ => PrincipalKind::User,
        }
    }
}

/// The published classic permission names, one byte each when packed; their order must stay.
const KNOWN_PERMISSIONS: [&str; 10] = [
    "HARDWARE_VIEW",
    "ACCESS_ALL_HARDWARE",
    "REMOTE_MANAGEMENT",
    "SERVER_RELOAD",
    "PORT_CONTROL",
    "HOSTNAME_EDIT",
    "SERVER_ADD",
    "SERVER_CANCEL",
    "SERVER_UPGRADE",
    "USER_MANAGE",
];
/// In place of the byte of a published name: another name follows.
const OTHER_PERMISSION: u8 = u8::MAX;

/// Names of permissions, packed.
#[derive(Debug, Clone, Copy)]
pub struct Permissions<'a>(&'a [u8]);

impl<'a> Permissions<'a> {
    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether a permission is among them.
    pub fn contains(self, name: &str) -> bool {
        self.iter().any(|known| known == name)
    }

    /// All, as they were given.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let mut rest = Reader(self.0);
        std::iter::from_fn(move || {
            (!rest.0.is_empty()).then(|| match rest.byte() {
                OTHER_PERMISSION => rest.text(),
                known => KNOWN_PERMISSIONS
                    .get(usize::from(known))
                    .copied()
                    .unwrap_or_default(),
            })
        })
    }

    fn pack(names: &[String], out: &mut Vec<u8>) {
        let mut packed = Vec::with_capacity(names.len());
        for name in names {
            match KNOWN_PERMISSIONS.iter().position(|known| known == name) {
                Some(known) => packed.push(known as u8),
                None => {
                    packed.push(OTHER_PERMISSION);
                    put_part(&mut packed, name.as_bytes());
                }
            }
        }
        put_part(out, &packed);
    }
}

/// Ids of devices, packed.
#[derive(Debug, Clone, Copy)]
pub struct DeviceIds<'a>(&'a [u8]);

impl<'a> DeviceIds<'a> {
    /// Whether a device is among them.
    pub fn contains(self, id: &str) -> bool {
        self.iter().any(|known| known == id)
    }

    /// All, as they were given.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let mut rest = Reader(self.0);
        std::iter::from_fn(move || (!rest.0.is_empty()).then(|| rest.text()))
    }
}

/// The first byte of a packed principal: what there is of it.
const KIND: u8 = 0b111;
const LINKED: u8 = 1 << 3;
const ACCESS_STATED: u8 = 1 << 4;
const ACCESS: u8 = 1 << 5;
const DEVICES: u8 = 1 << 6;
const NAME: u8 = 1 << 7;

impl Packed for Principal {
    type View<'a> = PrincipalView<'a>;

    fn pack(&self, out: &mut Vec<u8>) {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(
            self.kind as u8
                | flag(self.linked, LINKED)
                | flag(self.infrastructure_access.is_some(), ACCESS_STATED)
                | flag(self.infrastructure_access == Some(true), ACCESS)
                | flag(self.devices.is_some(), DEVICES)
                | flag(self.name.is_some(), NAME),
        );
        // An IAM identity is never empty.
        put_part(out, self.iam_id.as_deref().unwrap_or_default().as_bytes());
        if let Some(name) = &self.name {
            put_part(out, name.as_bytes());
        }
        Permissions::pack(&self.permissions, out);
        for device in self.devices.iter().flatten() {
            put_part(out, device.as_bytes());
        }
    }

    fn view(packed: &[u8]) -> PrincipalView<'_> {
        let mut reader = Reader(packed);
        let flags = reader.byte();
        let is = |flag: u8| flags & flag != 0;
        PrincipalView {
            kind: PrincipalKind::unpacked(flags & KIND),
            linked: is(LINKED),
            infrastructure_access: is(ACCESS_STATED).then_some(is(ACCESS)),
            iam_id: Some(reader.text()).filter(|id| !id.is_empty()),
            name: is(NAME).then(|| reader.text()),
            permissions: Permissions(reader.part()),
            devices: is(DEVICES).then_some(DeviceIds(reader.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn principals() -> impl Strategy<Value = Principal> {
        let kind = (0u8..5).prop_map(PrincipalKind::unpacked);
        let permission = prop_oneof!["[A-Z_]{0,12}", Just("PORT_CONTROL".to_string())];
        let ids = prop::collection::vec("[a-z0-9]{1,64}".prop_map(Id::from), 0..4);
        (
            prop::option::of("[a-z]{1,40}".prop_map(Id::from)),
            prop::option::of(".{0,40}"),
            kind,
            any::<bool>(),
            any::<Option<bool>>(),
            prop::collection::vec(permission, 0..5),
            prop::option::of(ids),
        )
            .prop_map(
                |(iam_id, name, kind, linked, infrastructure_access, permissions, devices)| {
                    Principal {
                        iam_id,
                        name,
                        kind,
                        linked,
                        infrastructure_access,
                        permissions,
                        devices,
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn a_principal_is_read_as_it_was_packed(principal in principals()) {
            let mut packed = Vec::new();
            principal.pack(&mut packed);
            prop_assert_eq!(Principal::view(&packed).to_owned(), principal);
        }
    }
}
