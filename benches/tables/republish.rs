//! Measures the memory of full snapshots that are republished without a change: `cargo bench
//! --bench tables -- republish`.

use audit_judge::reference::{
    Oddities, Principal, PrincipalKey, TableWriter, parse_principal_record,
};

const PRINCIPALS: u64 = 100_000;
const TIMES: u64 = 26;
/// One snapshot an hour, so that all lie within the history.
const APART_MS: i64 = 3_600_000;

pub fn measure() {
    let before = super::resident_bytes();
    let mut table: TableWriter<PrincipalKey, Principal> = TableWriter::with_history(super::HISTORY);
    println!("{PRINCIPALS} principals, published {TIMES} times without a change");
    for round in 1..=TIMES {
        for number in 0..PRINCIPALS {
            let (key, value) = super::principal(number, 0);
            let time = super::time(number, 0).map(|time| time + round as i64 * APART_MS);
            let change = parse_principal_record(
                key.as_bytes(),
                Some(value.as_bytes()),
                time,
                &mut Oddities::default(),
            );
            table.apply(change.expect("a valid record")).expect("room");
        }
        if [1, 7, TIMES].contains(&round) {
            let counted = table.snapshot().bytes() as f64 / 1e6;
            let resident = super::resident_bytes().saturating_sub(before) as f64 / 1e6;
            println!("  after {round:2}: {counted:6.1} MB counted, {resident:6.1} MB resident");
        }
    }
}
