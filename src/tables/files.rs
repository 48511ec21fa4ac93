//! Reads the files of reference tables, and reads them again when they change or when asked to. A
//! bad file changes nothing: the old table stays, and the log, `/readyz` and a metric tell. Bad is
//! also a file in which too many of the table's keys are missing: whoever writes into a file in
//! place truncates it first, and may pause half-way.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use crate::config::text_file;
use crate::config::{Config, TableSource};
use crate::tables::{SharedTables, TableName};
use audit_judge::reference::{
    Device, DeviceKey, Directory, LineProblem, Principal, PrincipalKey, Table, read_devices,
    read_principals,
};

/// How often the files are looked at. A change is read once the file has been still for so long.
const INTERVAL: Duration = Duration::from_secs(1);
/// Most problems of one file that are listed; a file in the wrong format has one a line.
const LISTED_MAX: usize = 20;
/// How soon a request and the end of the process are noticed.
const STEP: Duration = Duration::from_millis(50);

/// A request to read all files again, shared by those who may ask and the one who does it.
#[derive(Debug, Clone, Default)]
pub struct ReloadRequest(Arc<AtomicBool>);

impl ReloadRequest {
    /// Asks.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// Watches the files of tables.
#[derive(Debug)]
pub struct TableFiles {
    files: Vec<TableFile>,
    tables: Arc<SharedTables>,
    reload: ReloadRequest,
}

/// A file that a table is read from, and how it looked.
#[derive(Debug, Clone)]
pub struct TableFile {
    table: TableName,
    path: PathBuf,
    loss_limit_percent: u8,
    /// As it was when it was read last, well or not.
    read: Option<Stamp>,
    /// As it was at the last look.
    seen: Option<Stamp>,
}

/// What changes when a file does.
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
    /// Watches these files.
    pub fn new(files: Vec<TableFile>, tables: Arc<SharedTables>, reload: ReloadRequest) -> Self {
        TableFiles { files, tables, reload }
    }

    /// Watches until the tables are closed.
    pub fn run(mut self) {
        let mut waited = Duration::ZERO;
        while !self.tables.is_closed() {
            let is_asked = self.reload.take();
            if is_asked || waited >= INTERVAL {
                waited = Duration::ZERO;
                self.look(is_asked);
            }
            std::thread::sleep(STEP);
            waited += STEP;
        }
    }

    /// Reads what changed and has been still since the last look, or everything.
    fn look(&mut self, all: bool) {
        for file in &mut self.files {
            let stamp = Stamp::of(&file.path);
            let is_still = stamp == file.seen;
            file.seen = stamp;
            if all || (is_still && stamp != file.read) {
                file.read = stamp;
                file.reload(&self.tables);
            }
        }
    }
}

impl TableFile {
    /// The files that the configuration names, as they are now.
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

    fn reload(&self, tables: &SharedTables) {
        let (table, path) = (self.table, self.path.display());
        match self.publish(tables) {
            Ok(entries) => {
                tables.count(table, |counts| counts.reloads += 1);
                tables.reloaded(table, None);
                info!(table = table.name(), %path, entries, "read the table again");
            }
            Err(problems) => {
                tables.count(table, |counts| counts.failed_reloads += 1);
                let problems = problems.join("; ");
                warn!(table = table.name(), %path, "the table stays as it was: {problems}");
                let why = format!("{path} is not taken, and the table stays as it was: {problems}");
                tables.reloaded(table, Some(why));
            }
        }
    }

    fn publish(&self, tables: &SharedTables) -> Result<usize, Vec<String>> {
        let known = tables.load();
        match self.table {
            TableName::Principals => {
                let loaded = read_principals_file(&self.path)?;
                self.check_loss(&known.principals, &loaded)?;
                let entries = loaded.len();
                tables.publish(|directory: &mut Directory| directory.principals = loaded);
                Ok(entries)
            }
            TableName::Devices => {
                let loaded = read_devices_file(&self.path)?;
                if let Some(known) = &known.devices {
                    self.check_loss(known, &loaded)?;
                }
                let entries = loaded.len();
                tables.publish(|directory: &mut Directory| directory.devices = Some(loaded));
                Ok(entries)
            }
        }
    }

