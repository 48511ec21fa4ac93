//! The reference tables as the threads share them: the snapshot that records are judged against,
//! and how far it is behind the topics that feed it. It reads nothing itself: followers and file
//! watchers feed it. It names no Kafka client.
//!
//! The read barrier is [`TableStore::catch_up`]. It requests the current end offsets of every
//! followed topic, and returns when a snapshot that contains everything before these offsets is
//! published. Threads that call it before a request begins share that request. A request that has
//! begun already is of no use to a later caller: it may have missed what was written before the
//! call.

mod catch_up;
mod end_offsets;
mod feed;
pub mod files;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use arc_swap::access::Access;

use crate::lock::lock;
use audit_judge::reference::ReferenceTables;
use catch_up::CatchUp;
use end_offsets::Waiter;

pub use end_offsets::{Assignment, EndOffsets, EndOffsetsRequest, Reading, TableOffsets};
pub use view::{TableCounts, TableName, TableView};

/// The tables of a process.
#[derive(Debug)]
pub struct TableStore {
    snapshot: ArcSwap<ReferenceTables>,
    /// Held while a snapshot is published: each publisher changes one table and keeps the others.
    publishing: Mutex<()>,
    state: Mutex<State>,
    changed: Condvar,
    staleness_limit: Duration,
}

#[derive(Debug)]
struct State {
    /// The tables that are fed by topics.
    followed: BTreeMap<TableName, CatchUp>,
    counts: BTreeMap<TableName, TableCounts>,
    /// Why the current file of a table was rejected.
    refused: BTreeMap<TableName, String>,
    closed: bool,
}

