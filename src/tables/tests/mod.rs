//! The barrier, with threads in place of followers: which callers share a request, which do not,
//! and what timeouts report.

mod catch_up;
mod changed_topic;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use audit_judge::reference::{Table, read_devices, read_principals};

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_secs(3_600);
const PRINCIPALS: TableName = TableName::Principals;

fn tables(followed: &[TableName]) -> Arc<TableStore> {
    Arc::new(TableStore::new(ReferenceTables::default(), followed, LONG))
}

fn at(offset: i64) -> TableOffsets {
    TableOffsets::from([(0, offset)])
}

/// Waits until a request is wanted, and begins it.
fn begin(tables: &TableStore) -> EndOffsetsRequest {
    let request = tables.await_request(PRINCIPALS, NEVER, LONG);
    request.expect("a request")
}

/// Returns tables whose only topic was read to its end, 10.
fn loaded() -> Arc<TableStore> {
    let tables = tables(&[PRINCIPALS]);
    let first = begin(&tables);
    tables.answer(PRINCIPALS, first, Ok(at(10)));
    tables.reached(PRINCIPALS, Reading::default(), &at(10));
    assert_eq!(tables.ready(), Ok(()));
    tables
}

fn catch_up(tables: &Arc<TableStore>, limit: Duration) -> thread::JoinHandle<Result<(), String>> {
    let tables = Arc::clone(tables);
    thread::spawn(move || tables.catch_up(limit))
}

