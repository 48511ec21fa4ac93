//! What the reference tables cost: resident memory for each key, time of a look-up, of a change and of a
//! snapshot. Not a test: it prints the figures beside their goals. `cargo bench --bench tables`, or with
//! another number of keys: `cargo bench --bench tables -- 100000`. How long both tables take to be ready from a real
//! Kafka: `cargo bench --bench tables -- topics`.

#[path = "../../tests/support/mod.rs"]
mod support;
mod topics;

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audit_relay::assemble::{Assembly, assemble};
use audit_relay::config::Config;
use audit_relay::pipeline::directory::{
    Directory, Principal, PrincipalKey, RecordProblem, Table, TableChange, TableKey, TableWriter,
    packing::Packed, parse_device_record, parse_principal_record,
};
use audit_relay::pipeline::{Reference, judge};
use audit_relay::tables::SharedTables;
use jiff::{SignedDuration, Timestamp};

/// The rate at which changes must not slow judging, and the interval between snapshots by default.
const CHANGES_A_SECOND: u64 = 10_000;
const PUBLISH_INTERVAL: Duration = Duration::from_millis(20);
const CHANGES: usize = 500_000;
const CHANGES_AT_ONCE: usize = 200;
const LOOK_UPS: usize = 200_000;
const GOAL_BYTES: f64 = 200.0;
const GOAL_LOOK_UP_NANOSECONDS: f64 = 200.0;
const HISTORY: SignedDuration = SignedDuration::from_hours(168);
/// When the tables begin, and how far apart the changes are: a million span some hours of the history.
const START_MS: i64 = 1_700_000_000_000;
const STEP_MS: i64 = 10;
/// Of every so many keys one has changed twice more within the history.
const CHANGED_ONE_IN: u64 = 10;

type Parsed<K, V> = Result<TableChange<K, V>, RecordProblem>;

fn main() {
    let keys = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let keys: u64 = keys.unwrap_or(1_000_000);
    if std::env::args().any(|word| word == "topics") {
        return topics::measure(keys);
    }
    println!("{keys} keys each, one in {CHANGED_ONE_IN} with three versions, the others with one");
    // Both stay, so that neither takes the memory that the other has left.
    let principals = measure("principals", keys, |number, round| {
        let (key, value) = principal(number, round);
        parse_principal_record(key.as_bytes(), Some(value.as_bytes()), time(number, round))
    });
    let _devices = measure("devices", keys, |number, round| {
        let (key, value) = device(number, round);
        parse_device_record(key.as_bytes(), Some(value.as_bytes()), time(number, round))
    });
    judging(principals, keys);
    yardstick(keys);
}

/// What a look-up costs without any table of ours, and what waiting for memory once does.
fn yardstick(keys: u64) {
    let key = |number: u64| format!("{}/{}", 300_000 + number / 40, 6_000_000 + number);
    let map: HashMap<String, Box<[u8]>> = (0..keys)
        .map(|number| (key(number), vec![1; 80].into_boxed_slice()))
        .collect();
    let wanted: Vec<String> = scattered(keys).take(LOOK_UPS).map(key).collect();
    println!("a plain HashMap of as many keys");
    print_look_ups(&wanted, None, |key| {
        map.get(key).map_or(0, |it| usize::from(it[40]))
    });
    let memory = vec![1_u8; keys as usize * 110];
    let wanted: Vec<usize> = scattered(memory.len() as u64)
        .take(LOOK_UPS)
        .map(|place| place as usize)
        .collect();
    println!("one byte in as much memory as the principals take");
    print_look_ups(&wanted, None, |place| usize::from(memory[*place]));
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
) -> TableWriter<K, V> {
    let before = resident_bytes();
    let begun = Instant::now();
    let mut table: TableWriter<K, V> = TableWriter::with_history(HISTORY);
    let mut records = 0;
    for number in 0..keys {
        for round in 0..rounds(number) {
            let change = parse(number, round).expect("a good record");
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
    println!(
        "  resident bytes a key      {:8.1}    goal {GOAL_BYTES}",
        resident()
    );
    look_up(&snapshot, keys, &parse);
    drop(snapshot);
    change(&mut table, keys, &parse);
    println!(
        "  resident bytes a key then {:8.1}    goal {GOAL_BYTES}",
        resident()
    );
    table
}

/// How many versions a key has.
fn rounds(number: u64) -> u64 {
    if number.is_multiple_of(CHANGED_ONE_IN) {
        3
    } else {
        1
    }
}

/// In an order that no cache foresees.
fn scattered(keys: u64) -> impl Iterator<Item = u64> {
    let mut state = 88_172_645_463_325_252_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % keys
    })
}

fn look_up<K: TableKey, V: Packed>(
    table: &Table<K, V>,
    keys: u64,
    parse: &impl Fn(u64, u64) -> Parsed<K, V>,
) {
    let wanted: Vec<K> = scattered(keys)
        .take(LOOK_UPS)
        .map(|number| parse(number, 0).expect("a good record").key)
        .collect();
    let moment = Timestamp::from_millisecond(START_MS + keys as i64 * STEP_MS).expect("in range");
    let found = |key: &K| usize::from(table.as_of(key, moment).is_some());
    print_look_ups(&wanted, Some(GOAL_LOOK_UP_NANOSECONDS), found);
    let few = wanted[..1_000].iter().cycle().take(wanted.len());
    let few: Vec<&K> = few.collect();
    let hot = best_nanoseconds(&few, |key, _| found(key));
    println!("  look-up, of 1,000 keys    {hot:8.1} ns");
}

