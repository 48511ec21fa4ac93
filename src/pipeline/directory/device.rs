//! Devices: what is acted upon. How they are packed is here as well.

use super::super::field::{Id, is_id};
use super::packing::{Packed, Reader, put_part};
use super::store::StoreKey;
use super::table::{KeyRoom, TableKey};

/// Devices are known by their id alone.
impl TableKey for Id {
    fn text<'a>(&'a self, _: &'a mut KeyRoom) -> &'a [u8] {
        self.as_bytes()
    }

    fn parts(&self) -> StoreKey<'_> {
        StoreKey::whole(self.as_bytes())
    }

    fn of(text: &str) -> Option<Self> {
        is_id(text).then(|| Id::from(text))
    }
}

/// Devices of the classic infrastructure, as a kind of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Device {}

/// A device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceView<'a> {
    /// The account that owns it.
    pub account: Option<&'a str>,
    /// Its name.
    pub name: Option<&'a str>,
    /// The data center it stands in.
    pub data_center: Option<&'a str>,
}

impl Packed for Device {
    type View<'a> = DeviceView<'a>;

    /// None of the fields is ever empty.
    fn pack(device: &DeviceView<'_>, out: &mut Vec<u8>) {
        for text in [device.account, device.name, device.data_center] {
            put_part(out, text.unwrap_or_default().as_bytes());
        }
    }

    fn view(packed: &[u8]) -> DeviceView<'_> {
        let mut reader = Reader(packed);
        let mut text = || Some(reader.text()).filter(|text| !text.is_empty());
        DeviceView {
            account: text(),
            name: text(),
            data_center: text(),
        }
    }
}
