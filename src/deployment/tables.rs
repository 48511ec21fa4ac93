//! Reads the reference tables completely from their configured sources, for the start and for
//! commands.

use crate::config::{Config, TableSource};
use crate::kafka::followers::read_topics;
use crate::tables::TableName;
use crate::tables::files::{read_devices_file, read_principals_file};
use audit_judge::reference::{Device, DeviceKey, Principal, PrincipalKey, Table};

/// Returns the principals if they come from a file, and an empty table if they come from a topic:
/// its follower fills it.
pub(super) fn principals_at_start(
    config: &Config,
) -> Result<Table<PrincipalKey, Principal>, Vec<String>> {
    match &config.principals {
        TableSource::File(path) => read_principals_file(path),
        TableSource::Topic(_) => Ok(Table::default()),
    }
}

/// Returns the devices in the same way, if a table of them is configured.
pub(super) fn devices_at_start(
    config: &Config,
) -> Result<Option<Table<DeviceKey, Device>>, Vec<String>> {
    match &config.devices {
        Some(TableSource::File(path)) => read_devices_file(path).map(Some),
        Some(TableSource::Topic(_)) => Ok(Some(Table::default())),
        None => Ok(None),
    }
}

/// Reads the complete table of principals from its configured source.
///
/// # Errors
/// Fails if the file is invalid or the topic cannot be read.
pub fn load_principals(config: &Config) -> Result<Table<PrincipalKey, Principal>, Vec<String>> {
    match &config.principals {
        TableSource::File(path) => read_principals_file(path),
        TableSource::Topic(_) => {
            let read = read_topics(config, &[TableName::Principals]);
            let read = read.map_err(|problem| vec![problem])?;
            Ok(read.principals.clone())
        }
    }
}

/// Reads the complete table of devices from its configured source, if there is one.
///
/// # Errors
/// Fails if the file is invalid or the topic cannot be read.
pub fn load_devices(config: &Config) -> Option<Result<Table<DeviceKey, Device>, Vec<String>>> {
    match config.devices.as_ref()? {
        TableSource::File(path) => Some(read_devices_file(path)),
        TableSource::Topic(_) => match read_topics(config, &[TableName::Devices]) {
            Ok(read) => read.devices.clone().map(Ok),
            Err(problem) => Some(Err(vec![problem])),
        },
    }
}
