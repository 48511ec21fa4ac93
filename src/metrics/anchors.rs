//! Collects the metric of the anchors at scrape time. Who keeps the anchors does the counting.

use std::sync::{Arc, Mutex};

use prometheus::IntCounterVec;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::table;
use crate::lock::lock;
use crate::sealing::AnchorSink;

/// Collects the metric of an [`AnchorSink`].
pub(super) struct AnchorsCollector {
    sink: Arc<AnchorSink>,
    anchors: IntCounterVec,
    /// Held during a scrape: two at a time would reset each other's values.
    scraping: Mutex<()>,
}

impl AnchorsCollector {
    pub(super) fn new(sink: Arc<AnchorSink>) -> Result<Self, prometheus::Error> {
        let anchors = table::ANCHORS.counter()?;
        Ok(AnchorsCollector { sink, anchors, scraping: Mutex::default() })
    }
}

impl Collector for AnchorsCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.anchors.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _scraping = lock(&self.scraping);
        self.anchors.reset();
        for counts in self.sink.counts() {
            for (result, count) in [("kept", counts.kept), ("failed", counts.failed)] {
                self.anchors.with_label_values(&[counts.place, result]).inc_by(count);
            }
        }
        self.anchors.collect()
    }
}
