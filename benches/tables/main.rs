//! Measures the reference tables: resident memory per key, and the time of a look-up, a change and
//! a snapshot. Not a test: it prints the figures beside their goals. `cargo bench --bench tables`,
//! or with another number of keys: `cargo bench --bench tables -- 100000`. Time until both tables
//! are ready from a real Kafka: `cargo bench --bench tables -- topics`. Cost of unchanged
//! snapshots: `-- republish`.

// Cargo sets `test` here anyway. Clippy must see it to apply the test exceptions of clippy.toml.
#![cfg(test)]
#![allow(unreachable_pub, reason = "a program exports nothing")]

mod judging;
mod republish;
mod topics;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use audit_judge::reference::packing::Packed;
use audit_judge::reference::{
    DeviceView, Oddities, PrincipalView, RecordProblem, Table, TableChange, TableKey, TableWriter,
    parse_device_record, parse_principal_record,
};
use audit_testkit::random::Random;
use jiff::{SignedDuration, Timestamp};

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_audit-relay");
const CHANGES: usize = 500_000;
const CHANGES_AT_ONCE: usize = 200;
const LOOK_UPS: usize = 200_000;
const GOAL_BYTES: f64 = 200.0;
const GOAL_LOOK_UP_NANOSECONDS: f64 = 200.0;
const HISTORY: SignedDuration = SignedDuration::from_hours(168);
/// The time of the first change, and the distance between changes: a million span a few hours of
/// the history.
const START_MS: i64 = 1_700_000_000_000;
const STEP_MS: i64 = 10;
/// One key in this many has two further changes within the history.
const CHANGED_ONE_IN: u64 = 10;

type Parsed<K, V> = Result<TableChange<K, V>, RecordProblem>;

fn main() {
    let keys = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let keys: u64 = keys.unwrap_or(1_000_000);
    if std::env::args().any(|word| word == "topics") {
        return topics::measure(keys);
    }
    if std::env::args().any(|word| word == "republish") {
        return republish::measure();
    }
    println!("{keys} keys each, one in {CHANGED_ONE_IN} with three versions, the others with one");
    // Keep both tables alive: neither reuses memory that the other has freed.
    let parse = |number, round| {
        let (key, value) = principal(number, round);
        let odd = &mut Oddities::default();
        parse_principal_record(key.as_bytes(), Some(value.as_bytes()), time(number, round), odd)
    };
    let read = |principal: PrincipalView<'_>| usize::from(principal.linked);
    let principals = measure("principals", keys, parse, read);
    let parse = |number, round| {
        let (key, value) = device(number, round);
        let odd = &mut Oddities::default();
        parse_device_record(key.as_bytes(), Some(value.as_bytes()), time(number, round), odd)
    };
    let read =
        |device: DeviceView<'_>| device.name.map_or(0, |it| usize::from(it.as_bytes()[0] / b'w'));
    let _devices = measure("devices", keys, parse, read);
    judging::measure(principals, keys);
    yardstick(keys);
}

/// Measures a look-up in a plain `HashMap`, and one wait for memory.
fn yardstick(keys: u64) {
    let key = |number: u64| format!("{}/{}", 300_000 + number / 40, 6_000_000 + number);
    let map: HashMap<String, Box<[u8]>> =
        (0..keys).map(|number| (key(number), vec![1; 80].into_boxed_slice())).collect();
    let wanted: Vec<String> = scattered(keys).take(LOOK_UPS).map(key).collect();
    println!("a plain HashMap of as many keys");
    print_look_ups(&wanted, |key| map.get(key).map_or(0, |it| usize::from(it[40])));
    let memory = vec![1_u8; keys as usize * 110];
    let wanted: Vec<usize> =
        scattered(memory.len() as u64).take(LOOK_UPS).map(|place| place as usize).collect();
    println!("one byte in as much memory as the principals take");
    print_look_ups(&wanted, |place| usize::from(memory[*place]));
}

fn time(number: u64, round: u64) -> Option<i64> {
    Some(START_MS + (number + round) as i64 * STEP_MS)
}

fn principal(number: u64, round: u64) -> (String, String) {
    let (account, user) = (300_000 + number / 40, 6_000_000 + number);
    let permissions = r#"["HARDWARE_VIEW","REMOTE_MANAGEMENT","SERVER_RELOAD","PORT_CONTROL"]"#;
    let value = format!(
        r#"{{"accountId":{account},"userId":{user},"iamId":"IBMid-{number:010}","name":"firstname.lastname{number}@example.com","kind":"user","linked":true,"infrastructureAccess":{},"permissions":{permissions}}}"#,
        round.is_multiple_of(2)
    );
    (format!("{account}/{user}"), value)
}

fn device(number: u64, round: u64) -> (String, String) {
    let (account, id) = (300_000 + number / 40, 1_000_000 + number);
    let value = format!(
        r#"{{"deviceId":{id},"accountId":{account},"name":"web{number}-{round}.customer.example.com","datacenter":"dal{:02}"}}"#,
        number % 14
    );
    (id.to_string(), value)
}