/// Look-ups of any key: one after the other, so that the machine begins the next while the last still waits for
/// memory; and each only when the last is done, as where a record is judged in between.
fn print_look_ups<K>(wanted: &[K], goal: Option<f64>, found: impl Fn(&K) -> usize) {
    let goal = goal.map_or(String::new(), |goal| format!(" goal {goal}"));
    let any = best_nanoseconds(wanted, |key, _| found(key));
    println!("  look-up, any key          {any:8.1} ns{goal}");
    let one = best_nanoseconds(wanted, |_, next| found(&wanted[next]));
    println!("  look-up, any key, alone   {one:8.1} ns");
}

/// Time of a look-up in the best quarter of many short rounds: what others do on the machine is not ours. No round
/// repeats the keys of another, unless there are few. Each look-up is told the next position, which depends on
/// what the one before it found.
fn best_nanoseconds<K>(keys: &[K], found: impl Fn(&K, usize) -> usize) -> f64 {
    const ROUND: usize = 1_000;
    let round = |(number, keys): (usize, &[K])| {
        let mut next = number * ROUND;
        let begun = Instant::now();
        for key in keys {
            next += black_box(found(key, next));
        }
        let elapsed = begun.elapsed();
        assert_eq!(next, number * ROUND + keys.len(), "all are found");
        elapsed.as_nanos() as f64 / keys.len() as f64
    };
    let mut rounds: Vec<f64> = keys.chunks(ROUND).enumerate().map(round).collect();
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 4]
}

/// As a follower does: 200 changes, then a snapshot.
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
        let changes: Vec<_> = numbers
            .map(|number| parse(number, 5).expect("a good record"))
            .collect();
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

/// Judging while the table is left alone, and while it is changed and published at the goal's rate: rounds
/// in turn, so that what others do on the machine meets both.
fn judging(principals: TableWriter<PrincipalKey, Principal>, keys: u64) {
    let assembly = assembly();
    let directory = Directory {
        principals: principals.snapshot(),
        devices: None,
    };
    let tables = SharedTables::new(directory, &[], Duration::from_secs(60));
    let records: Vec<String> = scattered(keys).take(20_000).map(record).collect();
    let changing = AtomicBool::new(false);
    let over = AtomicBool::new(false);
    let (mut alone, mut changed) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| follow(principals, keys, &tables, &changing, &over));
        for turn in 0..60 {
            let is_changing = turn % 2 == 1;
            changing.store(is_changing, Ordering::Release);
            let each = judge_all(&assembly, &tables, &records);
            if is_changing {
                &mut changed
            } else {
                &mut alone
            }
            .push(each);
        }
        over.store(true, Ordering::Release);
    });
    let median = |rounds: &mut Vec<f64>| {
        rounds.sort_by(f64::total_cmp);
        rounds[rounds.len() / 2]
    };
    let (alone, changed) = (median(&mut alone), median(&mut changed));
    println!("judging an audited record, its principal any key");
    println!("  table left alone          {alone:8.1} ns");
    println!("  {CHANGES_A_SECOND} changes a second    {changed:8.1} ns");
    println!(
        "  ratio                     {:8.3}    goal 1.05",
        changed / alone
    );
}

fn assembly() -> Assembly {
    let text = "[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:1\"\n[principals]\ntopic = \"none\"\n";
    let config = Config::from_toml(text, std::iter::empty()).expect("configuration");
    assemble(&config).expect("assembles")
}

fn record(number: u64) -> String {
    let (account, user) = (300_000 + number / 40, 6_000_000 + number);
    format!(
        r#"{{"accountId":{account},"eventCreateDate":"2026-01-01T00:00:00.123456-06:00","eventName":"Power On","ipAddress":"192.0.2.10","label":"web01.example.com","metaData":"","objectId":1234567,"objectName":"Server","resource":{{}},"traceId":"59e767e9c2184","userId":{user},"userType":"CUSTOMER","username":"user","datacenter":"dal10"}}"#
    )
}

fn judge_all(assembly: &Assembly, tables: &SharedTables, records: &[String]) -> f64 {
    let begun = Instant::now();
    for record in records {
        let reference = Reference {
            rules: &assembly.rules,
            directory: &tables.borrow(),
        };
        black_box(judge(Some(record.as_bytes()), reference));
    }
    begun.elapsed().as_nanos() as f64 / records.len() as f64
}

/// A follower without a topic: while it is told to, it changes keys at the goal's rate and publishes as often
/// as a follower does.
fn follow(
    mut table: TableWriter<PrincipalKey, Principal>,
    keys: u64,
    tables: &SharedTables,
    changing: &AtomicBool,
    over: &AtomicBool,
) {
    let mut numbers = scattered(keys);
    while !over.load(Ordering::Acquire) {
        let next = Instant::now() + PUBLISH_INTERVAL;
        if changing.load(Ordering::Acquire) {
            let changes = CHANGES_A_SECOND * PUBLISH_INTERVAL.as_millis() as u64 / 1_000;
            for number in numbers.by_ref().take(changes as usize) {
                let (key, value) = principal(number, 6);
                let time = time(keys + number, 0);
                let change = parse_principal_record(key.as_bytes(), Some(value.as_bytes()), time);
                table.apply(change.expect("a good record")).expect("room");
            }
            tables.publish(|directory| directory.principals = table.snapshot());
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// Resident memory of this process.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split_whitespace().nth(1).expect("resident pages");
    pages.parse::<u64>().expect("a number") * 4096
}
