//! Errors about brokers, as all clients of the process report them. While a broker is unreachable,
//! each client reports it dozens of times a second, and twice each time. It is logged once, then at
//! growing intervals, and once more when the broker is reachable again. Pure except for
//! [`REPORTED`].

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::logging::quiet::Quiet;

/// The broker errors of all clients of this process.
pub(in crate::kafka) static REPORTED: Mutex<BrokerErrors> =
    Mutex::new(BrokerErrors(BTreeMap::new()));

/// A broker counts as recovered when one client reaches it and none has reported an error about it
/// for this long. Clients retry at least every ten seconds.
const RECOVERY_QUIET: Duration = Duration::from_secs(10);
/// Most pairs of broker and error kind to remember. Errors beyond that are always logged.
const BROKERS_MAX: usize = 1_000;

/// The kind of an error about a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::kafka) enum ErrorKind {
    /// The broker is unreachable, or closed the connection.
    Connection,
    /// The host name cannot be resolved.
    Name,
    /// The certificate of the broker or of the client is not accepted.
    Tls,
    /// The broker rejected the authentication.
    Authentication,
}

impl ErrorKind {
    fn of(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&["sasl", "authentication"]) {
            ErrorKind::Authentication
        } else if has(&["ssl", "certificate"]) {
            ErrorKind::Tls
        } else if has(&["resolve"]) {
            ErrorKind::Name
        } else {
            ErrorKind::Connection
        }
    }
}

/// Errors by broker and kind.
#[derive(Debug, Default)]
pub(in crate::kafka) struct BrokerErrors(BTreeMap<(String, ErrorKind), ErrorState>);

#[derive(Debug)]
struct ErrorState {
    quiet: Quiet,
    since: Instant,
    last: Instant,
    /// Whether the error was logged and the recovery was not.
    is_down: bool,
}

/// A broker that is reachable again.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Recovered {
    /// Time from the first error to the last.
    pub lasted: Duration,
    /// How many errors were not logged.
    pub held_back: u64,
}

impl BrokerErrors {
    /// Records an error. Returns the number of errors to log now, including those held back before;
    /// `None` if it is not due yet.
    pub(super) fn on_error(&mut self, text: &str, now: Instant) -> Option<u64> {
        let Some((broker, rest)) = broker_of(text) else {
            return Some(1);
        };
        let key = (broker.to_string(), ErrorKind::of(rest));
        if self.0.len() >= BROKERS_MAX && !self.0.contains_key(&key) {
            return Some(1);
        }
        let state = self.0.entry(key).or_insert_with(|| ErrorState {
            quiet: Quiet::default(),
            since: now,
            last: now,
            is_down: false,
        });
        let due = state.quiet.happened(1, now);
        if due.is_some() && !state.is_down {
            state.is_down = true;
            state.since = now;
        }
        state.last = now;
        due
    }

    /// Records that a client reached a broker, named by host and port. Returns the outage that this
    /// ends, if any.
    pub(super) fn reached(&mut self, broker: &str, now: Instant) -> Option<Recovered> {
        let recovered = self.0.iter_mut().filter(|((name, _), state)| {
            let quiet = now.saturating_duration_since(state.last);
            name == broker && state.is_down && quiet >= RECOVERY_QUIET
        });
        recovered
            .map(|(_, state)| {
                state.is_down = false;
                Recovered {
                    lasted: state.last.saturating_duration_since(state.since),
                    held_back: state.quiet.take_held_back(),
                }
            })
            .reduce(|one, other| Recovered {
                lasted: one.lasted.max(other.lasted),
                held_back: one.held_back + other.held_back,
            })
    }

