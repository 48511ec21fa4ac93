//! Tells systemd, if it started the process with `Type=notify`, how the relay is: ready for the
//! first time, why it is not, that nothing stands still, and that it ends. Without systemd it does
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tracing::warn;

use crate::liveness::health::Health;
use crate::stream::StopRequest;

/// How often the state is looked at.
const INTERVAL: Duration = Duration::from_millis(200);
/// Longest status text, in characters. `systemctl status` shows it on one line.
const STATUS_CHARACTERS_MAX: usize = 300;

/// Returns whether systemd waits for messages.
pub fn is_listening() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// Reports until the process ends: each change of the status, once that it is ready, and that it
/// stops. The first message that cannot be sent is logged.
pub async fn report(health: Arc<Health>, stop: StopRequest) {
    let mut reporter = Reporter::default();
    loop {
        let messages = reporter.look(&health, stop.is_requested());
        if !messages.is_empty()
            && let Err(error) =
                sd_notify::notify(&messages.iter().map(Message::state).collect::<Vec<_>>())
        {
            warn!(%error, "cannot notify systemd (NOTIFY_SOCKET); it will time out");
            return;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Reports that nothing stands still. The unit's `WatchdogSec` says for how long this may be
/// missing. The caller must call it often.
pub fn report_alive() {
    // A failure is logged by `report`, which writes to the same socket.
    _ = sd_notify::notify(&[NotifyState::Watchdog]);
}

/// A message to systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Message {
    Ready,
    Stopping,
    Status(String),
}

impl Message {
    fn state(&self) -> NotifyState<'_> {
        match self {
            Message::Ready => NotifyState::Ready,
            Message::Stopping => NotifyState::Stopping,
            Message::Status(text) => NotifyState::Status(text),
        }
    }
}

/// What was reported already.
#[derive(Debug, Default)]
struct Reporter {
    is_ready: bool,
    is_stopping: bool,
    status: String,
}

impl Reporter {
    /// Returns what is new.
    fn look(&mut self, health: &Health, is_stopping: bool) -> Vec<Message> {
        let mut messages = Vec::new();
        let reasons = health.ready().err().unwrap_or_default();
        if is_stopping && !self.is_stopping {
            self.is_stopping = true;
            messages.push(Message::Stopping);
        }
        // systemd counts a unit as started for good: it must have been ready once.
        if reasons.is_empty() && !self.is_ready && !is_stopping {
            self.is_ready = true;
            messages.push(Message::Ready);
        }
        let status = match (is_stopping, reasons.is_empty()) {
            (true, _) => "stopping: finishing the batch".to_string(),
            (false, true) => "ready".to_string(),
            (false, false) => shortened(&reasons.join("; ")),
        };
        if status != self.status {
            self.status.clone_from(&status);
            messages.push(Message::Status(status));
        }
        messages
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(STATUS_CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Message {
        Message::Status(text.to_string())
    }

    #[test]
    fn ready_is_reported_once_and_each_status_when_it_changes() {
        let (health, mut reporter) = (Health::default(), Reporter::default());
        assert_eq!(reporter.look(&health, false), [status("workers: not started yet")]);
        assert_eq!(reporter.look(&health, false), []);
        health.add_workers(1);
        assert_eq!(reporter.look(&health, false), [status("worker 0: starting")]);
        health.working(0);
        assert_eq!(reporter.look(&health, false), [Message::Ready, status("ready")]);
        health.hold("tables", "old");
        health.hold("cluster", "away");
        assert_eq!(reporter.look(&health, false), [status("cluster: away; tables: old")]);
        health.release("tables");
        health.release("cluster");
        assert_eq!(reporter.look(&health, false), [status("ready")], "ready is not repeated");
        let stopping = [Message::Stopping, status("stopping: finishing the batch")];
        assert_eq!(reporter.look(&health, true), stopping);
        health.stopped(0, None);
        assert_eq!(reporter.look(&health, true), []);
    }

    #[test]
    fn a_long_status_is_cut() {
        let text = "é".repeat(STATUS_CHARACTERS_MAX);
        assert_eq!(shortened(&text), text);
        assert_eq!(shortened(&(text.clone() + "éé")), text + "…");
    }
}
