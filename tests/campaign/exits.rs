//! How a relay ended, and whether that is a clean end. A clean end has a status that says what to
//! do, and a log that says why.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use crate::complaints::Wrong;
use crate::ledger::Ledger;

/// Why a process should have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nobody has asked it to.
    ByNobody,
    /// It got a SIGTERM.
    ToStop,
}

/// Complains of an end that is not clean.
pub fn judge(relay: &str, asked: Asked, status: ExitStatus, log: &str, ledger: &Ledger) {
    if let Some(crash) = crash(asked, status, log) {
        let what = format!("relay {relay}, asked {asked:?}: {crash}");
        ledger.complain(Wrong::Crashed, what);
    }
}

/// What is wrong with an end, if anything is.
fn crash(asked: Asked, status: ExitStatus, log: &str) -> Option<String> {
    // The guard passes a signal's number on as a shell does.
    let signal = status.signal().map(|signal| 128 + signal);
    let code = status.code().or(signal).unwrap_or(-1);
    // What is read again by the next one is no loss; a fence or the deadline may end a relay that
    // was just told to stop.
    let clean: &[i32] = match asked {
        Asked::ByNobody => &[1, 69],
        Asked::ToStop => &[0, 1, 69],
    };
    let panic = log.lines().find(|line| line.contains("panicked"));
    match (panic, reason(log)) {
        (Some(panic), _) => Some(format!("{status}, and a thread panicked: {panic}")),
        (_, said) if !clean.contains(&code) => Some(match said {
            Some(said) => format!("{status}, which is no clean end: {said}"),
            None => format!("{status}, which is no clean end, and it does not say why"),
        }),
        (_, None) if code != 0 => Some(format!("{status}, and it does not say why")),
        _ => None,
    }
}

/// The line of a log that says why the relay stopped.
fn reason(log: &str) -> Option<&str> {
    let mut lines = log.lines().rev();
    lines.find(|line| line.contains("stopped: ") || line.starts_with("audit-relay: "))
}

/// That line, or the last one if there is none.
pub fn last_words(log: &str) -> String {
    let line = reason(log).or_else(|| log.lines().last());
    line.unwrap_or_default().chars().take(600).collect()
}
