//! Collects the metrics of the reference tables at scrape time. The tables do the counting.

use std::sync::{Arc, Mutex};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec};

use super::table;
use crate::lock::lock;
use crate::tables::{TableStore, TableView};
use audit_judge::reference::RecordReason;

/// Collects the metrics of [`TableStore`].
pub(super) struct TablesCollector {
    tables: Arc<TableStore>,
    entries: GaugeVec,
    ready: GaugeVec,
    load: GaugeVec,
    staleness: GaugeVec,
    records: IntCounterVec,
    bytes: IntCounterVec,
    rejected: IntCounterVec,
    versions_dropped: IntCounterVec,
    reloads: IntCounterVec,
    reload_refused: GaugeVec,
    /// Held during a scrape: two at a time would reset each other's values.
    scraping: Mutex<()>,
}

impl TablesCollector {
    pub(super) fn new(tables: Arc<TableStore>) -> Result<Self, prometheus::Error> {
        Ok(TablesCollector {
            tables,
            entries: table::TABLE_ENTRIES.gauge()?,
            ready: table::TABLE_READY.gauge()?,
            load: table::TABLE_LOAD.gauge()?,
            staleness: table::TABLE_STALENESS.gauge()?,
            records: table::TABLE_RECORDS.counter()?,
            bytes: table::TABLE_BYTES.counter()?,
            rejected: table::TABLE_REJECTED.counter()?,
            versions_dropped: table::TABLE_VERSIONS_DROPPED.counter()?,
            reloads: table::TABLE_RELOADS.counter()?,
            reload_refused: table::TABLE_RELOAD_REFUSED.gauge()?,
            scraping: Mutex::default(),
        })
    }

    fn collectors(&self) -> [&dyn Collector; 10] {
        [
            &self.entries,
            &self.ready,
            &self.load,
            &self.staleness,
            &self.records,
            &self.bytes,
            &self.rejected,
            &self.versions_dropped,
            &self.reloads,
            &self.reload_refused,
        ]
    }

    fn fill(&self) {
        let counters = [&self.records, &self.bytes, &self.rejected];
        for counter in counters.into_iter().chain([&self.versions_dropped, &self.reloads]) {
            counter.reset();
        }
        for view in self.tables.views() {
            self.show(&view);
        }
    }

    fn show(&self, view: &TableView) {
        let name = [view.table.name()];
        let set = |gauge: &GaugeVec, value| gauge.with_label_values(&name).set(value);
        set(&self.entries, self.tables.entries(view.table) as f64);
        set(&self.ready, f64::from(u8::from(view.ready)));
        set(&self.load, view.load.unwrap_or_default().as_secs_f64());
        set(&self.staleness, view.staleness.as_secs_f64());
        let add = |counter: &IntCounterVec, labels: &[&str], count| {
            counter.with_label_values(labels).inc_by(count);
        };
        let counts = &view.counts;
        if view.followed {
            add(&self.records, &name, counts.records);
            add(&self.bytes, &name, counts.bytes);
            add(&self.versions_dropped, &name, counts.versions_dropped);
            for reason in RecordReason::ALL.map(RecordReason::name) {
                let count = counts.rejected.get(reason).copied().unwrap_or_default();
                add(&self.rejected, &[view.table.name(), reason], count);
            }
        } else {
            set(&self.reload_refused, f64::from(u8::from(view.refused)));
            add(&self.reloads, &[view.table.name(), "ok"], counts.reloads);
            add(&self.reloads, &[view.table.name(), "failed"], counts.failed_reloads);
        }
    }
}

impl Collector for TablesCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(|c| c.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _scraping = lock(&self.scraping);
        self.fill();
        self.collectors().into_iter().flat_map(|c| c.collect()).collect()
    }
}
