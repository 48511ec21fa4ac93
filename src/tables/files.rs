//! Reads the files of reference tables, and reloads them when they change or on request. A bad file
//! changes nothing: the old table stays in use, and the log, `/readyz` and a metric report it. A
//! file that lacks too many of the table's keys is bad too: a program that writes a file in place
//! truncates it first, and may pause half-way.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use crate::config::text_file;
use crate::config::{Config, TableSource};
use crate::tables::{TableName, TableStore};
use audit_judge::reference::{
    Device, DeviceKey, LineProblem, Principal, PrincipalKey, ReferenceTables, Table, read_devices,
    read_principals,
};

/// How often the files are checked. A changed file is read once it has not changed for this long.
const INTERVAL: Duration = Duration::from_secs(1);
/// Most problems of one file that are listed. A file in the wrong format has one per line.
const LISTED_MAX: usize = 20;
/// Longest delay before a reload request or the end of the process is noticed.
const STEP: Duration = Duration::from_millis(50);

/// A request to reload all files, shared by the threads that make it and the thread that reloads.
#[derive(Debug, Clone, Default)]
pub struct ReloadRequest(Arc<AtomicBool>);

impl ReloadRequest {
    /// Requests a reload.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Returns whether a reload was requested, and clears the request.
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// Watches the files of tables.
#[derive(Debug)]
pub struct TableFiles {
    files: Vec<TableFile>,
    tables: Arc<TableStore>,
    reload: ReloadRequest,
}

/// A file that a table is read from, and its last known stamps.
#[derive(Debug, Clone)]
pub struct TableFile {
    table: TableName,
    path: PathBuf,
    loss_limit_percent: u8,
    /// Its stamp when it was last read, successfully or not.
    read: Option<Stamp>,
    /// Its stamp at the last check.
    seen: Option<Stamp>,
}

/// Metadata that changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp {
            modified: metadata.modified().ok()?,
            length: metadata.len(),
            inode: metadata.ino(),
        })
    }
}

impl TableFiles {
    /// A watcher of these files.
    pub fn new(files: Vec<TableFile>, tables: Arc<TableStore>, reload: ReloadRequest) -> Self {
        TableFiles { files, tables, reload }
    }

    /// Watches until the tables are closed.
    pub fn run(mut self) {
        let mut waited = Duration::ZERO;
        while !self.tables.is_closed() {
            let is_requested = self.reload.take();
            if is_requested || waited >= INTERVAL {
                waited = Duration::ZERO;
                self.check(is_requested);
            }
            std::thread::sleep(STEP);
            waited += STEP;
        }
    }

    /// Reloads the files that changed but not since the last check, or all files.
    fn check(&mut self, all: bool) {
        for file in &mut self.files {
            let stamp = Stamp::of(&file.path);
            let is_settled = stamp == file.seen;
            file.seen = stamp;
            if all || (is_settled && stamp != file.read) {
                file.read = stamp;
                file.reload(&self.tables);
            }
        }
    }
}

impl TableFile {
    /// Returns the files that the configuration names, with their current stamps.
    pub fn all(config: &Config) -> Vec<TableFile> {
        let sources = [
            (TableName::Principals, Some(&config.principals)),
            (TableName::Devices, config.devices.as_ref()),
        ];
        let file = |(table, source): (TableName, Option<&TableSource>)| {
            let Some(TableSource::File(path)) = source else {
                return None;
            };
            let stamp = Stamp::of(path);
            Some(TableFile {
                table,
                path: path.clone(),
                loss_limit_percent: config.tables.reload_loss_limit_percent,
                read: stamp,
                seen: stamp,
            })
        };
        sources.into_iter().filter_map(file).collect()
    }

