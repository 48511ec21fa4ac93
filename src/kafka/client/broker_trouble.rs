//! Trouble with brokers, as all clients of the process report it: a broker that is away is reported
//! dozens of times a second, by each of them and twice. It is said once, then at growing intervals,
//! and once more when it answers again. Pure but for [`REPORTED`].

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::logging::quiet::Quiet;

/// What the clients of this process have reported.
pub(in crate::kafka) static REPORTED: Mutex<BrokerTrouble> =
    Mutex::new(BrokerTrouble(BTreeMap::new()));

/// A broker that one client reaches answers again only when no other has complained of it for so
/// long; they try each ten seconds at least.
const CALM: Duration = Duration::from_secs(10);
/// Most pairs of broker and kind that are remembered; what goes beyond is said each time.
const MOST: usize = 1_000;

/// What is said about a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::kafka) enum Kind {
    /// It cannot be reached, or hung up.
    Connection,
    /// Its name cannot be resolved.
    Name,
    /// Its certificate, or ours, is not accepted.
    Tls,
    /// It turns us away.
    Authentication,
}

impl Kind {
    fn of(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&["sasl", "authentication"]) {
            Kind::Authentication
        } else if has(&["ssl", "certificate"]) {
            Kind::Tls
        } else if has(&["resolve"]) {
            Kind::Name
        } else {
            Kind::Connection
        }
    }
}

/// Complaints by broker and kind.
#[derive(Debug, Default)]
pub(in crate::kafka) struct BrokerTrouble(BTreeMap<(String, Kind), Trouble>);

#[derive(Debug)]
struct Trouble {
    quiet: Quiet,
    since: Instant,
    last: Instant,
    /// Whether it was said that the broker is in trouble, and not yet that it answers again.
    is_down: bool,
}

/// A broker that answers again.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Recovered {
    /// How long after the first complaint the last one came.
    pub lasted: Duration,
    /// Complaints that were not said.
    pub held_back: u64,
}

impl BrokerTrouble {
    /// A client complains of a broker. Returns how many complaints there are to be said now, those
    /// that were held back among them.
    pub(super) fn complain(&mut self, text: &str, now: Instant) -> Option<u64> {
        let Some((broker, rest)) = broker_of(text) else {
            return Some(1);
        };
        let key = (broker.to_string(), Kind::of(rest));
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            return Some(1);
        }
        let trouble = self.0.entry(key).or_insert_with(|| Trouble {
            quiet: Quiet::default(),
            since: now,
            last: now,
            is_down: false,
        });
        let said = trouble.quiet.happened(1, now);
        if said.is_some() && !trouble.is_down {
            trouble.is_down = true;
            trouble.since = now;
        }
        trouble.last = now;
        said
    }

    /// A client reaches a broker, which it knows as host and port. Returns what is over by that.
    pub(super) fn reached(&mut self, broker: &str, now: Instant) -> Option<Recovered> {
        let over = self.0.iter_mut().filter(|((of, _), trouble)| {
            let calm = now.saturating_duration_since(trouble.last);
            of == broker && trouble.is_down && calm >= CALM
        });
        over.map(|(_, trouble)| {
            trouble.is_down = false;
            Recovered {
                lasted: trouble.last.saturating_duration_since(trouble.since),
                held_back: trouble.quiet.take_held_back(),
            }
        })
        .reduce(|one, other| Recovered {
            lasted: one.lasted.max(other.lasted),
            held_back: one.held_back + other.held_back,
        })
    }

    /// Whether any broker was ever complained of.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The broker that a text is about, as host and port, and what is said of it. A text begins with
/// the client's name for the broker, such as `sasl_ssl://host:9093/2` or `host:9092/bootstrap`;
/// what coordinates goes by its role first.
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

/// A text without the name of the thread that it may begin with.
pub(in crate::kafka) fn without_thread(text: &str) -> &str {
    let after = text.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: "));
    after.map_or(text, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: &str = "127.0.0.1:31161/bootstrap: Connect to ipv4#127.0.0.1:31161 failed: Connection refused (after 0ms in state CONNECT)";

    #[test]
    fn a_broker_is_known_by_host_and_port_whatever_it_is_called() {
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
    fn what_all_clients_report_is_said_once_and_once_more_when_it_is_over() {
        let (mut trouble, begin) = (BrokerTrouble::default(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        let others = [
            "[thrd:127.0.0.1:31161/1]: 127.0.0.1:31161/1: Disconnected: connection reset by peer",
            "TxnCoordinator: 127.0.0.1:31161: Connect to ipv4#127.0.0.1:31161 failed: Connection refused",
        ];
        assert_eq!(trouble.complain(REFUSED, at(0)), Some(1));
        for ms in (100..20_000).step_by(100) {
            for text in others {
                assert_eq!(trouble.complain(text, at(ms)), None, "{ms}");
            }
        }
        let address = "127.0.0.1:31161";
        assert_eq!(trouble.reached(address, at(20_000)), None, "others may not reach it");
        assert_eq!(trouble.reached("127.0.0.1:31162", at(30_000)), None);
        let over = Recovered { lasted: Duration::from_millis(19_900), held_back: 398 };
        assert_eq!(trouble.reached(address, at(30_000)), Some(over));
        assert_eq!(trouble.reached(address, at(31_000)), None, "said once");
        // Soon again: one line a minute at most, however often it comes and goes.
        assert_eq!(trouble.complain(REFUSED, at(40_000)), None);
        assert_eq!(trouble.reached(address, at(55_000)), None, "nothing was said");
        assert_eq!(trouble.complain(REFUSED, at(61_000)), Some(2));
        assert_eq!(trouble.complain(REFUSED, at(500_000)), Some(1), "later at once");
    }

    #[test]
    fn another_kind_of_trouble_and_another_broker_are_said_at_once() {
        let (mut trouble, now) = (BrokerTrouble::default(), Instant::now());
        for text in [
            REFUSED,
            "127.0.0.1:31161/bootstrap: SASL authentication error: Authentication failed",
            "127.0.0.1:31161/bootstrap: SSL handshake failed: certificate verify failed",
            "127.0.0.1:31161/bootstrap: Failed to resolve '127.0.0.1:31161'",
            "127.0.0.1:31162/bootstrap: Connect to ipv4#127.0.0.1:31162 failed: Connection refused",
        ] {
            assert_eq!(trouble.complain(text, now), Some(1), "{text}");
            assert_eq!(trouble.complain(text, now), None, "{text}");
        }
        assert_eq!(trouble.complain("3/3 brokers are down", now), Some(1));
        assert_eq!(trouble.complain("3/3 brokers are down", now), Some(1));
    }
}