    /// Refuses a file in which more of the known keys are missing than the limit allows.
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
            "it has {} keys, and {lost} of the {before} keys of the table are missing in it, more than the {limit} % that tables.reload_loss_limit_percent allows; if they are to go, restart the relay or raise the limit; if not, write the whole file beside this one and mv it into place",
            loaded.len()
        )])
    }
}

/// Reads the principals from a file.
///
/// # Errors
/// That it cannot be read, has no entry, or has bad lines, of which not all are listed.
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
/// As [`read_principals_file`].
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

    /// A folder with a file of principals, and what watches it.
    struct Watched {
        _folder: tempfile::TempDir,
        path: PathBuf,
        tables: Arc<SharedTables>,
        files: TableFiles,
    }

    impl Watched {
        /// Of so many users, with these settings.
        fn new(users: usize, settings: &str) -> Watched {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("p.jsonl");
            std::fs::write(&path, lines(0..users)).expect("written");
            let text = format!(
                "kafka.bootstrap.servers = \"b:1\"\nprincipals.file = {path:?}\n{settings}"
            );
            let config = Config::from_toml(&text, std::iter::empty()).expect("good");
            let directory = Directory {
                principals: read_principals_file(&path).expect("reads"),
                devices: None,
            };
            let tables = Arc::new(SharedTables::new(directory, &[], Duration::ZERO));
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

        /// How many reloads were taken and how many were not, and the keys that are known.
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
    fn a_change_is_read_when_the_file_is_still_and_a_bad_one_changes_nothing() {
        let mut watched = Watched::new(1, "");
        watched.files.look(false);
        assert_eq!(watched.counts(), (0, 0, 1), "nothing changed");
        watched.write(&lines(0..2));
        watched.files.look(false);
        assert_eq!(watched.counts(), (0, 0, 1), "it may be half written");
        watched.files.look(false);
        assert_eq!(watched.counts(), (1, 0, 2));
        watched.write("nonsense");
        for _ in 0..3 {
            watched.files.look(false);
        }
        assert_eq!(watched.counts(), (1, 1, 2));
        std::fs::remove_file(&watched.path).expect("removed");
        watched.files.look(true);
        assert_eq!(watched.counts(), (1, 2, 2));
        watched.write(&lines(0..2)[..100]);
        watched.files.look(true);
        assert_eq!(watched.counts(), (1, 3, 2), "it ends within a line");
    }

    #[test]
    fn a_file_that_lost_too_much_is_not_taken_and_says_so_until_one_is() {
        let mut watched = Watched::new(10, "");
        let not_taken = ["", "\n\n", &lines(0..4), &lines(5..20), &lines(20..40)];
        for (number, text) in not_taken.into_iter().enumerate() {
            let is_taken = number == 3;
            watched.write(text);
            watched.files.look(true);
            assert_eq!(watched.refusal().is_none(), is_taken, "{text}");
        }
        // 15 are known since the fourth file, of which the last holds none.
        let why = watched.refusal().expect("refused");
        for word in ["20 keys", "15 of the 15", "50 %", "reload_loss_limit_percent", "mv"] {
            assert!(why.contains(word), "{why}");
        }
        assert_eq!(watched.counts(), (1, 4, 15));
        assert!(watched.tables.views()[0].refused);
        watched.write(&lines(5..13));
        watched.files.look(true);
        assert_eq!((watched.refusal(), watched.counts()), (None, (2, 4, 8)));
        assert!(!watched.tables.views()[0].refused);
    }

    #[test]
    fn how_much_may_be_lost_is_configured() {
        for (limit, kept, is_taken) in [
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
            watched.files.look(true);
            assert_eq!(watched.refusal().is_none(), is_taken, "{limit} {kept}");
        }
    }
}
