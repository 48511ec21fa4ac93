//! The reference tables as the threads share them: the snapshot that records are judged against,
//! and how far it is behind the topics that feed it. It reads nothing by itself; followers and
//! files feed it, and it names no Kafka client.
//!
//! The read barrier is [`SharedTables::catch_up`]. Who calls it asks every topic-fed table for the
//! ends of its topic as of now, and returns when a snapshot that holds everything up to these ends
//! is published. Requests that come before the look-up of the ends begins share it; a look-up that
//! has begun already answers for none of them, since it may have missed what was written before the
//! request.

mod feed;
pub mod files;
mod look_up;
mod standing;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use arc_swap::access::Access;

use audit_judge::reference::Directory;
use look_up::Wait;
use standing::Standing;

pub use look_up::{Assignment, LookUp, Reading, Target};
pub use view::{TableCounts, TableName, TableView};

/// For each partition of a table's topic the offset of the next record: of the first that was not
/// read yet, or of the first that was not written yet.
pub type Offsets = BTreeMap<i32, i64>;

/// The tables of a process.
#[derive(Debug)]
pub struct SharedTables {
    snapshot: ArcSwap<Directory>,
    /// Whoever publishes changes one table and keeps the others, one publisher at a time.
    publishing: Mutex<()>,
    state: Mutex<State>,
    changed: Condvar,
    staleness_limit: Duration,
}

#[derive(Debug)]
struct State {
    /// The tables that are fed by topics.
    followed: BTreeMap<TableName, Standing>,
    counts: BTreeMap<TableName, TableCounts>,
    /// Why the file of a table was not taken when it was read last.
    refused: BTreeMap<TableName, String>,
    closed: bool,
}

