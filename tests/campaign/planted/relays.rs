//! Plants ends that are not clean, relays that fall silent, and pages that lack a series or do not
//! add up.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::anyhow;

use super::Finds;
use crate::complaints::Wrong;
use crate::counters::Counted;
use crate::ends::{Asked, judge};
use crate::hearing::{Answer, Hearing, Last, SILENCE_LIMIT, judge_last};
use crate::ledger::Ledger;

const LOOK: Duration = Duration::from_secs(5);
/// What a relay says that has read ten records of two partitions.
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

/// Plants, and looks.
pub fn find(finds: &Finds) -> Result<(), String> {
    find_crashes(finds)?;
    find_silence(finds)?;
    find_absent_series(finds)?;
    find_false_accounts(finds)?;
    find_last_silence(finds)
}

fn find_crashes(finds: &Finds) -> Result<(), String> {
    use Asked::{ByNobody, ToStop};
    const WHY: &str = "starting\n{\"message\":\"stopped: fenced\"}\naudit-relay: fenced\n";
    const EARLY: &str = "audit-relay: relay.toml: no such file\n";
    const PANIC: &str = "thread 'worker' panicked at src/a.rs:1\naudit-relay: a worker is gone\n";
    let exit = |code: i32| ExitStatus::from_raw(code << 8);
    let cases = [
        (ByNobody, exit(1), WHY, false),
        (ByNobody, exit(69), EARLY, false),
        (ByNobody, exit(1), "starting\n", true),
        (ByNobody, exit(1), "", true),
        (ByNobody, exit(0), WHY, true),
        (ByNobody, exit(2), EARLY, true),
        (ByNobody, exit(78), EARLY, true),
        (ByNobody, exit(101), WHY, true),
        (ByNobody, exit(1), PANIC, true),
        (ByNobody, exit(139), WHY, true),
        (ByNobody, ExitStatus::from_raw(11), WHY, true),
        (ToStop, exit(0), "stopped\n", false),
        (ToStop, exit(1), WHY, false),
        (ToStop, exit(1), "starting\n", true),
        (ToStop, exit(0), PANIC, true),
        (ToStop, exit(143), WHY, true),
        (ToStop, exit(134), WHY, true),
    ];
    for (asked, status, log, is_crash) in cases {
        let ledger = Ledger::default();
        judge("a", asked, status, log, &ledger);
        let expected = [(Wrong::Crashed, 1)];
        let expected = if is_crash { &expected[..] } else { &[] };
        finds.must_be(&ledger, &format!("{asked:?}, {status}, {log:?}"), expected)?;
    }
    Ok(())
}

fn good() -> Answer {
    Ok((200, PAGE.to_string()))
}

fn silent() -> Answer {
    Err(anyhow!("connection refused"))
}

fn find_silence(finds: &Finds) -> Result<(), String> {
    let looks = SILENCE_LIMIT.as_secs() / LOOK.as_secs();
    let ledger = Ledger::default();
    let mut hearing = Hearing::default();
    let mut hear = |answer: &Answer, times| {
        (0..times).for_each(|_| hearing.hear("a", answer, LOOK, &ledger));
    };
    hear(&silent(), looks - 1);
    hear(&good(), 1);
    hear(&silent(), looks - 1);
    finds.must_be(&ledger, "it is heard of in time", &[])?;
    hear(&silent(), 3);
    let found = [(Wrong::Stalled, 1)];
    finds.must_be(&ledger, "it is not heard of any more", &found)?;

    // Frozen in between; and it is not the relay's fault if nobody asks.
    let ledger = Ledger::default();
    let mut hearing = Hearing::default();
    (1..looks).for_each(|_| hearing.hear("a", &silent(), LOOK, &ledger));
    hearing.excuse();
    hearing.hear("a", &silent(), SILENCE_LIMIT, &ledger);
    finds.must_be(&ledger, "it could not answer", &[])
}

