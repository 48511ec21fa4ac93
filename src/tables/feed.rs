//! The part of [`TableStore`] for the followers of the tables' topics: they take requests for end
//! offsets, and report what they read.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::catch_up::CatchUp;
use super::{
    Assignment, EndOffsets, EndOffsetsRequest, Reading, TableName, TableOffsets, TableStore,
};

impl TableStore {
    /// Waits at most `wait` until a thread needs the end offsets of a table's topic, or the last
    /// request is at least `heartbeat` old. The request begins when this call returns.
    pub fn await_request(
        &self,
        table: TableName,
        heartbeat: Duration,
        wait: Duration,
    ) -> Option<EndOffsetsRequest> {
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

    /// Reports the result of a request.
    pub fn answer(
        &self,
        table: TableName,
        request: EndOffsetsRequest,
        found: Result<TableOffsets, String>,
    ) {
        self.with(table, |catch_up| catch_up.answer(request, found));
    }

    /// Reports that a request found a sign that the topic was replaced.
    pub fn doubt(&self, table: TableName, request: EndOffsetsRequest, cause: String) {
        self.with(table, |catch_up| catch_up.doubt(request, cause));
    }

    /// Reports that the topic was replaced, and why it must be read again. The table is not ready
    /// until the new topic was read to its end.
    pub fn restart(&self, table: TableName, cause: String) {
        self.with(table, |catch_up| catch_up.restart(cause, Instant::now()));
    }

    /// Returns what the follower must read.
    pub fn assignment(&self, table: TableName) -> Assignment {
        let state = self.lock();
        let catch_up = state.followed.get(&table);
        catch_up.map(CatchUp::assignment).unwrap_or_default()
    }

    /// Reports that the published snapshot contains everything before these offsets.
    pub fn reached(&self, table: TableName, reading: Reading, positions: &TableOffsets) {
        self.with(table, |catch_up| catch_up.reached(reading, positions, Instant::now()));
    }

    /// Returns the offsets before which the published snapshot contains everything.
    pub fn positions(&self, table: TableName) -> TableOffsets {
        let state = self.lock();
        let catch_up = state.followed.get(&table);
        catch_up.map(CatchUp::positions).unwrap_or_default()
    }

    /// Reports why the follower cannot continue reading, or that it can again.
    pub fn obstacle(&self, table: TableName, reading: Reading, cause: Option<String>) {
        self.with(table, |catch_up| catch_up.obstacle(reading, cause));
    }

    /// Reports a transient error. It is shown where a thread waits for the table.
    pub fn trouble(&self, table: TableName, cause: String) {
        self.with(table, |catch_up| catch_up.trouble(cause));
    }

    /// Reports that the follower has ended for good, and why.
    pub fn ended(&self, table: TableName, cause: String) {
        self.with(table, |catch_up| catch_up.ended(cause));
    }

    /// Returns the latest end offsets, if the snapshot has not reached them.
    pub fn target(&self, table: TableName) -> Option<EndOffsets> {
        self.lock().followed.get(&table)?.target()
    }

    fn with(&self, table: TableName, change: impl FnOnce(&mut CatchUp)) {
        if let Some(catch_up) = self.lock().followed.get_mut(&table) {
            change(catch_up);
        }
        self.changed.notify_all();
    }
}
