//! Devices, which actions act upon, and their packed form.

use std::fmt;

use super::packing::{Packed, Reader, put_bytes};
use super::store::StoreKey;
use super::table::{KeyRoom, TableKey, join};
use crate::parse::field::{Id, is_id};

/// Kinds of devices. Ids are unique only within a kind: hardware 41002 and virtual guest 41002 are
/// two devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DeviceKind {
    /// A bare metal server.
    #[default]
    Hardware,
    /// A virtual server.
    VirtualGuest,
}

impl DeviceKind {
    const ALL: [DeviceKind; 2] = [DeviceKind::Hardware, DeviceKind::VirtualGuest];

    /// Returns the name in tables and catalogues.
    pub const fn name(self) -> &'static str {
        match self {
            DeviceKind::Hardware => "hardware",
            DeviceKind::VirtualGuest => "virtualGuest",
        }
    }

    /// Returns the kind with this name.
    pub fn of(name: &str) -> Option<Self> {
        DeviceKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Key of a device. Its text is the id alone for hardware, `virtualGuest/<id>` for a virtual guest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeviceKey {
    /// The kind of device.
    pub kind: DeviceKind,
    /// Its id, unique within the kind.
    pub id: Id,
}

impl fmt::Display for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            DeviceKind::Hardware => f.write_str(&self.id),
            DeviceKind::VirtualGuest => write!(f, "{}/{}", self.kind.name(), self.id),
        }
    }
}

impl TableKey for DeviceKey {
    fn text<'a>(&'a self, room: &'a mut KeyRoom) -> &'a [u8] {
        match self.kind {
            DeviceKind::Hardware => self.id.as_bytes(),
            kind => join(kind.name(), &self.id, room),
        }
    }

    fn parts(&self) -> StoreKey<'_> {
        match self.kind {
            DeviceKind::Hardware => StoreKey::whole(self.id.as_bytes()),
            kind => StoreKey::pair(kind.name().as_bytes(), self.id.as_bytes()),
        }
    }

    fn of(text: &str) -> Option<Self> {
        let (kind, id) = match text.split_once('/') {
            None => (DeviceKind::Hardware, text),
            // Hardware must have one key, not two: compaction would keep both.
            Some((kind, id)) => {
                (DeviceKind::of(kind).filter(|kind| *kind != DeviceKind::Hardware)?, id)
            }
        };
        is_id(id).then(|| DeviceKey { kind, id: Id::from(id) })
    }
}

/// The type of values in the device table: devices of the classic infrastructure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {}

/// A device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceView<'a> {
    /// The account that owns it.
    pub account: Option<&'a str>,
    /// Its name.
    pub name: Option<&'a str>,
    /// Its data center.
    pub data_center: Option<&'a str>,
}

impl Packed for Device {
    type View<'a> = DeviceView<'a>;

    /// Packs a device. None of its fields is ever empty.
    fn pack(device: &DeviceView<'_>, out: &mut Vec<u8>) {
        for text in [device.account, device.name, device.data_center] {
            put_bytes(out, text.unwrap_or_default().as_bytes());
        }
    }

    fn view(packed: &[u8]) -> DeviceView<'_> {
        let mut reader = Reader(packed);
        let mut text = || Some(reader.text()).filter(|text| !text.is_empty());
        DeviceView { account: text(), name: text(), data_center: text() }
    }
}
