//! Counts allocations of judging: none for records that are skipped early, and a limited number for
//! an audit event. Does not count the client.

use allocation_counter::measure;
use audit_cases::case;
use audit_judge::fate::FateKind;

/// Allocations for a skipped record.
const SKIPPED_ALLOCATIONS: u64 = 0;
/// Maximum allocations for an audit event: its bytes, and the values of its metadata.
const AUDITED_ALLOCATIONS_MAX: u64 = 4;

#[test]
fn skipped_records_allocate_no_memory() {
    for name in ["system", "employee", "unlisted-event", "unlisted-class"] {
        assert_eq!(allocations(name, "skipped"), SKIPPED_ALLOCATIONS, "{name}");
    }
}

#[test]
fn audit_events_allocate_little_memory() {
    for name in ["power-on", "hard-reboot-by-power-cycle", "region-eu-de"] {
        let count = allocations(name, "audited");
        assert!(count <= AUDITED_ALLOCATIONS_MAX, "{name}: {count}");
    }
}

/// Counts the allocations of judging an example, after lazy initialization. Removes the example's
/// white space, which producers do not write.
fn allocations(name: &str, fate: &str) -> u64 {
    let case = case(name);
    let setup = case.setup();
    let input: serde_json::Value = serde_json::from_slice(&case.input).expect("an example is JSON");
    let input = input.to_string();
    let first: FateKind = setup.judge(Some(input.as_bytes())).kind();
    assert_eq!(first.fate(), fate, "{name}");
    measure(|| drop(setup.judge(Some(input.as_bytes())))).count_total
}
