//! Hashing an event asks for no memory: it is done for each one.

use allocation_counter::measure;
use audit_chain::hash::leaf::{Event, leaf};
use audit_chain::hash::step;
use audit_chain::{Digest, Number};

#[test]
fn an_event_is_hashed_without_memory() {
    let source = "9223372036854775807.9223372036854775807".parse().expect("a source");
    let (key, value) = (Some(&b"account"[..]), Some(&[7; 1_024][..]));
    let event = Event { source, timestamp_ms: 1_795_331_703_120, key, value };
    let headers = [(&b"type"[..], Some(&b"x"[..])), (b"region", None)];
    let mut head = Digest::of(b"genesis");
    let counted = measure(|| {
        if let Ok(leaf) = leaf(&event, headers.iter().copied()) {
            head = step(Number::MAX, &head, &leaf);
        }
    });
    assert_eq!(counted.count_total, 0);
    assert_ne!(head, Digest::of(b"genesis"));
}
