//! Devices: what is acted upon. How they are packed is here as well.

use super::super::field::{Id, is_id};
use super::packing::{Packed, Reader, put_part};
use super::table::{KeyRoom, TableKey};

/// Devices are known by their id alone.
impl TableKey for Id {
    fn text<'a>(&'a self, _: &'a mut KeyRoom) -> &'a [u8] {
        self.as_bytes()
    }

    fn of(text: &str) -> Option<Self> {
        is_id(text).then(|| Id::from(text))
    }
}

/// A device of the classic infrastructure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The account that owns it.
    pub account: Option<Id>,
    /// Its name.
    pub name: Option<String>,
    /// The data center it stands in.
    pub data_center: Option<String>,
}

/// A [`Device`] in a table.
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
    fn pack(&self, out: &mut Vec<u8>) {
        put_part(out, self.account.as_deref().unwrap_or_default().as_bytes());
        put_part(out, self.name.as_deref().unwrap_or_default().as_bytes());
        let data_center = self.data_center.as_deref().unwrap_or_default();
        put_part(out, data_center.as_bytes());
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