/// Every series that is counted by must be missed, and only if it should be there.
fn find_absent_series(finds: &Finds) -> Result<(), String> {
    let ledger = Ledger::default();
    let counted = heard(&ledger, &[good()]);
    finds.must_be(&ledger, "all series are there", &[])?;
    let expected = [
        (counted.read, 10.0),
        (counted.audited, 5.0),
        (counted.skipped, 3.0),
        (counted.quarantined, 2.0),
        (counted.committed, 5.0),
        (counted.aborted, 1.0),
    ];
    if expected.iter().any(|(is, must)| is != must) {
        return Err(format!("the page is read as {counted:?}"));
    }
    let lines = PAGE.lines().filter(|line| !line.starts_with('#'));
    for line in lines.filter(|line| !line.contains("_bucket")) {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        // A fate, or a result, is a series of its own.
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
        let counted = heard(&ledger, &[good(), bad(), bad(), bad()]);
        let found = [(Wrong::Unaccounted, 1)];
        finds.must_be(&ledger, &format!("without {line}"), &found)?;
        if counted.read != 10.0 {
            return Err(format!("without {line} it is read as {counted:?}"));
        }
    }
    find_bad_pages(finds)
}

fn find_bad_pages(finds: &Finds) -> Result<(), String> {
    let found = [(Wrong::Unaccounted, 1)];
    let other = [(500, PAGE.to_string()), (200, "<html>\n".to_string()), (200, String::new())];
    for (status, page) in other {
        let (ledger, what) = (Ledger::default(), format!("{status} {page:?}"));
        let bad = || Ok((status, page.clone()));
        heard(&ledger, &[good(), bad(), good(), bad()]);
        finds.must_be(&ledger, "a page is cut off now and then", &[])?;
        heard(&ledger, &[good(), bad(), bad()]);
        finds.must_be(&ledger, &what, &found)?;
    }
    // Before the first commit nothing is counted by partition.
    let is_general = |line: &&str| !line.contains("partition=");
    let lines = PAGE.lines().filter(is_general);
    let young: String = lines.map(|line| format!("{line}\n")).collect();
    let ledger = Ledger::default();
    heard(&ledger, &[Ok((200, young.clone()))]);
    finds.must_be(&ledger, "nothing is committed yet", &[])?;
    heard(&ledger, &[good(), Ok((200, young.clone())), Ok((200, young))]);
    finds.must_be(&ledger, "its partitions are gone", &found)
}

fn heard(ledger: &Ledger, answers: &[Answer]) -> Counted {
    let mut hearing = Hearing::default();
    for answer in answers {
        hearing.hear("a", answer, LOOK, ledger);
    }
    hearing.last
}

fn find_false_accounts(finds: &Finds) -> Result<(), String> {
    let spoilt = [
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
    if judge_last(&[last(good())], &ledger) != 2 {
        return Err("two partitions were read".to_string());
    }
    finds.must_be(&ledger, "all adds up", &[])?;
    for (from, to) in spoilt {
        let ledger = Ledger::default();
        let page = PAGE.replacen(from, to, 1);
        judge_last(&[last(good()), last(Ok((200, page)))], &ledger);
        finds.must_be(&ledger, to, &[(Wrong::Unaccounted, 1)])?;
    }
    Ok(())
}

/// At last each relay must answer, and with all that it had counted.
fn find_last_silence(finds: &Finds) -> Result<(), String> {
    let ledger = Ledger::default();
    if last(silent()).is_good() || !last(good()).is_good() {
        return Err("no answer is taken for one".to_string());
    }
    let answers = [last(good()), last(silent())];
    judge_last(&answers, &ledger);
    let found = [(Wrong::Unaccounted, 1)];
    finds.must_be(&ledger, "one does not answer", &found)?;

    let ledger = Ledger::default();
    let page = PAGE.replace("audit_relay_records_read_total", "audit_relay_read_total");
    let mut answer = last(Ok((200, page)));
    answer.before.committed = 1.0;
    judge_last(&[answer], &ledger);
    finds.must_be(&ledger, "one does not say what it read", &found)
}

fn last(answer: Answer) -> Last {
    Last { relay: "a".to_string(), before: Counted::default(), answer }
}
