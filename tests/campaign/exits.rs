//! Judges how a relay process exited. A clean exit has an allowed status, and a log that gives the
//! reason.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::ledger::Ledger;
use crate::violations::Violation;

/// Whether the campaign requested a process to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// The process ended by itself.
    Unrequested,
    /// The process got a SIGTERM.
    Requested,
}

/// Adds a violation if the exit is not clean.
pub fn judge(relay: &str, shutdown: Shutdown, status: ExitStatus, log: &str, ledger: &Ledger) {
    if let Some(crash) = crash(shutdown, status, log) {
        let what = format!("relay {relay}, shutdown {shutdown:?}: {crash}");
        ledger.add_violation(Violation::Crashed, what);
    }
}

/// Describes why an exit is not clean, or returns `None`.
fn crash(shutdown: Shutdown, status: ExitStatus, log: &str) -> Option<String> {
    // The guard passes a signal's number on as a shell does.
    let signal = status.signal().map(|signal| 128 + signal);
    let code = status.code().or(signal).unwrap_or(-1);
    // The next process reads uncommitted records again, so nothing is lost. A fence or the deadline
    // may end a relay that has just got a SIGTERM.
    let clean: &[i32] = match shutdown {
        Shutdown::Unrequested => &[1, 69],
        Shutdown::Requested => &[0, 1, 69],
    };
    let panic = log.lines().find(|line| line.contains("panicked"));
    match (panic, reason(log)) {
        (Some(panic), _) => Some(format!("{status}, and a thread panicked: {panic}")),
        (_, said) if !clean.contains(&code) => Some(match said {
            Some(said) => format!("{status}, which is not a clean exit: {said}"),
            None => format!("{status}, which is not a clean exit, and its log gives no reason"),
        }),
        (_, None) if code != 0 => Some(format!("{status}, and its log gives no reason")),
        _ => None,
    }
}

/// The log line with the reason why the relay stopped.
fn reason(log: &str) -> Option<&str> {
    let mut lines = log.lines().rev();
    lines.find(|line| line.contains("stopped: ") || line.starts_with("audit-relay: "))
}

/// The log line with the reason, or the last line if there is none.
pub fn last_message(log: &str) -> String {
    let line = reason(log).or_else(|| log.lines().last());
    line.unwrap_or_default().chars().take(600).collect()
}
