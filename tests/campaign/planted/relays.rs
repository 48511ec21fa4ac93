//! Plants exits that are not clean, relays that fall silent, and pages that lack a series or do not
//! add up.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::anyhow;

use super::Caught;
use crate::counters::Counted;
use crate::exits::{Shutdown, judge};
use crate::ledger::Ledger;
use crate::scrapes::{Answer, FinalAnswer, SILENCE_LIMIT, Scrapes, judge_final_answers};
use crate::violations::Violation;

const LOOK: Duration = Duration::from_secs(5);
/// The page of a relay that has read ten records of two partitions.
const PAGE: &str = r#"# HELP audit_relay_records_total Input records
# TYPE audit_relay_records_total counter
audit_relay_records_read_total{partition="0"} 7
audit_relay_records_read_total{partition="1"} 3
audit_relay_records_read_total{partition="2"} 0
audit_relay_records_total{fate="audited",partition="0",reason=""} 4
audit_relay_records_total{fate="skipped",partition="0",reason="unlisted_action"} 3
audit_relay_records_total{fate="skipped",partition="0",reason="unknown_service"} 0
audit_relay_records_total{fate="audited",partition="1",reason=""} 1
audit_relay_records_total{fate="quarantined",partition="1",reason="malformed"} 2
audit_relay_deleted_offsets_total{partition="0"} 0
audit_relay_transactions_total{result="committed"} 5
audit_relay_transactions_total{result="aborted"} 1
audit_relay_transactions_total{result="broken"} 0
audit_relay_transactions_total{result="fenced"} 0
audit_relay_producer_rebuilds_total{reason="spent"} 0
audit_relay_rebalances_total{kind="assigned"} 1
audit_relay_table_barriers_total{result="met"} 2
audit_relay_end_to_end_latency_seconds_bucket{le="+Inf"} 4
process_resident_memory_bytes 30000000
"#;

/// Plants each fault, and checks what is found.
pub fn find(caught: &Caught) -> Result<(), String> {
    find_crashes(caught)?;
    find_silence(caught)?;
    find_absent_series(caught)?;
    find_false_accounts(caught)?;
    find_last_silence(caught)
}

fn find_crashes(caught: &Caught) -> Result<(), String> {
    use Shutdown::{Requested, Unrequested};
    const WHY: &str = "starting\n{\"message\":\"stopped: fenced\"}\naudit-relay: fenced\n";
    const EARLY: &str = "audit-relay: relay.toml: no such file\n";
    const PANIC: &str = "thread 'worker' panicked at src/a.rs:1\naudit-relay: a worker is gone\n";
    let exit = |code: i32| ExitStatus::from_raw(code << 8);
    let cases = [
        (Unrequested, exit(1), WHY, false),
        (Unrequested, exit(69), EARLY, false),
        (Unrequested, exit(1), "starting\n", true),
        (Unrequested, exit(1), "", true),
        (Unrequested, exit(0), WHY, true),
        (Unrequested, exit(2), EARLY, true),
        (Unrequested, exit(78), EARLY, true),
        (Unrequested, exit(101), WHY, true),
        (Unrequested, exit(1), PANIC, true),
        (Unrequested, exit(139), WHY, true),
        (Unrequested, ExitStatus::from_raw(11), WHY, true),
        (Requested, exit(0), "stopped\n", false),
        (Requested, exit(1), WHY, false),
        (Requested, exit(1), "starting\n", true),
        (Requested, exit(0), PANIC, true),
        (Requested, exit(143), WHY, true),
        (Requested, exit(134), WHY, true),
    ];
    for (shutdown, status, log, is_crash) in cases {
        let ledger = Ledger::default();
        judge("a", shutdown, status, log, &ledger);
        let expected = [(Violation::Crashed, 1)];
        let expected = if is_crash { &expected[..] } else { &[] };
        caught.must_be(&ledger, &format!("{shutdown:?}, {status}, {log:?}"), expected)?;
    }
    Ok(())
}

fn good() -> Answer {
    Ok((200, PAGE.to_string()))
}

fn silent() -> Answer {
    Err(anyhow!("connection refused"))
}

fn find_silence(caught: &Caught) -> Result<(), String> {
    let looks = SILENCE_LIMIT.as_secs() / LOOK.as_secs();
    let ledger = Ledger::default();
    let mut scrapes = Scrapes::default();
    let mut add = |answer: &Answer, times| {
        (0..times).for_each(|_| scrapes.add("a", answer, LOOK, &ledger));
    };
    add(&silent(), looks - 1);
    add(&good(), 1);
    add(&silent(), looks - 1);
    caught.must_be(&ledger, "it answers in time", &[])?;
    add(&silent(), 3);
    let found = [(Violation::Stalled, 1)];
    caught.must_be(&ledger, "it does not answer any more", &found)?;

    // The relay was frozen in between; and a late scrape does not count as silence.
    let ledger = Ledger::default();
    let mut scrapes = Scrapes::default();
    (1..looks).for_each(|_| scrapes.add("a", &silent(), LOOK, &ledger));
    scrapes.reset_silence();
    scrapes.add("a", &silent(), SILENCE_LIMIT, &ledger);
    caught.must_be(&ledger, "it could not answer", &[])
}