impl TableStore {
    /// Tables that begin with this snapshot. Those that are `followed` are not ready until their
    /// followers report it. A snapshot older than `staleness_limit` must not be relied on.
    pub fn new(
        reference: ReferenceTables,
        followed: &[TableName],
        staleness_limit: Duration,
    ) -> Self {
        let mut counts = BTreeMap::from([(TableName::Principals, TableCounts::default())]);
        if reference.devices.is_some() {
            counts.insert(TableName::Devices, TableCounts::default());
        }
        let now = Instant::now();
        let catch_up = |table: &TableName| (*table, CatchUp::new(now));
        TableStore {
            snapshot: ArcSwap::from_pointee(reference),
            publishing: Mutex::default(),
            state: Mutex::new(State {
                followed: followed.iter().map(catch_up).collect(),
                counts,
                refused: BTreeMap::new(),
                closed: false,
            }),
            changed: Condvar::new(),
            staleness_limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Returns the newest snapshot, which never changes.
    pub fn load(&self) -> Arc<ReferenceTables> {
        self.snapshot.load_full()
    }

    /// Returns the number of entries of a table.
    pub fn entries(&self, table: TableName) -> usize {
        let reference = self.borrow();
        match table {
            TableName::Principals => reference.principals.len(),
            TableName::Devices => reference.devices.as_ref().map_or(0, |devices| devices.len()),
        }
    }

    /// Borrows the newest snapshot for a moment, as for one record. Cheaper than
    /// [`TableStore::load`] when many threads do it.
    pub fn borrow(&self) -> impl Deref<Target = ReferenceTables> + use<> {
        Access::<ReferenceTables>::load(&self.snapshot)
    }

    /// Publishes a changed snapshot. `change` replaces a table in a copy of the newest one, so that
    /// publishers of different tables do not undo each other's work. Readers never wait.
    pub fn publish(&self, change: impl FnOnce(&mut ReferenceTables)) {
        let _publishing = lock(&self.publishing);
        let mut reference = ReferenceTables::clone(&self.snapshot.load());
        change(&mut reference);
        self.snapshot.store(Arc::new(reference));
    }

    /// The read barrier: waits until the snapshot contains everything that the topics contained
    /// when this was called. Returns at once if no table is fed by a topic.
    ///
    /// # Errors
    /// Fails if a table is still behind after `limit`, and names what it waits for, or if the
    /// process ends.
    pub fn catch_up(&self, limit: Duration) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        let mut waiters: Vec<(TableName, Waiter)> = state
            .followed
            .iter_mut()
            .map(|(table, catch_up)| (*table, catch_up.request()))
            .collect();
        if waiters.is_empty() {
            return Ok(());
        }
        self.changed.notify_all();
        let awaited: Vec<TableName> = waiters.iter().map(|(table, _)| *table).collect();
        let result = loop {
            let (now, requested) = (Instant::now(), state.requested());
            waiters.retain_mut(|(table, waiter)| !state.is_met(*table, waiter, now));
            if state.requested() != requested {
                self.changed.notify_all();
            }
            let left = deadline.saturating_duration_since(now);
            if waiters.is_empty() {
                break Ok(());
            }
            if state.closed {
                break Err("the process is ending".to_string());
            }
            if left.is_zero() {
                break Err(state.describe(&waiters, limit));
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        };
        for table in awaited {
            if let Some(catch_up) = state.followed.get_mut(&table) {
                catch_up.withdraw();
            }
        }
        result
    }

    /// Checks that all tables were read completely.
    ///
    /// # Errors
    /// Fails if a table was not, and names the cause.
    pub fn ready(&self) -> Result<(), String> {
        let state = self.lock();
        let unready = state.followed.iter().filter_map(|(table, catch_up)| {
            let why = catch_up.why_not_ready()?;
            Some(format!("{table}: {why}"))
        });
        none_of(unready.collect())
    }

    /// Waits until all tables were read completely.
    ///
    /// # Errors
    /// Fails if a table was not read completely within `limit`, and names the cause.
    pub fn await_ready(&self, limit: Duration) -> Result<(), String> {
        let deadline = Instant::now() + limit;
        loop {
            let ready = self.ready();
            let left = deadline.saturating_duration_since(Instant::now());
            if ready.is_ok() || left.is_zero() {
                return ready;
            }
            // Short, because a change between the check and the wait is not signalled again.
            let wait = left.min(Duration::from_millis(10));
            drop(self.changed.wait_timeout(self.lock(), wait));
        }
    }

    /// Returns whether a topic feeds this table.
    pub fn is_followed(&self, table: TableName) -> bool {
        self.lock().followed.contains_key(&table)
    }

    /// Returns whether a topic feeds any table.
    pub fn follows_any(&self) -> bool {
        !self.lock().followed.is_empty()
    }

    /// Checks that the snapshot may be relied on: all tables are ready, and were complete within
    /// the staleness limit.
    ///
    /// # Errors
    /// Fails if a table may not be relied on, and names the cause.
    pub fn trusted(&self) -> Result<(), String> {
        let now = Instant::now();
        let state = self.lock();
        let untrusted = state.followed.iter().filter_map(|(table, catch_up)| {
            let why = catch_up.why_not_trusted(now, self.staleness_limit)?;
            Some(format!("{table}: {why}"))
        });
        none_of(untrusted.collect())
    }

    /// Returns the state of all tables.
    pub fn views(&self) -> Vec<TableView> {
        let now = Instant::now();
        let state = self.lock();
        let view = |(table, counts): (&TableName, &TableCounts)| {
            let catch_up = state.followed.get(table);
            TableView {
                table: *table,
                followed: catch_up.is_some(),
                ready: catch_up.is_none_or(CatchUp::is_ready),
                load: catch_up.and_then(CatchUp::load_time),
                staleness: catch_up.map_or(Duration::ZERO, |catch_up| catch_up.staleness(now)),
                refused: state.refused.contains_key(table),
                counts: counts.clone(),
            }
        };
        state.counts.iter().map(view).collect()
    }

    /// Changes the counts of a table.
    pub fn count(&self, table: TableName, counted: impl FnOnce(&mut TableCounts)) {
        counted(self.lock().counts.entry(table).or_default());
    }

    /// Returns the counts of a table.
    pub fn counts(&self, table: TableName) -> TableCounts {
        self.lock().counts.get(&table).cloned().unwrap_or_default()
    }

    /// Notes that the file of a table was reloaded, or was rejected for this reason.
    pub fn reloaded(&self, table: TableName, refused: Option<String>) {
        let mut state = self.lock();
        match refused {
            Some(why) => drop(state.refused.insert(table, why)),
            None => drop(state.refused.remove(&table)),
        }
    }

    /// Returns for each table why its current file was rejected, if it was.
    pub fn refusals(&self) -> Vec<(TableName, Option<String>)> {
        let state = self.lock();
        let refusal = |table: &TableName| (*table, state.refused.get(table).cloned());
        state.counts.keys().map(refusal).collect()
    }

    /// Returns whether the process is ending.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Ends all waits, now and in the future.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

impl State {
    /// Returns the number of requests that were ever wanted.
    fn requested(&self) -> u64 {
        self.followed.values().map(CatchUp::requested).sum()
    }

    fn is_met(&mut self, table: TableName, waiter: &mut Waiter, now: Instant) -> bool {
        let catch_up = self.followed.get_mut(&table);
        catch_up.is_none_or(|catch_up| catch_up.is_met(waiter, now))
    }

    fn describe(&self, waiters: &[(TableName, Waiter)], limit: Duration) -> String {
        let behind = waiters.iter().filter_map(|(table, waiter)| {
            let why = self.followed.get(table)?.why_behind(waiter);
            Some(format!("{table}: {why} after {limit:?}"))
        });
        behind.collect::<Vec<_>>().join("; ")
    }
}

fn none_of(problems: Vec<String>) -> Result<(), String> {
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}