/// Waits until this many threads wait.
fn await_waiting(tables: &TableStore, count: usize) {
    let since = Instant::now();
    while !tables.lock().followed[&PRINCIPALS].has_waiting(count) {
        assert!(since.elapsed() < LONG, "too few threads wait");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn tables_from_files_are_always_caught_up() {
    let tables = tables(&[]);
    assert_eq!(tables.catch_up(Duration::ZERO), Ok(()));
    assert_eq!(tables.trusted(), Ok(()));
    assert_eq!(tables.ready(), Ok(()));
}

#[test]
fn a_table_is_ready_when_it_has_reached_the_first_ends() {
    let tables = tables(&[PRINCIPALS]);
    let why = tables.ready().expect_err("nothing was read");
    assert_eq!(why, "principals: its topic is being read");
    let first = begin(&tables);
    tables.reached(PRINCIPALS, Reading::default(), &at(3));
    tables.answer(PRINCIPALS, first, Ok(at(10)));
    assert!(tables.ready().is_err() && tables.trusted().is_err());
    assert!(tables.target(PRINCIPALS).is_some_and(|target| target.urgent));
    tables.reached(PRINCIPALS, Reading::default(), &at(10));
    assert_eq!((tables.ready(), tables.trusted()), (Ok(()), Ok(())));
    assert!(tables.target(PRINCIPALS).is_none());
    assert!(tables.views()[0].load.is_some());
}

#[test]
fn an_empty_topic_is_ready_once_its_follower_reports_it() {
    let tables = tables(&[PRINCIPALS]);
    let first = begin(&tables);
    tables.answer(PRINCIPALS, first, Ok(at(0)));
    assert!(tables.ready().is_err() && tables.target(PRINCIPALS).is_some());
    tables.reached(PRINCIPALS, Reading::default(), &TableOffsets::new());
    assert_eq!(tables.ready(), Ok(()));
}

#[test]
fn callers_before_a_request_begins_share_it() {
    let tables = loaded();
    let waiting: Vec<_> = (0..8).map(|_| catch_up(&tables, LONG)).collect();
    await_waiting(&tables, 8);
    let request = begin(&tables);
    tables.answer(PRINCIPALS, request, Ok(at(12)));
    tables.reached(PRINCIPALS, Reading::default(), &at(12));
    for waiting in waiting {
        assert_eq!(waiting.join().expect("no panic"), Ok(()));
    }
    assert_eq!(tables.await_request(PRINCIPALS, NEVER, SHORT), None);
}

#[test]
fn a_request_that_began_before_the_call_does_not_count() {
    let tables = loaded();
    let first = catch_up(&tables, LONG);
    await_waiting(&tables, 1);
    let early = begin(&tables);
    // Calls while the request is under way, which may have read the end offset already.
    let second = catch_up(&tables, LONG);
    await_waiting(&tables, 2);
    tables.answer(PRINCIPALS, early, Ok(at(10)));
    assert_eq!(first.join().expect("no panic"), Ok(()));
    thread::sleep(SHORT);
    assert!(!second.is_finished());
    let late = begin(&tables);
    tables.answer(PRINCIPALS, late, Ok(at(11)));
    thread::sleep(SHORT);
    assert!(!second.is_finished(), "the snapshot is behind the end");
    assert!(tables.target(PRINCIPALS).is_some_and(|target| target.urgent));
    tables.reached(PRINCIPALS, Reading::default(), &at(11));
    assert_eq!(second.join().expect("no panic"), Ok(()));
}

#[test]
fn a_failed_request_is_repeated() {
    let tables = loaded();
    let waiting = catch_up(&tables, LONG);
    await_waiting(&tables, 1);
    let request = begin(&tables);
    tables.answer(PRINCIPALS, request, Err("no broker".to_string()));
    let again = begin(&tables);
    tables.answer(PRINCIPALS, again, Ok(at(10)));
    assert_eq!(waiting.join().expect("no panic"), Ok(()));
}

#[test]
fn a_timeout_names_what_was_waited_for() {
    let tables = loaded();
    let waiting = catch_up(&tables, SHORT);
    let request = begin(&tables);
    tables.answer(PRINCIPALS, request, Err("no broker".to_string()));
    let why = waiting.join().expect("no panic").expect_err("no answer");
    assert_eq!(why, "principals: the ends of its topic are not known (no broker) after 50ms");
    let waiting = catch_up(&tables, SHORT);
    await_waiting(&tables, 1);
    let request = begin(&tables);
    tables.answer(PRINCIPALS, request, Ok(at(12)));
    let why = waiting.join().expect("no panic").expect_err("behind");
    assert_eq!(why, "principals: partition 0 is read up to 10, its end was 12 after 50ms");
    assert!(tables.target(PRINCIPALS).is_some_and(|target| !target.urgent));
}

#[test]
fn every_table_is_waited_for() {
    let both = [TableName::Principals, TableName::Devices];
    let tables = tables(&both);
    let answer = |table, end| {
        let request = tables.await_request(table, NEVER, LONG).expect("a request");
        tables.answer(table, request, Ok(at(end)));
        tables.reached(table, Reading::default(), &at(end));
    };
    for table in both {
        answer(table, 0);
    }
    let waiting = catch_up(&tables, LONG);
    answer(TableName::Principals, 0);
    thread::sleep(SHORT);
    assert!(!waiting.is_finished());
    answer(TableName::Devices, 0);
    assert_eq!(waiting.join().expect("no panic"), Ok(()));
}

#[test]
fn a_table_is_not_trusted_forever() {
    let tables = TableStore::new(ReferenceTables::default(), &[PRINCIPALS], SHORT);
    let first = begin(&tables);
    tables.answer(PRINCIPALS, first, Ok(at(0)));
    tables.reached(PRINCIPALS, Reading::default(), &at(0));
    assert_eq!(tables.trusted(), Ok(()));
    thread::sleep(SHORT * 2);
    tables.trouble(PRINCIPALS, "no broker".to_string());
    let why = tables.trusted().expect_err("stale");
    assert!(why.starts_with("principals: not known to be complete for 0 s"));
    assert!(why.ends_with("no broker"), "{why}");
    // The heartbeat is due, and makes the table trusted again.
    let heartbeat = tables.await_request(PRINCIPALS, SHORT, Duration::ZERO);
    tables.answer(PRINCIPALS, heartbeat.expect("due"), Ok(at(0)));
    assert_eq!(tables.trusted(), Ok(()));
}

#[test]
fn the_reason_why_a_follower_ended_is_shown_despite_successful_requests() {
    let tables = loaded();
    tables.ended(PRINCIPALS, "the table is full".to_string());
    let waiting = catch_up(&tables, SHORT);
    let request = begin(&tables);
    tables.answer(PRINCIPALS, request, Ok(at(1_000_000)));
    let why = waiting.join().expect("no panic").expect_err("not reached");
    assert!(why.contains("the table is full"), "{why}");
}

#[test]
fn the_end_of_the_process_ends_all_waits() {
    let tables = loaded();
    let waiting = catch_up(&tables, LONG);
    await_waiting(&tables, 1);
    tables.close();
    let why = waiting.join().expect("no panic");
    assert_eq!(why, Err("the process is ending".to_string()));
    assert_eq!(tables.await_request(PRINCIPALS, NEVER, LONG), None);
}

/// Each publisher changes its own table, and no other publication may undo that.
#[test]
fn publishers_keep_each_others_tables() {
    let tables = Arc::new(TableStore::new(ReferenceTables::default(), &[], LONG));
    let held = tables.load();
    let begin = Arc::new(Barrier::new(2));
    let publish = |set: fn(&mut ReferenceTables, usize), len: fn(&ReferenceTables) -> usize| {
        let (tables, begin) = (Arc::clone(&tables), Arc::clone(&begin));
        thread::spawn(move || {
            begin.wait();
            for turn in 0..2_000 {
                let keys = 1 + turn % 5;
                tables.publish(|reference| set(reference, keys));
                // Lets the other publisher run.
                thread::yield_now();
                assert_eq!(len(&tables.load()), keys, "turn {turn}");
            }
        })
    };
    let devices = publish(
        |reference, keys| {
            let lines = lines(keys, r#""deviceId":"#);
            reference.devices = Some(read_devices("d", &lines).expect("devices"));
        },
        |reference| reference.devices.as_ref().map_or(0, Table::len),
    );
    let principals = publish(
        |reference, keys| {
            let lines = lines(keys, r#""accountId":1,"userId":"#);
            reference.principals = read_principals("p", &lines).expect("principals");
        },
        |reference| reference.principals.len(),
    );
    devices.join().expect("nothing was undone");
    principals.join().expect("nothing was undone");
    assert!(held.devices.is_none(), "a snapshot never changes");
}

/// Returns the lines of a table with this many keys.
fn lines(keys: usize, key: &str) -> String {
    let line = |id| format!("{{{key}{id},\"validFrom\":\"2018-01-01T00:00:00Z\"}}\n");
    (0..keys).map(line).collect()
}

/// The topic is only a number that writers increase. A thread that passes the barrier must see what
/// was written before, however the threads interleave.
#[test]
fn no_thread_passes_the_barrier_before_it_sees_earlier_writes() {
    let tables = loaded();
    let end = Arc::new(AtomicUsize::new(10));
    let published = Arc::new(AtomicUsize::new(10));
    let follower = {
        let (tables, end, published) =
            (Arc::clone(&tables), Arc::clone(&end), Arc::clone(&published));
        thread::spawn(move || {
            while let Some(request) = tables.await_request(PRINCIPALS, NEVER, LONG) {
                let ends = end.load(Ordering::SeqCst);
                tables.answer(PRINCIPALS, request, Ok(at(ends as i64)));
                published.store(ends, Ordering::SeqCst);
                tables.reached(PRINCIPALS, Reading::default(), &at(ends as i64));
            }
        })
    };
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (tables, end, published) =
                (Arc::clone(&tables), Arc::clone(&end), Arc::clone(&published));
            thread::spawn(move || {
                for _ in 0..500 {
                    let written = end.fetch_add(1, Ordering::SeqCst) + 1;
                    tables.catch_up(LONG).expect("met");
                    assert!(published.load(Ordering::SeqCst) >= written);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("no panic");
    }
    tables.close();
    follower.join().expect("no panic");
}
