//! Measures judging with an unchanged principals table, and with one that changes and is published
//! at the rate of the goal.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audit_judge::judge;
use audit_judge::reference::{
    Oddities, Principal, PrincipalKey, ReferenceTables, TableWriter, parse_principal_record,
};
use audit_relay::config::Config;
use audit_relay::deployment::Deployment;
use audit_relay::tables::TableStore;

use crate::{principal, scattered, time};

/// The rate at which changes must not slow down judging, and the default interval between
/// snapshots.
const CHANGES_A_SECOND: u64 = 10_000;
const PUBLISH_INTERVAL: Duration = Duration::from_millis(20);

/// Measures both cases in alternating rounds, so that other load on the machine affects both.
pub fn measure(principals: TableWriter<PrincipalKey, Principal>, keys: u64) {
    let deployment = deployment();
    let reference = ReferenceTables { principals: principals.snapshot(), devices: None };
    let tables = TableStore::new(reference, &[], Duration::from_secs(60));
    let records: Vec<String> = scattered(keys).take(20_000).map(record).collect();
    let changing = AtomicBool::new(false);
    let over = AtomicBool::new(false);
    let (mut alone, mut changed) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| follow(principals, keys, &tables, &changing, &over));
        for turn in 0..60 {
            let is_changing = turn % 2 == 1;
            changing.store(is_changing, Ordering::Release);
            let each = judge_all(&deployment, &tables, &records);
            if is_changing { &mut changed } else { &mut alone }.push(each);
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
    println!("  ratio                     {:8.3}    goal 1.05", changed / alone);
}

fn deployment() -> Deployment {
    let text = "[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:1\"\n[principals]\ntopic = \"none\"\n";
    let config = Config::from_toml(text, std::iter::empty()).expect("configuration");
    Deployment::load(&config).expect("loads")
}

fn record(number: u64) -> String {
    let (account, user) = (300_000 + number / 40, 6_000_000 + number);
    format!(
        r#"{{"accountId":{account},"eventCreateDate":"2026-01-01T00:00:00.123456-06:00","eventName":"Power On","ipAddress":"192.0.2.10","label":"web01.example.com","metaData":"","objectId":1234567,"objectName":"Server","resource":{{}},"traceId":"59e767e9c2184","userId":{user},"userType":"CUSTOMER","username":"user","datacenter":"dal10"}}"#
    )
}

fn judge_all(deployment: &Deployment, tables: &TableStore, records: &[String]) -> f64 {
    let begun = processor_nanoseconds();
    for record in records {
        black_box(judge(Some(record.as_bytes()), &deployment.rules, || tables.borrow()));
    }
    (processor_nanoseconds() - begun) / records.len() as f64
}

/// This thread's CPU time. Load that competes for the processor does not count; load that slows the
/// memory does.
fn processor_nanoseconds() -> f64 {
    // The kernel updates the figure when it schedules.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = text.split_whitespace().next().expect("a figure");
    first.parse().expect("a number")
}

/// A follower without a topic. While `changing` is set, it changes keys at the goal's rate and
/// publishes as often as a follower does.
fn follow(
    mut table: TableWriter<PrincipalKey, Principal>,
    keys: u64,
    tables: &TableStore,
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
                let change = parse_principal_record(
                    key.as_bytes(),
                    Some(value.as_bytes()),
                    time,
                    &mut Oddities::default(),
                );
                table.apply(change.expect("a valid record")).expect("room");
            }
            tables.publish(|reference| reference.principals = table.snapshot());
        }
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}
