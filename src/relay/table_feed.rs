//! Feeds the reference tables while the relay runs: from topics, which are followed, and from
//! files, which are read again when they change or on SIGHUP. And it tells health whether the
//! tables can be trusted, and which files were not taken.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::config::Config;
use crate::kafka;
use crate::liveness::health::Health;
use crate::tables::SharedTables;
use crate::tables::files::{ReloadRequest, TableFile, TableFiles};

/// What the process holds for when it waits for its tables.
pub const TABLES: &str = "tables";
/// How often it is looked whether the tables can be trusted.
const TRUST_INTERVAL: Duration = Duration::from_millis(250);

/// Starts all that feeds the tables; it ends when they are closed. Returns the threads, which are
/// to be waited for then.
///
/// # Errors
/// If a client, a thread or the signal cannot be had.
pub fn start(
    config: &Config,
    files: &[TableFile],
    tables: &Arc<SharedTables>,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut threads = kafka::followers::follow(config, tables)?;
    let reload = ReloadRequest::default();
    if !files.is_empty() {
        let files = TableFiles::new(files.to_vec(), Arc::clone(tables), reload.clone());
        let thread = std::thread::Builder::new().name("table-files".to_string());
        threads.push(thread.spawn(move || files.run()).context("start a thread")?);
    }
    // Listened to even without files: by default it would end the process.
    let mut hangup = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            info!("SIGHUP: reading the files of the tables again");
            reload.request();
        }
    });
    Ok(threads)
}

/// From now on, the process is ready only while the tables can be trusted.
pub fn watch(tables: &Arc<SharedTables>, health: &Arc<Health>) {
    let (tables, health) = (Arc::clone(tables), Arc::clone(health));
    health.release(TABLES);
    tokio::spawn(async move {
        while !tables.is_closed() {
            match tables.trusted() {
                Ok(()) => health.release(TABLES),
                Err(why) => health.hold(TABLES, &why),
            }
            for (table, refused) in tables.refusals() {
                health.warnings.set(table.name(), refused);
            }
            tokio::time::sleep(TRUST_INTERVAL).await;
        }
    });
}
