//! The judge of the workers: `audit_judge` with the rules and the shared tables of the process. It
//! decides whether a fate must wait for the tables; `tables` implements the waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::deployment::Deployment;
use crate::metrics::Metrics;
use crate::stream::Judge;
use crate::tables::TableStore;
use audit_judge::fate::Fate;
use audit_judge::judge;

/// Judges with tables that may be fed by topics.
#[derive(Debug)]
pub struct TableJudge {
    deployment: Arc<Deployment>,
    tables: Arc<TableStore>,
    barrier_limit: Duration,
    metrics: Arc<Metrics>,
    /// Whether any table is fed by a topic. Tables from files are complete: no fate depends on
    /// records that may still arrive.
    waits: bool,
}

impl TableJudge {
    /// Returns a judge that waits at most `barrier_limit` for the tables to catch up.
    pub fn new(
        deployment: Arc<Deployment>,
        tables: Arc<TableStore>,
        barrier_limit: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let waits = tables.follows_any();
        TableJudge { deployment, tables, barrier_limit, metrics, waits }
    }
}

impl Judge for TableJudge {
    fn judge(&self, payload: Option<&[u8]>) -> Fate {
        judge(payload, &self.deployment.rules, || self.tables.borrow())
    }

    fn is_final(&self, fate: &Fate) -> bool {
        !self.waits || !fate.awaits_tables()
    }

    fn trusted(&self) -> Result<(), String> {
        self.tables.trusted()
    }

    fn catch_up(&self) -> Result<(), String> {
        let began = Instant::now();
        let result = self.tables.catch_up(self.barrier_limit);
        self.metrics.count_barrier(result.is_ok(), began.elapsed());
        result
    }
}

#[cfg(test)]
mod tests;
