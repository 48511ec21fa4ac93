//! How fast a trail is verified, by one thread and out of memory, beside the hashing of the same
//! bytes and nothing else: `cargo bench -p audit-verify`. Trust the ratio more than the times.

// Cargo sets `test` here anyway. Clippy must see it to allow what clippy.toml allows in tests.
#![cfg(test)]
#![allow(dead_code, reason = "the tests use more of the shared modules")]

#[path = "../tests/verify/checked.rs"]
mod checked;
#[path = "../tests/verify/trail.rs"]
mod trail;
#[path = "../tests/verify/writer.rs"]
mod writer;

use std::hint::black_box;
use std::time::{Duration, Instant};

use audit_chain::Digest;
use trail::Trail;
use writer::{Fate, Writer, key};

/// Events of the trail.
const EVENTS: usize = 200_000;
/// Bytes of an event's value, about as the relay writes them.
const BYTES: usize = 1_060;
const ROUNDS: usize = 5;

fn main() {
    println!(
        "{EVENTS} events of {BYTES} bytes; the best of {ROUNDS} rounds, microseconds an event"
    );
    println!(
        "{:>24} {:>8} {:>8} {:>6} {:>12}",
        "events in a transaction", "verify", "hash", "ratio", "events/s"
    );
    for batch in [10, 100, 1_000] {
        let trail = trail(batch);
        let verify = best(|| {
            let report = checked::check(&trail);
            assert_eq!(report.exit().code(), 0, "{report}");
        });
        let hash = best(|| {
            let values = trail.outputs.values().flatten().filter_map(|it| it.value.as_deref());
            values.for_each(|value| _ = black_box(Digest::of(value)));
        });
        let each = |time: Duration| time.as_secs_f64() * 1e6 / EVENTS as f64;
        let rate = EVENTS as f64 / verify.as_secs_f64();
        let ratio = verify.as_secs_f64() / hash.as_secs_f64();
        println!("{batch:>24} {:>8.2} {:>8.2} {ratio:>6.2} {rate:>12.0}", each(verify), each(hash));
    }
}

/// A trail of one partition and two regions.
fn trail(batch: usize) -> Trail {
    let (mut trail, mut writer) = (Trail::default(), Writer::new(0, 1));
    let value = |number: usize| format!("{number:0BYTES$}").into_bytes();
    for first in (0..EVENTS).step_by(batch) {
        let fates = (first..first + batch).map(|number| {
            let region = if number % 3 == 0 { "us-east-1" } else { "eu-west-1" };
            Fate::Audited(region, value(number))
        });
        writer.write(&fates.collect::<Vec<_>>(), &[&key(1)], &mut trail);
    }
    trail
}

fn best(mut work: impl FnMut()) -> Duration {
    let round = || {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    std::iter::repeat_with(round).take(ROUNDS).min().unwrap_or_default()
}
