//! The reference tables: principals and devices, by key and time. This folder reads lines of files
//! and records of topics, but not the files and topics themselves. `access` decides whether a
//! principal has access.

mod device;
mod entry;
mod file;
mod list;
mod object;
mod oddities;
pub mod packing;
mod permissions;
mod principal;
mod record;
mod store;
mod table;
mod upkeep;
mod value;
pub mod versions;

pub use device::{Device, DeviceKey, DeviceKind, DeviceView};
pub use file::{LineProblem, read_devices, read_principals};
pub use oddities::{Oddities, Tally};
pub use permissions::Permissions;
pub(crate) use permissions::{KNOWN_PERMISSIONS, PackedName};
pub use principal::{
    DeviceIds, Principal, PrincipalKey, PrincipalKind, PrincipalView, unknown_permissions,
};
pub use record::{
    RecordProblem, RecordReason, VALUE_BYTES_MAX, parse_device_record, parse_principal_record,
    unreadable_record,
};
pub use store::{StoreKey, TableFull};
pub use table::{Table, TableChange, TableKey, TableWriter};

/// The tables that records are judged against: an immutable snapshot, shared by its clones.
#[derive(Debug, Clone, Default)]
pub struct ReferenceTables {
    /// The identities that can act.
    pub principals: Table<PrincipalKey, Principal>,
    /// The devices; `None` if no device table is configured.
    pub devices: Option<Table<DeviceKey, Device>>,
}
