//! Principals, the identities that can act in an account, and their packed form.

use std::fmt;

use serde::Serialize;

use super::device::DeviceKind;
use super::oddities::Tally;
use super::packing::{Packed, Reader, put_bytes};
use super::permissions::Permissions;
use super::store::StoreKey;
use super::table::{KeyRoom, Table, TableKey, join};
use crate::parse::field::{Id, is_iam_id, is_id};
use crate::reference::versions::Versions;

/// Key of a principal: the account, and the classic user id or, if there is none, the IAM id. In
/// text, the first slash divides them: an IAM id can contain more.
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
        join(&self.account, &self.id, room)
    }

    fn parts(&self) -> StoreKey<'_> {
        StoreKey::pair(self.account.as_bytes(), self.id.as_bytes())
    }

    fn of(text: &str) -> Option<Self> {
        let (account, id) = text.split_once('/')?;
        (is_id(account) && (is_id(id) || is_iam_id(id)))
            .then(|| PrincipalKey { account: Id::from(account), id: Id::from(id) })
    }
}

/// The type of values in the principals table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {}

/// A user or another identity that can act in an account.
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
    /// Whether this is the account's master user, who may do everything. Only a user can be one.
    pub master: bool,
    /// The explicit statement, which takes precedence over the permissions.
    pub infrastructure_access: Option<bool>,
    /// Classic permission names.
    pub permissions: Permissions<'a>,
    /// The hardware that the principal may touch; `None` means all.
    pub devices: Option<DeviceIds<'a>>,
    /// The virtual guests that the principal may touch; `None` means all.
    pub virtual_guests: Option<DeviceIds<'a>>,
}

impl<'a> PrincipalView<'a> {
    /// Returns the devices of a kind that the principal may touch; `None` means all.
    pub fn devices_of(&self, kind: DeviceKind) -> Option<DeviceIds<'a>> {
        match kind {
            DeviceKind::Hardware => self.devices,
            DeviceKind::VirtualGuest => self.virtual_guests,
        }
    }
}

/// Kinds of identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
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
    /// Returns the value of `initiator.typeURI`.
    pub const fn type_uri(self) -> &'static str {
        match self {
            PrincipalKind::User | PrincipalKind::Profile => "service/security/account/user",
            PrincipalKind::ServiceId => "service/security/account/serviceid",
            PrincipalKind::Application => "service/security/clientid",
            PrincipalKind::Certificate => "service/security/client/certificateid",
        }
    }

    /// Returns the kind with this name in entries.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "user" => PrincipalKind::User,
            "serviceId" => PrincipalKind::ServiceId,
            "application" => PrincipalKind::Application,
            "profile" => PrincipalKind::Profile,
            "certificate" => PrincipalKind::Certificate,
            _ => return None,
        })
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

/// Device ids, packed.
#[derive(Debug, Clone, Copy)]
pub struct DeviceIds<'a>(&'a [u8]);

impl<'a> DeviceIds<'a> {
    /// Returns whether the list contains a device.
    pub fn contains(self, id: &str) -> bool {
        self.iter().any(|known| known == id)
    }

    /// Iterates over all ids, as they were given.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let mut rest = Reader(self.0);
        std::iter::from_fn(move || (!rest.0.is_empty()).then(|| rest.text()))
    }

    /// Wraps the ids that [`DeviceIds::put`] packed.
    pub(super) const fn packed(ids: &'a [u8]) -> Self {
        DeviceIds(ids)
    }

    /// Packs another id.
    pub(super) fn put(id: &str, out: &mut Vec<u8>) {
        put_bytes(out, id.as_bytes());
    }
}

/// Takes the place of a kind: a user that is the account's master.
const MASTER_USER: u8 = 5;
/// The bits of a packed principal's first byte: its kind, and which parts follow.
const KIND: u8 = 0b111;
const LINKED: u8 = 1 << 3;
const ACCESS_STATED: u8 = 1 << 4;
const ACCESS: u8 = 1 << 5;
const LISTS: u8 = 1 << 6;
const NAME: u8 = 1 << 7;
/// The bits that mark which device lists follow. No list means all devices.
const HARDWARE: u8 = 1;
const GUESTS: u8 = 1 << 1;

