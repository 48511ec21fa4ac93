//! What those who follow a table's topic tell of it, and are asked for.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::standing::Standing;
use super::{Assignment, LookUp, Offsets, Reading, SharedTables, TableName, Target};

impl SharedTables {
    /// Waits at most `wait` until somebody asks for the ends of a table's topic, or the
    /// last look-up was so long ago as `heartbeat`. The look-up then begins with the return of this
    /// call.
    pub fn await_request(
        &self,
        table: TableName,
        heartbeat: Duration,
        wait: Duration,
    ) -> Option<LookUp> {
        let deadline = Instant::now() + wait;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.closed {
                return None;
            }
            let begun = state.followed.get_mut(&table)?.begin(now, heartbeat);
            let left = deadline.saturating_duration_since(now);
            if begun.is_some() || left.is_zero() {
                return begun;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What a look-up found.
    pub fn answer(&self, table: TableName, look_up: LookUp, found: Result<Offsets, String>) {
        self.with(table, |standing| standing.answer(look_up, found));
    }

    /// A look-up found that the topic may be no longer the one that was read.
    pub fn doubt(&self, table: TableName, look_up: LookUp, cause: String) {
        self.with(table, |standing| standing.doubt(look_up, cause));
    }

    /// The topic is no longer the one that was read, and why. The table is not ready until the
    /// topic that is there now was read to its end.
    pub fn read_anew(&self, table: TableName, cause: String) {
        self.with(table, |standing| standing.read_anew(cause, Instant::now()));
    }

    /// What there is to read.
    pub fn assignment(&self, table: TableName) -> Assignment {
        let state = self.lock();
        let standing = state.followed.get(&table);
        standing.map(Standing::assignment).unwrap_or_default()
    }

    /// Everything before these offsets is in the published snapshot.
    pub fn reached(&self, table: TableName, reading: Reading, positions: &Offsets) {
        self.with(table, |standing| standing.reached(reading, positions, Instant::now()));
    }

    /// The offsets before which the published snapshot holds everything.
    pub fn positions(&self, table: TableName) -> Offsets {
        let state = self.lock();
        let standing = state.followed.get(&table);
        standing.map(Standing::positions).unwrap_or_default()
    }

    /// What keeps it from reading on, or that nothing does any more.
    pub fn obstacle(&self, table: TableName, reading: Reading, cause: Option<String>) {
        self.with(table, |standing| standing.obstacle(reading, cause));
    }

    /// Something is wrong that may pass; it shows where the table is waited for.
    pub fn trouble(&self, table: TableName, cause: String) {
        self.with(table, |standing| standing.trouble(cause));
    }

    /// It reads no more, and why; that is shown from now on.
    pub fn ended(&self, table: TableName, cause: String) {
        self.with(table, |standing| standing.ended(cause));
    }

    /// The ends that were looked up last, if the snapshot has not reached them.
    pub fn target(&self, table: TableName) -> Option<Target> {
        self.lock().followed.get(&table)?.target()
    }

    fn with(&self, table: TableName, change: impl FnOnce(&mut Standing)) {
        if let Some(standing) = self.lock().followed.get_mut(&table) {
            change(standing);
        }
        self.changed.notify_all();
    }
}
