//! The reference tables, read whole from where the configuration says: for the start, for commands, and when a file has
//! changed.

use std::path::Path;

use super::{Assembly, read, texts};
use crate::config::{Config, TableSource};
use crate::kafka::table::{followed, read_topics};
use crate::tables::TableName;
use audit_judge::reference::{
    Device, DeviceKey, LineProblem, Principal, PrincipalKey, Table, read_devices, read_principals,
};

/// Most problems of one table file that are listed; a file in the wrong format has one a line.
const MOST_LISTED: usize = 20;

/// The principals, as far as they come from a file. Those from a topic are filled in by their follower.
pub(super) fn principals_at_start(
    config: &Config,
) -> Result<Table<PrincipalKey, Principal>, Vec<String>> {
    match &config.principals {
        TableSource::File(path) => read_principals_file(path),
        TableSource::Topic(_) => Ok(Table::default()),
    }
}

/// As [`principals_at_start`].
pub(super) fn devices_at_start(
    config: &Config,
) -> Result<Option<Table<DeviceKey, Device>>, Vec<String>> {
    match &config.devices {
        Some(TableSource::File(path)) => read_devices_file(path).map(Some),
        Some(TableSource::Topic(_)) => Ok(Some(Table::default())),
        None => Ok(None),
    }
}

/// Reads the principals, whole, from where the configuration says.
///
/// # Errors
/// What is wrong with the file, or why the topic cannot be read.
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

/// Reads the devices, whole, if the configuration names a table of them.
///
/// # Errors
/// As [`load_principals`].
pub fn load_devices(config: &Config) -> Option<Result<Table<DeviceKey, Device>, Vec<String>>> {
    match config.devices.as_ref()? {
        TableSource::File(path) => Some(read_devices_file(path)),
        TableSource::Topic(_) => match read_topics(config, &[TableName::Devices]) {
            Ok(read) => read.devices.clone().map(Ok),
            Err(problem) => Some(Err(vec![problem])),
        },
    }
}

/// Reads those tables that topics feed, once and whole, for commands that judge a record.
///
/// # Errors
/// Why a topic cannot be read.
pub fn fill_from_topics(config: &Config, assembly: &mut Assembly) -> anyhow::Result<()> {
    let names = followed(config);
    if names.is_empty() {
        return Ok(());
    }
    let read = read_topics(config, &names).map_err(anyhow::Error::msg)?;
    for name in names {
        match name {
            TableName::Principals => assembly.directory.principals = read.principals.clone(),
            TableName::Devices => assembly.directory.devices.clone_from(&read.devices),
        }
    }
    Ok(())
}

/// Reads the principals from a file.
///
/// # Errors
/// That it cannot be read, has no entry, or has bad lines, of which not all are listed.
pub fn read_principals_file(path: &Path) -> Result<Table<PrincipalKey, Principal>, Vec<String>> {
    let table = read_file(path, "principals.file", read_principals)?;
    if table.is_empty() {
        return Err(vec![format!(
            "{} (principals.file) has no entry: nobody would be known, and no action audited; write the whole file beside it and mv it into place",
            path.display()
        )]);
    }
    Ok(table)
}

/// Reads the devices from a file.
///
/// # Errors
/// As [`read_principals_file`].
pub fn read_devices_file(path: &Path) -> Result<Table<DeviceKey, Device>, Vec<String>> {
    read_file(path, "devices.file", read_devices)
}

fn read_file<K, V>(
    path: &Path,
    key: &str,
    parse: impl Fn(&str, &str) -> Result<Table<K, V>, Vec<LineProblem>>,
) -> Result<Table<K, V>, Vec<String>> {
    let text = read(path, key)?;
    parse(&path.display().to_string(), &text).map_err(|problems| {
        let more = problems.len().saturating_sub(MOST_LISTED);
        let mut listed = texts(problems);
        listed.truncate(MOST_LISTED);
        if more > 0 {
            listed.push(format!("{}: {more} more lines like these", path.display()));
        }
        listed
    })
}