fn measure<K: TableKey, V: Packed>(
    name: &str,
    keys: u64,
    parse: impl Fn(u64, u64) -> Parsed<K, V>,
    read: impl Fn(V::View<'_>) -> usize,
) -> TableWriter<K, V> {
    let before = resident_bytes();
    let begun = Instant::now();
    let mut table: TableWriter<K, V> = TableWriter::with_history(HISTORY);
    let mut records = 0;
    for number in 0..keys {
        for round in 0..rounds(number) {
            let change = parse(number, round).expect("a valid record");
            table.apply(change).expect("room");
            records += 1;
        }
    }
    let loading = begun.elapsed().as_secs_f64();
    println!("{name}");
    println!("  {records} records      {loading:8.2} s  made, parsed and applied");
    let snapshot = table.snapshot();
    let counted = snapshot.bytes() as f64 / snapshot.len() as f64;
    let resident = || resident_bytes().saturating_sub(before) as f64 / keys as f64;
    println!("  counted bytes a key       {counted:8.1}");
    println!("  resident bytes a key      {:8.1}    goal {GOAL_BYTES}", resident());
    look_up(&snapshot, keys, &parse, read);
    drop(snapshot);
    change(&mut table, keys, &parse);
    println!("  resident bytes a key then {:8.1}    goal {GOAL_BYTES}", resident());
    table
}

/// The number of versions of a key.
fn rounds(number: u64) -> u64 {
    if number.is_multiple_of(CHANGED_ONE_IN) { 3 } else { 1 }
}

/// Returns keys in an order that defeats caches.
fn scattered(keys: u64) -> impl Iterator<Item = u64> {
    let random = Random::new(1);
    std::iter::repeat_with(move || random.below(keys))
}

fn look_up<K: TableKey, V: Packed>(
    table: &Table<K, V>,
    keys: u64,
    parse: &impl Fn(u64, u64) -> Parsed<K, V>,
    read: impl Fn(V::View<'_>) -> usize,
) {
    let wanted: Vec<K> = scattered(keys)
        .take(LOOK_UPS)
        .map(|number| parse(number, 0).expect("a valid record").key)
        .collect();
    let moment = Timestamp::from_millisecond(START_MS + keys as i64 * STEP_MS).expect("in range");
    let versions = |key: &K| usize::from(table.versions(key).is_some());
    let any = best_nanoseconds(&wanted, |key, _| versions(key));
    println!("  look-up, any key          {any:8.1} ns goal {GOAL_LOOK_UP_NANOSECONDS}");
    let found = |key: &K| table.as_of(key, moment).map_or(0, &read);
    println!(" and read as of a time");
    print_look_ups(&wanted, found);
    let few = wanted[..1_000].iter().cycle().take(wanted.len());
    let few: Vec<&K> = few.collect();
    let hot = best_nanoseconds(&few, |key, _| found(key));
    println!("  look-up, of 1,000 keys    {hot:8.1} ns");
}

/// Measures look-ups of any key in two ways. Independent look-ups overlap: the processor begins the
/// next while the last still waits for memory. Dependent look-ups do not, as when a record is
/// judged in between.
fn print_look_ups<K>(wanted: &[K], found: impl Fn(&K) -> usize) {
    let any = best_nanoseconds(wanted, |key, _| found(key));
    println!("  look-up, any key          {any:8.1} ns");
    let one = best_nanoseconds(wanted, |_, next| found(&wanted[next]));
    println!("  look-up, any key, alone   {one:8.1} ns");
}

/// Returns the time of a look-up as the first quartile of many short rounds, to exclude other load
/// on the machine. No round repeats the keys of another, unless there are few keys. Each look-up
/// gets a position that depends on the result of the one before.
fn best_nanoseconds<K>(keys: &[K], found: impl Fn(&K, usize) -> usize) -> f64 {
    const ROUND: usize = 1_000;
    let round = |(number, keys): (usize, &[K])| {
        let mut next = number * ROUND;
        let begun = Instant::now();
        for key in keys {
            next += black_box(found(key, next));
        }
        let elapsed = begun.elapsed();
        assert_eq!(next, number * ROUND + keys.len(), "every key is found");
        elapsed.as_nanos() as f64 / keys.len() as f64
    };
    let mut rounds: Vec<f64> = keys.chunks(ROUND).enumerate().map(round).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 4]
}

/// Applies changes as a follower does: 200 changes, then a snapshot.
fn change<K: TableKey, V: Packed>(
    table: &mut TableWriter<K, V>,
    keys: u64,
    parse: &impl Fn(u64, u64) -> Parsed<K, V>,
) {
    let mut numbers = scattered(keys);
    let mut spent = Duration::ZERO;
    let mut snapshot = table.snapshot();
    for _ in 0..CHANGES / CHANGES_AT_ONCE {
        let numbers = numbers.by_ref().take(CHANGES_AT_ONCE);
        let changes: Vec<_> =
            numbers.map(|number| parse(number, 5).expect("a valid record")).collect();
        let begun = Instant::now();
        for change in changes {
            table.apply(change).expect("room");
        }
        snapshot = table.snapshot();
        spent += begun.elapsed();
    }
    let each = spent.as_nanos() as f64 / CHANGES as f64 / 1_000.0;
    drop(snapshot);
    println!("  change, a snapshot each 200 {each:6.2} us");
}

/// Resident memory of this process.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split_whitespace().nth(1).expect("resident pages");
    pages.parse::<u64>().expect("a number") * 4096
}