    fn reload(&self, tables: &TableStore) {
        let (table, path) = (self.table, self.path.display());
        match self.publish(tables) {
            Ok(entries) => {
                tables.count(table, |counts| counts.reloads += 1);
                tables.reloaded(table, None);
                info!(table = table.name(), %path, entries, "reloaded the table");
            }
            Err(problems) => {
                tables.count(table, |counts| counts.failed_reloads += 1);
                let problems = problems.join("; ");
                warn!(table = table.name(), %path, "file rejected, the old table stays in use: {problems}");
                let why = format!("{path} is rejected, the old table stays in use: {problems}");
                tables.reloaded(table, Some(why));
            }
        }
    }

    fn publish(&self, tables: &TableStore) -> Result<usize, Vec<String>> {
        let known = tables.load();
        match self.table {
            TableName::Principals => {
                let loaded = read_principals_file(&self.path)?;
                self.check_loss(&known.principals, &loaded)?;
                let entries = loaded.len();
                tables.publish(|reference: &mut ReferenceTables| reference.principals = loaded);
                Ok(entries)
            }
            TableName::Devices => {
                let loaded = read_devices_file(&self.path)?;
                if let Some(known) = &known.devices {
                    self.check_loss(known, &loaded)?;
                }
                let entries = loaded.len();
                tables.publish(|reference: &mut ReferenceTables| reference.devices = Some(loaded));
                Ok(entries)
            }
        }
    }

    /// Fails if more of the known keys are missing in a file than the limit allows.
    fn check_loss<K, V>(
        &self,
        known: &Table<K, V>,
        loaded: &Table<K, V>,
    ) -> Result<(), Vec<String>> {
        let (lost, before, limit) = (known.lost_in(loaded), known.len(), self.loss_limit_percent);
        if lost * 100 <= before * usize::from(limit) {
            return Ok(());
        }
        Err(vec![format!(
            "it has {} keys and lacks {lost} of the {before} keys of the table, more than the {limit} % that tables.reload_loss_limit_percent allows; if this is intended, restart the relay or raise the limit; if not, write the complete file next to this one and mv it into place",
            loaded.len()
        )])
    }
}

/// Reads the principals from a file.
///
/// # Errors
/// Fails if the file cannot be read, has no entry, or has bad lines. Not all bad lines are listed.
pub fn read_principals_file(path: &Path) -> Result<Table<PrincipalKey, Principal>, Vec<String>> {
    let table = read_file(path, "principals.file", read_principals)?;
    if table.is_empty() {
        return Err(vec![format!(
            "principals.file: {} has no entry, so every principal would be unknown; write the whole file beside it and mv it into place",
            path.display()
        )]);
    }
    Ok(table)
}

/// Reads the devices from a file.
///
/// # Errors
/// Fails if the file cannot be read or has bad lines. Not all bad lines are listed.
pub fn read_devices_file(path: &Path) -> Result<Table<DeviceKey, Device>, Vec<String>> {
    read_file(path, "devices.file", read_devices)
}