impl Packed for Principal {
    type View<'a> = PrincipalView<'a>;

    fn pack(principal: &PrincipalView<'_>, out: &mut Vec<u8>) {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let kind = match principal.kind {
            PrincipalKind::User if principal.master => MASTER_USER,
            kind => kind as u8,
        };
        let lists = flag(principal.devices.is_some(), HARDWARE)
            | flag(principal.virtual_guests.is_some(), GUESTS);
        out.push(
            kind | flag(principal.linked, LINKED)
                | flag(principal.infrastructure_access.is_some(), ACCESS_STATED)
                | flag(principal.infrastructure_access == Some(true), ACCESS)
                | flag(lists != 0, LISTS)
                | flag(principal.name.is_some(), NAME),
        );
        // An IAM identity is never empty.
        put_bytes(out, principal.iam_id.unwrap_or_default().as_bytes());
        if let Some(name) = principal.name {
            put_bytes(out, name.as_bytes());
        }
        put_bytes(out, principal.permissions.0);
        if lists != 0 {
            out.push(lists);
        }
        for devices in [principal.devices, principal.virtual_guests].into_iter().flatten() {
            put_bytes(out, devices.0);
        }
    }

    fn view(packed: &[u8]) -> PrincipalView<'_> {
        let mut reader = Reader(packed);
        let flags = reader.byte();
        let is = |flag: u8| flags & flag != 0;
        let iam_id = Some(reader.text()).filter(|id| !id.is_empty());
        let name = is(NAME).then(|| reader.text());
        let permissions = Permissions::packed(reader.part());
        let lists = if is(LISTS) { reader.byte() } else { 0 };
        let mut list = |list: u8| (lists & list != 0).then(|| DeviceIds(reader.part()));
        PrincipalView {
            kind: PrincipalKind::unpacked(flags & KIND),
            master: flags & KIND == MASTER_USER,
            linked: is(LINKED),
            infrastructure_access: is(ACCESS_STATED).then_some(is(ACCESS)),
            iam_id,
            name,
            permissions,
            devices: list(HARDWARE),
            virtual_guests: list(GUESTS),
        }
    }

    const HAS_ALIASES: bool = true;

    /// Returns the IAM identity, which names most identities of a cloud account.
    fn alias(packed: &[u8]) -> Option<&str> {
        let iam_id = Reader(packed.get(1..)?).text();
        Some(iam_id).filter(|id| !id.is_empty())
    }
}

impl Table<PrincipalKey, Principal> {
    /// Calls `each` with the id and the versions of every principal of an account that has, or once
    /// had, an IAM identity. It may call it for other principals too, and twice for the same one.
    pub fn carriers<'s>(
        &'s self,
        account: &str,
        iam_id: &str,
        mut each: impl FnMut(&str, Versions<'s, Principal>),
    ) {
        let name = StoreKey::pair(account.as_bytes(), iam_id.as_bytes());
        if let Some(versions) = self.versions_of(name) {
            each(iam_id, versions);
        }
        self.aliased(name, |key, versions| {
            let id = key.strip_prefix(account);
            if let Some(id) = id.and_then(|id| id.strip_prefix('/')) {
                each(id, versions);
            }
        });
    }
}

/// Counts the names that any version of a principal holds and `is_known` rejects.
pub fn unknown_permissions(
    principals: &Table<PrincipalKey, Principal>,
    is_known: impl Fn(&str) -> bool,
) -> Tally {
    let mut unknown = Tally::default();
    for (_, versions) in principals.iter() {
        let held = versions.iter().filter_map(|version| version.value);
        let names = held.flat_map(|principal| principal.permissions.iter());
        for name in names.filter(|name| !is_known(name)) {
            unknown.count(name);
        }
    }
    unknown
}

#[cfg(test)]
mod tests;
