//! Reads the files of reference tables again when they change, or when asked to. A bad file changes
//! nothing: the old table stays, and the log and a metric tell.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use crate::assemble::{read_devices_file, read_principals_file};
use crate::config::{Config, TableSource};
use crate::pipeline::directory::Directory;
use crate::tables::{SharedTables, TableName};

/// How often the files are looked at. A change is read once the file has been still for so long.
const INTERVAL: Duration = Duration::from_secs(1);
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
        TableFiles {
            files,
            tables,
            reload,
        }
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
                info!(table = table.name(), %path, entries, "read the table again");
            }
            Err(problems) => {
                tables.count(table, |counts| counts.failed_reloads += 1);
                let problems = problems.join("; ");
                warn!(table = table.name(), %path, "the table stays as it was: {problems}");
            }
        }
    }

    fn publish(&self, tables: &SharedTables) -> Result<usize, Vec<String>> {
        match self.table {
            TableName::Principals => {
                let loaded = read_principals_file(&self.path)?;
                let entries = loaded.len();
                tables.publish(|directory: &mut Directory| directory.principals = loaded);
                Ok(entries)
            }
            TableName::Devices => {
                let loaded = read_devices_file(&self.path)?;
                let entries = loaded.len();
                tables.publish(|directory: &mut Directory| directory.devices = Some(loaded));
                Ok(entries)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"accountId":1,"userId":2,"validFrom":"2018-01-01T00:00:00Z"}"#;

    fn written(path: &Path, text: &str) {
        std::fs::write(path, text).expect("written");
    }

    #[test]
    fn a_change_is_read_when_the_file_is_still_and_a_bad_one_changes_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("p.jsonl");
        written(&path, "");
        let text = format!("kafka.bootstrap.servers = \"b:1\"\nprincipals.file = {path:?}\n");
        let config = Config::from_toml(&text, std::iter::empty()).expect("good");
        let tables = SharedTables::new(Directory::default(), &[], Duration::ZERO);
        let tables = Arc::new(tables);
        let mut files = TableFiles::new(
            TableFile::all(&config),
            Arc::clone(&tables),
            ReloadRequest::default(),
        );
        let counts = || {
            let counts = tables.counts(TableName::Principals);
            (counts.reloads, counts.failed_reloads)
        };
        files.look(false);
        assert_eq!(counts(), (0, 0), "nothing changed");
        written(&path, LINE);
        files.look(false);
        assert_eq!(counts(), (0, 0), "it may be half written");
        files.look(false);
        assert_eq!((counts(), tables.load().principals.len()), ((1, 0), 1));
        written(&path, "nonsense");
        files.look(false);
        files.look(false);
        files.look(false);
        assert_eq!((counts(), tables.load().principals.len()), ((1, 1), 1));
        std::fs::remove_file(&path).expect("removed");
        files.look(true);
        assert_eq!((counts(), tables.load().principals.len()), ((1, 2), 1));
        written(&path, "");
        files.look(true);
        assert_eq!((counts(), tables.load().principals.len()), ((2, 2), 0));
    }
}
