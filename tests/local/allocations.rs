//! How often judging asks for memory: never for what is skipped at a glance, and a stated number of
//! times for an audit event. What the client does is not counted here.

use allocation_counter::measure;
use audit_judge::judge;
use audit_relay::deployment::Assembly;

use crate::golden::cases;

/// Of a skipped record: none.
const SKIPPED: u64 = 0;
/// Of an audit event at most: its bytes, and what its metadata holds.
const AUDITED: u64 = 4;

#[test]
fn what_is_skipped_asks_for_no_memory() {
    for name in ["system", "employee", "unlisted-event", "unlisted-class"] {
        assert_eq!(allocations(name, "skipped"), SKIPPED, "{name}");
    }
}

#[test]
fn an_audit_event_asks_for_little_memory() {
    for name in ["power-on", "hard-reboot-by-power-cycle", "region-eu-de"] {
        let asked = allocations(name, "audited");
        assert!(asked <= AUDITED, "{name}: {asked}");
    }
}

/// How often memory is asked for while an example is judged, once whatever is made lazily has been
/// made. The examples are laid out for people; producers write them without white space.
fn allocations(name: &str, fate: &str) -> u64 {
    let case = cases().into_iter().find(|case| case.name == name);
    let case = case.expect(name);
    let Assembly { rules, directory, .. } = &case.assembly();
    let input: serde_json::Value = serde_json::from_slice(&case.input).expect("an example is JSON");
    let input = input.to_string();
    let judged = || judge(Some(input.as_bytes()), rules, || directory);
    assert_eq!(judged().kind().fate(), fate, "{name}");
    measure(|| drop(judged())).count_total
}
