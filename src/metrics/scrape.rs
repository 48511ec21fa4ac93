//! Computes lag, progress and ownership from the board at scrape time. Partitions that are no
//! longer owned are not shown.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::GaugeVec;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::table;
use crate::liveness::board::{PartitionBoard, seconds};
use crate::lock::lock;

/// Collects the metrics of a [`PartitionBoard`].
pub(super) struct BoardCollector {
    board: Arc<PartitionBoard>,
    lag_records: GaugeVec,
    lag_seconds: GaugeVec,
    last_progress: GaugeVec,
    assigned: GaugeVec,
    held: GaugeVec,
    /// Held during a scrape: two at a time would reset each other's gauges.
    scraping: Mutex<()>,
}

impl BoardCollector {
    pub(super) fn new(board: Arc<PartitionBoard>) -> Result<Self, prometheus::Error> {
        Ok(BoardCollector {
            board,
            lag_records: table::LAG_RECORDS.gauge()?,
            lag_seconds: table::LAG_SECONDS.gauge()?,
            last_progress: table::LAST_PROGRESS.gauge()?,
            assigned: table::ASSIGNED_PARTITIONS.gauge()?,
            held: table::PARTITION_HELD.gauge()?,
            scraping: Mutex::default(),
        })
    }

    fn gauges(&self) -> [&GaugeVec; 5] {
        [&self.lag_records, &self.lag_seconds, &self.last_progress, &self.assigned, &self.held]
    }

    fn fill(&self, now_ms: i64) {
        for gauge in self.gauges() {
            gauge.reset();
        }
        for view in self.board.view(now_ms) {
            let label = view.partition.to_string();
            let set = |gauge: &GaugeVec, value| gauge.with_label_values(&[&label]).set(value);
            set(&self.lag_records, view.lag_records as f64);
            set(&self.lag_seconds, view.lag_seconds);
            set(&self.last_progress, seconds(view.last_progress_ms));
            if let Some(reason) = view.held {
                self.held.with_label_values(&[&label, reason]).set(1.0);
            }
        }
        for (worker, partitions) in self.board.owners() {
            let assigned = self.assigned.with_label_values(&[worker.to_string()]);
            assigned.set(partitions as f64);
        }
    }
}

impl Collector for BoardCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _scraping = lock(&self.scraping);
        self.fill(now_ms());
        let gauges = self.gauges().into_iter();
        gauges.flat_map(Collector::collect).collect()
    }
}

/// Returns the wall-clock time in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
