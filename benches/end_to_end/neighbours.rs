//! Other work on the machine, made by the benchmark: threads that compute without a pause.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The loops end by themselves after this time, however long the run takes.
const LOOP_MAX: Duration = Duration::from_secs(600);
/// Steps between two looks at the clock.
const STEPS: u64 = 1_000_000;

/// Busy loops that run until this value is dropped.
pub struct BusyLoops(Arc<AtomicBool>);

impl BusyLoops {
    /// Starts this many threads, each of which keeps one core busy.
    pub fn start(count: usize) -> BusyLoops {
        let is_over = Arc::new(AtomicBool::new(false));
        for _ in 0..count {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || compute(&is_over));
        }
        BusyLoops(is_over)
    }
}

impl Drop for BusyLoops {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn compute(is_over: &AtomicBool) {
    let began = Instant::now();
    while !is_over.load(Ordering::Relaxed) && began.elapsed() < LOOP_MAX {
        black_box((0..STEPS).fold(0_u64, |sum, step| black_box(sum.wrapping_add(step))));
    }
}

/// The number of cores that the benchmark may use.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