impl SharedTables {
    /// Tables that begin as this snapshot. Those that are `followed` are not ready until their
    /// followers say so; a snapshot older than `staleness_limit` is not to be trusted.
    pub fn new(directory: Directory, followed: &[TableName], staleness_limit: Duration) -> Self {
        let mut counts = BTreeMap::from([(TableName::Principals, TableCounts::default())]);
        if directory.devices.is_some() {
            counts.insert(TableName::Devices, TableCounts::default());
        }
        let now = Instant::now();
        let standing = |table: &TableName| (*table, Standing::new(now));
        SharedTables {
            snapshot: ArcSwap::from_pointee(directory),
            publishing: Mutex::default(),
            state: Mutex::new(State {
                followed: followed.iter().map(standing).collect(),
                counts,
                refused: BTreeMap::new(),
                closed: false,
            }),
            changed: Condvar::new(),
            staleness_limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change leaves the state whole, even if its holder panics afterwards.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest snapshot. It never changes; whoever holds it keeps it.
    pub fn load(&self) -> Arc<Directory> {
        self.snapshot.load_full()
    }

    /// The newest snapshot for a moment, as for one record: cheaper than [`SharedTables::load`]
    /// where many threads do it.
    pub fn borrow(&self) -> impl Deref<Target = Directory> + use<> {
        Access::<Directory>::load(&self.snapshot)
    }

    /// Publishes a changed snapshot. `change` replaces a table of the newest one, so that those who
    /// feed different tables do not undo each other's work. Readers wait for nobody.
    pub fn publish(&self, change: impl FnOnce(&mut Directory)) {
        let turn = self.publishing.lock();
        let _turn = turn.unwrap_or_else(PoisonError::into_inner);
        let mut directory = Directory::clone(&self.snapshot.load());
        change(&mut directory);
        self.snapshot.store(Arc::new(directory));
    }

    /// The read barrier: returns when the snapshot holds everything that the topics held when this
    /// was called. Tables that are fed by no topic always do.
    ///
    /// # Errors
    /// Which table is behind after `limit`, and what it waits for; or that the process ends.
    pub fn catch_up(&self, limit: Duration) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        let mut waits: Vec<(TableName, Wait)> = state
            .followed
            .iter_mut()
            .map(|(table, standing)| (*table, standing.request()))
            .collect();
        if waits.is_empty() {
            return Ok(());
        }
        self.changed.notify_all();
        let asked: Vec<TableName> = waits.iter().map(|(table, _)| *table).collect();
        let result = loop {
            let (now, requested) = (Instant::now(), state.requested());
            waits.retain_mut(|(table, wait)| !state.is_met(*table, wait, now));
            if state.requested() != requested {
                self.changed.notify_all();
            }
            let left = deadline.saturating_duration_since(now);
            if waits.is_empty() {
                break Ok(());
            }
            if state.closed {
                break Err("the process is ending".to_string());
            }
            if left.is_zero() {
                break Err(state.describe(&waits, limit));
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        for table in asked {
            if let Some(standing) = state.followed.get_mut(&table) {
                standing.withdraw();
            }
        }
        result
    }

    /// Whether all tables were read completely.
    ///
    /// # Errors
    /// Which were not, and how far they are.
    pub fn ready(&self) -> Result<(), String> {
        let state = self.lock();
        let unready = state.followed.iter().filter_map(|(table, standing)| {
            let why = standing.why_not_ready()?;
            Some(format!("{table}: {why}"))
        });
        none_of(unready.collect())
    }

    /// Waits until all tables were read completely.
    ///
    /// # Errors
    /// As [`SharedTables::ready`], after `limit`.
    pub fn await_ready(&self, limit: Duration) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        loop {
            let ready = self.ready();
            let left = deadline.saturating_duration_since(Instant::now());
            if ready.is_ok() || left.is_zero() {
                return ready;
            }
            // Whatever came between the two looks is seen at the next.
            let wait = left.min(Duration::from_millis(10));
            drop(self.changed.wait_timeout(self.lock(), wait));
        }
    }

    /// Whether a topic feeds this table.
    pub fn is_followed(&self, table: TableName) -> bool {
        self.lock().followed.contains_key(&table)
    }

    /// Whether a topic feeds any table.
    pub fn follows_any(&self) -> bool {
        !self.lock().followed.is_empty()
    }

    /// Whether the snapshot may be relied upon: all tables are ready, and were complete no longer
    /// ago than the staleness limit.
    ///
    /// # Errors
    /// Which table may not, and why.
    pub fn trusted(&self) -> Result<(), String> {
        let now = Instant::now();
        let state = self.lock();
        let untrusted = state.followed.iter().filter_map(|(table, standing)| {
            let why = standing.why_not_trusted(now, self.staleness_limit)?;
            Some(format!("{table}: {why}"))
        });
        none_of(untrusted.collect())
    }

    /// How all tables stand.
    pub fn views(&self) -> Vec<TableView> {
        let now = Instant::now();
        let state = self.lock();
        let view = |(table, counts): (&TableName, &TableCounts)| {
            let standing = state.followed.get(table);
            TableView {
                table: *table,
                followed: standing.is_some(),
                ready: standing.is_none_or(Standing::is_ready),
                load: standing.and_then(Standing::load_time),
                staleness: standing.map_or(Duration::ZERO, |standing| standing.staleness(now)),
                refused: state.refused.contains_key(table),
                counts: counts.clone(),
            }
        };
        state.counts.iter().map(view).collect()
    }

    /// Counts something of a table.
    pub fn count(&self, table: TableName, counted: impl FnOnce(&mut TableCounts)) {
        counted(self.lock().counts.entry(table).or_default());
    }

    /// What was counted of a table.
    pub fn counts(&self, table: TableName) -> TableCounts {
        self.lock().counts.get(&table).cloned().unwrap_or_default()
    }

    /// The file of a table was read again: it was taken, or not for this reason, and the older
    /// table stays.
    pub fn reloaded(&self, table: TableName, refused: Option<String>) {
        let mut state = self.lock();
        match refused {
            Some(why) => drop(state.refused.insert(table, why)),
            None => drop(state.refused.remove(&table)),
        }
    }

    /// For each table why its file, as it is now, was not taken; nothing if it was.
    pub fn refusals(&self) -> Vec<(TableName, Option<String>)> {
        let state = self.lock();
        let refusal = |table: &TableName| (*table, state.refused.get(table).cloned());
        state.counts.keys().map(refusal).collect()
    }

    /// Whether the process ends.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Ends all waiting, now and in future.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

impl State {
    /// How many look-ups were ever asked for.
    fn requested(&self) -> u64 {
        self.followed.values().map(Standing::requested).sum()
    }

    fn is_met(&mut self, table: TableName, wait: &mut Wait, now: Instant) -> bool {
        let standing = self.followed.get_mut(&table);
        standing.is_none_or(|standing| standing.is_met(wait, now))
    }

    fn describe(&self, waits: &[(TableName, Wait)], limit: Duration) -> String {
        let behind = waits.iter().filter_map(|(table, wait)| {
            let why = self.followed.get(table)?.why_behind(wait);
            Some(format!("{table}: {why} after {limit:?}"))
        });
        behind.collect::<Vec<_>>().join("; ")
    }
}

fn none_of(complaints: Vec<String>) -> Result<(), String> {
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("; ")) }
}
