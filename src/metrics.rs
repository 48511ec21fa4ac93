use crate::health::Health;
use crate::pipeline::fate::FateKind;
use crate::stream::worker::{Notice, Observer};
use std::sync::{Arc, Mutex};
#[derive(Default)]
pub struct Metrics {
    c: Mutex<[u64; FateKind::COUNT]>,
}
pub struct Totals {
    pub read: u64,
    pub audited: u64,
    pub skipped: u64,
    pub quarantined: u64,
}
impl Metrics {
    pub fn new(_: &[String], _: &str) -> anyhow::Result<Arc<Metrics>> {
        Ok(Arc::new(Metrics::default()))
    }
    pub fn set_table_entries(&self, _: &str, _: usize) {}
    pub fn fate_total(&self, k: FateKind) -> u64 {
        self.c.lock().unwrap()[k.index()]
    }
    pub fn totals(&self) -> Totals {
        let mut t = Totals {
            read: 0,
            audited: 0,
            skipped: 0,
            quarantined: 0,
        };
        for k in FateKind::all() {
            let n = self.fate_total(k);
            t.read += n;
            match k {
                FateKind::Audited => t.audited += n,
                FateKind::Skipped(_) => t.skipped += n,
                FateKind::Quarantined(_) => t.quarantined += n,
            }
        }
        t
    }
}
pub struct WorkerObserver(usize, Arc<Metrics>);
impl WorkerObserver {
    pub fn new(n: usize, m: Arc<Metrics>, _: Arc<Health>) -> Self {
        WorkerObserver(n, m)
    }
}
impl Observer for WorkerObserver {
    fn notice(&mut self, n: Notice<'_>) {
        match n {
            Notice::Committed(b, _) => {
                let mut c = self.1.c.lock().unwrap();
                for t in b.partitions().values() {
                    for i in 0..FateKind::COUNT {
                        c[i] += t.fates[i]
                    }
                }
            }
            other => tracing::warn!("{} {:?}", self.0, other),
        }
    }
}