    /// Returns whether no error was ever recorded.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Splits an error text into the broker, as host and port, and the rest. A text begins with the
/// client's name for the broker, such as `sasl_ssl://host:9093/2` or `host:9092/bootstrap`; for a
/// coordinator its role comes first.
fn broker_of(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = without_thread(text).split_once(": ")?;
    let (name, rest) = match name {
        "GroupCoordinator" | "TxnCoordinator" => rest.split_once(": ")?,
        _ => (name, rest),
    };
    let address = name.split_once("://").map_or(name, |(_, address)| address);
    let address = address.split('/').next().unwrap_or(address);
    let port = address.rsplit(':').next().filter(|port| *port != address)?;
    port.parse::<u16>().ok().map(|_| (address, rest))
}

/// Strips the thread name that a text may begin with.
pub(in crate::kafka) fn without_thread(text: &str) -> &str {
    let after = text.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: "));
    after.map_or(text, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "127.0.0.1:31161/bootstrap: Connect to ipv4#127.0.0.1:31161 failed: Connection refused (after 0ms in state CONNECT)";

    #[test]
    fn the_broker_of_an_error_is_its_host_and_port() {
        let address = "127.0.0.1:31161";
        for (text, broker) in [
            (REFUSED, Some(address)),
            ("[thrd:127.0.0.1:31161/bootstrap]: 127.0.0.1:31161/1: Connect to x", Some(address)),
            (
                "[thrd:TxnCoordinator]: TxnCoordinator: 127.0.0.1:31161: Disconnected: reset",
                Some(address),
            ),
            ("GroupCoordinator: 127.0.0.1:31161: Connect to x", Some(address)),
            ("sasl_ssl://127.0.0.1:31161/2: SASL authentication error: no", Some(address)),
            ("ssl://[::1]:9093/bootstrap: SSL handshake failed", Some("[::1]:9093")),
            ("GroupCoordinator: Not coordinator", None),
            ("3/3 brokers are down", None),
            ("[thrd:main]: Consumer group session timed out: x", None),
        ] {
            assert_eq!(broker_of(text).map(|(broker, _)| broker), broker, "{text}");
        }
    }

    #[test]
    fn an_outage_is_logged_once_and_its_end_once() {
        let (mut errors, begin) = (BrokerErrors::default(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        let others = [
            "[thrd:127.0.0.1:31161/1]: 127.0.0.1:31161/1: Disconnected: connection reset by peer",
            "TxnCoordinator: 127.0.0.1:31161: Connect to ipv4#127.0.0.1:31161 failed: Connection refused",
        ];
        assert_eq!(errors.on_error(REFUSED, at(0)), Some(1));
        for ms in (100..20_000).step_by(100) {
            for text in others {
                assert_eq!(errors.on_error(text, at(ms)), None, "{ms}");
            }
        }
        let address = "127.0.0.1:31161";
        assert_eq!(errors.reached(address, at(20_000)), None, "an error came just now");
        assert_eq!(errors.reached("127.0.0.1:31162", at(30_000)), None);
        let recovered = Recovered { lasted: Duration::from_millis(19_900), held_back: 398 };
        assert_eq!(errors.reached(address, at(30_000)), Some(recovered));
        assert_eq!(errors.reached(address, at(31_000)), None, "reported once");
        // Down again soon: at most one line a minute, however often the broker flaps.
        assert_eq!(errors.on_error(REFUSED, at(40_000)), None);
        assert_eq!(errors.reached(address, at(55_000)), None, "no error was logged");
        assert_eq!(errors.on_error(REFUSED, at(61_000)), Some(2));
        assert_eq!(
            errors.on_error(REFUSED, at(500_000)),
            Some(1),
            "logged at once after a long quiet"
        );
    }

    #[test]
    fn another_kind_of_error_and_another_broker_are_logged_at_once() {
        let (mut errors, now) = (BrokerErrors::default(), Instant::now());
        for text in [
            REFUSED,
            "127.0.0.1:31161/bootstrap: SASL authentication error: Authentication failed",
            "127.0.0.1:31161/bootstrap: SSL handshake failed: certificate verify failed",
            "127.0.0.1:31161/bootstrap: Failed to resolve '127.0.0.1:31161'",
            "127.0.0.1:31162/bootstrap: Connect to ipv4#127.0.0.1:31162 failed: Connection refused",
        ] {
            assert_eq!(errors.on_error(text, now), Some(1), "{text}");
            assert_eq!(errors.on_error(text, now), None, "{text}");
        }
        assert_eq!(errors.on_error("3/3 brokers are down", now), Some(1));
        assert_eq!(errors.on_error("3/3 brokers are down", now), Some(1));
    }
}
