//! What a proxy is to do at the moment, and which connections it has. Changed by the one who makes
//! the faults, looked at by every connection before it passes a frame on.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Whose connections are meant: all, those of one client, those to one broker, or those of one
/// client to one broker.
#[derive(Clone, Debug, Default)]
pub struct Aim {
    /// What the client's id begins with; a relay's clients are all called after it.
    client: String,
    broker: Option<usize>,
}

impl Aim {
    /// Those of a relay.
    pub fn client(prefix: &str) -> Aim {
        Aim { client: prefix.to_string(), broker: None }
    }

    /// Those to a broker.
    pub fn broker(broker: usize) -> Aim {
        Aim { client: String::new(), broker: Some(broker) }
    }

    fn meets(&self, client: &str, broker: usize) -> bool {
        client.starts_with(&self.client) && self.broker.is_none_or(|aimed| aimed == broker)
    }
}

/// The way of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToBroker,
    ToClient,
}

/// A lasting disturbance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Every frame takes so much longer.
    Delay(Duration),
    /// Nothing gets through this way; the connection stays open.
    BlackHole(Direction),
    /// New connections are closed at once.
    Refuse,
}

/// What happens to the next commit, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambush {
    /// The broker gets it, the client never gets the answer: its connection is cut.
    SwallowAnswer,
    /// The client's connection is cut, and the broker gets the request so much later.
    DeliverLate(Duration),
}

/// What all proxies of a cluster are to do.
#[derive(Default)]
pub struct Rules(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// By their numbers.
    effects: BTreeMap<u64, (Aim, Effect)>,
    ambushes: Vec<(Aim, Ambush)>,
    sprung: u64,
    next: u64,
    connections: BTreeMap<u64, Known>,
}

/// A connection as the rules know it.
struct Known {
    client: String,
    broker: usize,
    /// Both ends, to be cut.
    streams: [TcpStream; 2],
}

/// What is to be done with a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub delay: Duration,
    pub swallow: bool,
}

impl Rules {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a disturbance, and returns the number by which it is ended.
    pub fn begin(&self, aim: Aim, effect: Effect) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        inner.effects.insert(number, (aim, effect));
        number
    }

    /// Ends a disturbance. Connections on which something was swallowed are cut: what is missing
    /// from them would otherwise be taken for a delay that never ends.
    pub fn end(&self, number: u64) {
        let mut inner = self.lock();
        if let Some((aim, Effect::BlackHole(_))) = inner.effects.remove(&number) {
            inner.cut(&aim);
        }
    }

    /// Lies in wait no more.
    pub fn disarm(&self) {
        self.lock().ambushes.clear();
    }

    /// Lies in wait for the next commit.
    pub fn ambush(&self, aim: Aim, ambush: Ambush) {
        self.lock().ambushes.push((aim, ambush));
    }

    /// How many ambushes have been met by a commit.
    pub fn sprung(&self) -> u64 {
        self.lock().sprung
    }

    /// Cuts connections; returns how many.
    pub fn cut(&self, aim: &Aim) -> usize {
        self.lock().cut(aim)
    }

    pub(super) fn refuses(&self, broker: usize) -> bool {
        let inner = self.lock();
        let mut effects = inner.effects.values();
        // Who comes is not known yet.
        effects.any(|(aim, effect)| *effect == Effect::Refuse && aim.meets("", broker))
    }

    pub(super) fn add(&self, broker: usize, streams: [TcpStream; 2]) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        let client = String::new();
        let known = Known { client, broker, streams };
        inner.connections.insert(number, known);
        number
    }

    pub(super) fn name(&self, connection: u64, client: &str) {
        if let Some(known) = self.lock().connections.get_mut(&connection) {
            known.client = client.to_string();
        }
    }

    pub(super) fn remove(&self, connection: u64) {
        self.lock().connections.remove(&connection);
    }

    pub(super) fn judge(&self, connection: u64, direction: Direction) -> Verdict {
        let inner = self.lock();
        let Some(known) = inner.connections.get(&connection) else {
            return Verdict::default();
        };
        let mut verdict = Verdict::default();
        for (aim, effect) in inner.effects.values() {
            match effect {
                _ if !aim.meets(&known.client, known.broker) => {}
                Effect::Delay(delay) => verdict.delay += *delay,
                Effect::BlackHole(blocked) => verdict.swallow |= *blocked == direction,
                Effect::Refuse => {}
            }
        }
        verdict
    }

    /// The ambush that a commit on this connection runs into.
    pub(super) fn spring(&self, connection: u64) -> Option<Ambush> {
        let mut inner = self.lock();
        let known = inner.connections.get(&connection)?;
        let met = |(aim, _): &(Aim, Ambush)| aim.meets(&known.client, known.broker);
        let position = inner.ambushes.iter().position(met)?;
        inner.sprung += 1;
        Some(inner.ambushes.remove(position).1)
    }
}

impl Inner {
    fn cut(&self, aim: &Aim) -> usize {
        let meant = |known: &&Known| aim.meets(&known.client, known.broker);
        let meant = self.connections.values().filter(meant);
        meant
            .map(|known| {
                for stream in &known.streams {
                    // One that is closed already is as cut as can be.
                    let _ = stream.shutdown(Shutdown::Both);
                }
            })
            .count()
    }
}
