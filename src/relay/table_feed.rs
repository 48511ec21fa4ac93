//! Feeds the reference tables while the relay runs: follows their topics, and reloads their files
//! when they change or on SIGHUP. It also reports to health whether the tables can be relied on,
//! and which files were rejected.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::config::Config;
use crate::kafka;
use crate::liveness::health::Health;
use crate::tables::TableStore;
use crate::tables::files::{ReloadRequest, TableFile, TableFiles};

/// The subject of the tables in /readyz.
pub const TABLES: &str = "tables";
/// How often the tables are checked.
const TRUST_INTERVAL: Duration = Duration::from_millis(250);

/// Starts the threads that feed the tables, and returns them. They end when the tables are closed;
/// the caller must then join them.
///
/// # Errors
/// Fails if a client or a thread cannot be started, or SIGHUP cannot be handled.
pub fn start(
    config: &Config,
    files: &[TableFile],
    tables: &Arc<TableStore>,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut threads = kafka::followers::follow(config, tables)?;
    let reload = ReloadRequest::default();
    if !files.is_empty() {
        let files = TableFiles::new(files.to_vec(), Arc::clone(tables), reload.clone());
        let thread = std::thread::Builder::new().name("table-files".to_string());
        threads.push(
            thread.spawn(move || files.run()).context("start the thread of the table files")?,
        );
    }
    // Handled even without files: by default, SIGHUP ends the process.
    let mut hangup = signal(SignalKind::hangup()).context("listen for SIGHUP")?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            info!("SIGHUP: reloading the table files");
            reload.request();
        }
    });
    Ok(threads)
}

/// Keeps the process ready only while the tables can be relied on, from now on.
pub fn watch(tables: &Arc<TableStore>, health: &Arc<Health>) {
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