/// The absence of each series that is used must be found, and only when it must exist.
fn find_absent_series(caught: &Caught) -> Result<(), String> {
    let ledger = Ledger::default();
    let counted = scraped(&ledger, &[good()]);
    caught.must_be(&ledger, "no series is missing", &[])?;
    let expected = [
        (counted.read, 10.0),
        (counted.audited, 5.0),
        (counted.skipped, 3.0),
        (counted.quarantined, 2.0),
        (counted.committed, 5.0),
        (counted.aborted, 1.0),
    ];
    if expected.iter().any(|(is, must)| is != must) {
        return Err(format!("the page is parsed as {counted:?}"));
    }
    let lines = PAGE.lines().filter(|line| !line.starts_with('#'));
    for line in lines.filter(|line| !line.contains("_bucket")) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        // Each fate and each result is a separate series.
        let labels = ["fate=\"audited\"", "fate=\"skipped\"", "fate=\"quarantined\"", "result="];
        let label = labels.iter().find(|label| line.contains(**label));
        let is_it = |other: &str| match label {
            Some(&"result=") => other == line,
            Some(label) => other.starts_with(name) && other.contains(label),
            None => other.starts_with(name),
        };
        let renamed = |other: &str| match is_it(other) {
            true => format!("renamed_{other}\n"),
            false => format!("{other}\n"),
        };
        let page: String = PAGE.lines().map(renamed).collect();
        let ledger = Ledger::default();
        let bad = || Ok((200, page.clone()));
        let counted = scraped(&ledger, &[good(), bad(), bad(), bad()]);
        let found = [(Violation::Unaccounted, 1)];
        caught.must_be(&ledger, &format!("without {line}"), &found)?;
        if counted.read != 10.0 {
            return Err(format!("without {line} it is parsed as {counted:?}"));
        }
    }
    find_bad_pages(caught)
}

fn find_bad_pages(caught: &Caught) -> Result<(), String> {
    let found = [(Violation::Unaccounted, 1)];
    let other = [(500, PAGE.to_string()), (200, "<html>\n".to_string()), (200, String::new())];
    for (status, page) in other {
        let (ledger, what) = (Ledger::default(), format!("{status} {page:?}"));
        let bad = || Ok((status, page.clone()));
        scraped(&ledger, &[good(), bad(), good(), bad()]);
        caught.must_be(&ledger, "a page is cut off now and then", &[])?;
        scraped(&ledger, &[good(), bad(), bad()]);
        caught.must_be(&ledger, &what, &found)?;
    }
    // Before the first commit nothing is counted by partition.
    let is_general = |line: &&str| !line.contains("partition=");
    let lines = PAGE.lines().filter(is_general);
    let young: String = lines.map(|line| format!("{line}\n")).collect();
    let ledger = Ledger::default();
    scraped(&ledger, &[Ok((200, young.clone()))]);
    caught.must_be(&ledger, "nothing is committed yet", &[])?;
    scraped(&ledger, &[good(), Ok((200, young.clone())), Ok((200, young))]);
    caught.must_be(&ledger, "its partitions are missing", &found)
}

fn scraped(ledger: &Ledger, answers: &[Answer]) -> Counted {
    let mut scrapes = Scrapes::default();
    for answer in answers {
        scrapes.add("a", answer, LOOK, ledger);
    }
    scrapes.last
}

fn find_false_accounts(caught: &Caught) -> Result<(), String> {
    let corrupted = [
        ("{partition=\"0\"} 7", "{partition=\"0\"} 8"),
        ("partition=\"1\",reason=\"malformed\"} 2", "partition=\"1\",reason=\"malformed\"} 1"),
        ("reason=\"malformed\"", "reason=\"unlisted_action\""),
        ("reason=\"unlisted_action\"", "reason=\"unknown_service\""),
        (
            "fate=\"skipped\",partition=\"0\",reason=\"unlisted",
            "fate=\"dropped\",partition=\"0\",reason=\"unlisted",
        ),
        ("{partition=\"2\"} 0", "{worker=\"2\"} 0"),
    ];
    let ledger = Ledger::default();
    if judge_final_answers(&[last(good())], &ledger) != 2 {
        return Err("two partitions were read".to_string());
    }
    caught.must_be(&ledger, "all adds up", &[])?;
    for (from, to) in corrupted {
        let ledger = Ledger::default();
        let page = PAGE.replacen(from, to, 1);
        judge_final_answers(&[last(good()), last(Ok((200, page)))], &ledger);
        caught.must_be(&ledger, to, &[(Violation::Unaccounted, 1)])?;
    }
    Ok(())
}

/// At the end each relay must answer, with all series that it had before.
fn find_last_silence(caught: &Caught) -> Result<(), String> {
    let ledger = Ledger::default();
    if last(silent()).is_good() || !last(good()).is_good() {
        return Err("a missing answer counts as a good one".to_string());
    }
    let answers = [last(good()), last(silent())];
    judge_final_answers(&answers, &ledger);
    let found = [(Violation::Unaccounted, 1)];
    caught.must_be(&ledger, "one does not answer", &found)?;

    let ledger = Ledger::default();
    let page = PAGE.replace("audit_relay_records_read_total", "audit_relay_read_total");
    let mut answer = last(Ok((200, page)));
    answer.before.committed = 1.0;
    judge_final_answers(&[answer], &ledger);
    caught.must_be(&ledger, "one lacks what it read", &found)
}

fn last(answer: Answer) -> FinalAnswer {
    FinalAnswer { relay: "a".to_string(), before: Counted::default(), answer }
}
