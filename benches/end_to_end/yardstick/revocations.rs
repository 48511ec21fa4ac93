//! Records which partitions the group took from a consumer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};

/// Records revoked partitions.
#[derive(Default)]
pub struct Revocations {
    any: AtomicBool,
    partitions: Mutex<Vec<i32>>,
}

impl ClientContext for Revocations {
    /// The statistics are not used.
    fn stats_raw(&self, _: &[u8]) {}
}

impl ConsumerContext for Revocations {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let taken = list.elements().into_iter().map(|it| it.partition());
            self.lock().extend(taken);
            self.any.store(true, Ordering::Release);
        }
    }
}

impl Revocations {
    fn lock(&self) -> MutexGuard<'_, Vec<i32>> {
        self.partitions.lock().expect("no thread panics while it holds the lock")
    }

    /// Returns the partitions revoked since the last call.
    pub fn take(&self) -> Option<Vec<i32>> {
        let any = self.any.load(Ordering::Acquire);
        any.then(|| {
            self.any.store(false, Ordering::Release);
            std::mem::take(&mut *self.lock())
        })
    }
}