fn read_file<K, V>(
    path: &Path,
    key: &str,
    parse: impl Fn(&str, &str) -> Result<Table<K, V>, Vec<LineProblem>>,
) -> Result<Table<K, V>, Vec<String>> {
    let text = text_file::read(path, key)?;
    parse(&path.display().to_string(), &text).map_err(|problems| {
        let more = problems.len().saturating_sub(LISTED_MAX);
        let problems = problems.iter().take(LISTED_MAX);
        let mut listed: Vec<_> = problems.map(ToString::to_string).collect();
        if more > 0 {
            listed.push(format!("{}: {more} more lines like these", path.display()));
        }
        listed
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = r#""validFrom":"2018-01-01T00:00:00Z"}"#;

    /// A folder with a file of principals, and its watcher.
    struct Watched {
        _folder: tempfile::TempDir,
        path: PathBuf,
        tables: Arc<TableStore>,
        files: TableFiles,
    }

    impl Watched {
        /// Watches a file with this many users, under these settings.
        fn new(users: usize, settings: &str) -> Watched {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("p.jsonl");
            std::fs::write(&path, lines(0..users)).expect("written");
            let text = format!(
                "kafka.bootstrap.servers = \"b:1\"\nprincipals.file = {path:?}\n{settings}"
            );
            let config = Config::from_toml(&text, std::iter::empty()).expect("good");
            let reference = ReferenceTables {
                principals: read_principals_file(&path).expect("reads"),
                devices: None,
            };
            let tables = Arc::new(TableStore::new(reference, &[], Duration::ZERO));
            let files = TableFile::all(&config);
            Watched {
                _folder: folder,
                path,
                tables: Arc::clone(&tables),
                files: TableFiles::new(files, tables, ReloadRequest::default()),
            }
        }

        fn write(&self, text: &str) {
            std::fs::write(&self.path, text).expect("written");
        }

        /// Returns the numbers of successful and of failed reloads, and of known keys.
        fn counts(&self) -> (u64, u64, usize) {
            let counts = self.tables.counts(TableName::Principals);
            let keys = self.tables.load().principals.len();
            (counts.reloads, counts.failed_reloads, keys)
        }

        fn refusal(&self) -> Option<String> {
            let mut refusals = self.tables.refusals();
            assert_eq!(refusals.len(), 1);
            refusals.remove(0).1
        }
    }

    fn lines(users: std::ops::Range<usize>) -> String {
        let line = |user| format!("{{\"accountId\":1,\"userId\":{user},{DAY}\n");
        users.map(line).collect()
    }

    #[test]
    fn a_change_is_read_once_the_file_has_settled_and_a_bad_file_changes_nothing() {
        let mut watched = Watched::new(1, "");
        watched.files.check(false);
        assert_eq!(watched.counts(), (0, 0, 1), "nothing changed");
        watched.write(&lines(0..2));
        watched.files.check(false);
        assert_eq!(watched.counts(), (0, 0, 1), "it may be half written");
        watched.files.check(false);
        assert_eq!(watched.counts(), (1, 0, 2));
        watched.write("nonsense");
        for _ in 0..3 {
            watched.files.check(false);
        }
        assert_eq!(watched.counts(), (1, 1, 2));
        std::fs::remove_file(&watched.path).expect("removed");
        watched.files.check(true);
        assert_eq!(watched.counts(), (1, 2, 2));
        watched.write(&lines(0..2)[..100]);
        watched.files.check(true);
        assert_eq!(watched.counts(), (1, 3, 2), "the file ends within a line");
    }

    #[test]
    fn a_file_that_lacks_too_many_keys_is_rejected_until_a_good_one_is_read() {
        let mut watched = Watched::new(10, "");
        let files = ["", "\n\n", &lines(0..4), &lines(5..20), &lines(20..40)];
        for (number, text) in files.into_iter().enumerate() {
            let is_accepted = number == 3;
            watched.write(text);
            watched.files.check(true);
            assert_eq!(watched.refusal().is_none(), is_accepted, "{text}");
        }
        // Since the fourth file 15 keys are known, and the last file has none of them.
        let why = watched.refusal().expect("rejected");
        for word in ["20 keys", "15 of the 15", "50 %", "reload_loss_limit_percent", "mv"] {
            assert!(why.contains(word), "{why}");
        }
        assert_eq!(watched.counts(), (1, 4, 15));
        assert!(watched.tables.views()[0].refused);
        watched.write(&lines(5..13));
        watched.files.check(true);
        assert_eq!((watched.refusal(), watched.counts()), (None, (2, 4, 8)));
        assert!(!watched.tables.views()[0].refused);
    }

    #[test]
    fn the_share_of_keys_that_may_be_missing_is_configured() {
        for (limit, kept, is_accepted) in [
            (0, 10, true),
            (0, 9, false),
            (100, 1, true),
            (100, 0, false),
            (25, 8, true),
            (25, 7, false),
        ] {
            let settings = format!("tables.reload_loss_limit_percent = {limit}\n");
            let mut watched = Watched::new(10, &settings);
            watched.write(&lines(0..kept));
            watched.files.check(true);
            assert_eq!(watched.refusal().is_none(), is_accepted, "{limit} {kept}");
        }
    }
}
