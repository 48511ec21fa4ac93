//! The current rules of the proxies and their open connections. The fault injector changes them;
//! every connection checks them before it forwards a frame.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Selects connections: all, those of one client, those to one broker, or those of one client to
/// one broker.
#[derive(Clone, Debug, Default)]
pub struct Aim {
    /// Prefix of the client id; the ids of a relay's clients start with the relay's name.
    client: String,
    broker: Option<usize>,
}

impl Aim {
    /// Selects the connections of a relay.
    pub fn client(prefix: &str) -> Aim {
        Aim { client: prefix.to_string(), broker: None }
    }

    /// Selects the connections to a broker.
    pub fn broker(broker: usize) -> Aim {
        Aim { client: String::new(), broker: Some(broker) }
    }

    fn meets(&self, client: &str, broker: usize) -> bool {
        client.starts_with(&self.client) && self.broker.is_none_or(|aimed| aimed == broker)
    }
}

/// The direction of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    ToBroker,
    ToClient,
}

/// A fault that lasts until it is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Delays every frame.
    Delay(Duration),
    /// Swallows all frames in this direction; the connection stays open.
    BlackHole(Direction),
    /// Closes new connections immediately.
    Refuse,
}

/// A kind of request, by its API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestKind(u16);

impl RequestKind {
    pub const PRODUCE: RequestKind = RequestKind(0);
    pub const INIT_PRODUCER_ID: RequestKind = RequestKind(22);
    pub const ADD_PARTITIONS_TO_TXN: RequestKind = RequestKind(24);
    pub const ADD_OFFSETS_TO_TXN: RequestKind = RequestKind(25);
    pub const END_TXN: RequestKind = RequestKind(26);
    pub const TXN_OFFSET_COMMIT: RequestKind = RequestKind(28);
}

/// A fault of the next request of a kind; it happens once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambush {
    /// The broker gets the request; the client's connection is cut before the answer.
    SwallowAnswer,
    /// The client's connection is cut, and the broker gets the request after this delay.
    DeliverLate(Duration),
    /// Neither the request nor anything after it reaches the broker; the connection stays open.
    HoldRequest,
    /// The broker gets the request, and neither its answer nor any after it reaches the client; the
    /// connection stays open.
    HoldAnswer,
}

/// The rules of all proxies of a cluster.
#[derive(Default)]
pub struct Rules(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// Active effects, by number.
    effects: BTreeMap<u64, (Aim, Effect)>,
    ambushes: Vec<(Aim, RequestKind, Ambush)>,
    sprung: u64,
    held: u64,
    next: u64,
    connections: BTreeMap<u64, Connection>,
}

/// A registered connection.
struct Connection {
    client: String,
    broker: usize,
    /// Both ends, for cutting the connection.
    streams: [TcpStream; 2],
}

/// What to do with a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub delay: Duration,
    pub swallow: bool,
}

impl Rules {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an effect. Returns the number for [`Rules::end`].
    pub fn begin(&self, aim: Aim, effect: Effect) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        inner.effects.insert(number, (aim, effect));
        number
    }

    /// Ends an effect. Cuts the connections of a black hole: their missing frames would otherwise
    /// look like an endless delay.
    pub fn end(&self, number: u64) {
        let mut inner = self.lock();
        if let Some((aim, Effect::BlackHole(_))) = inner.effects.remove(&number) {
            inner.cut(&aim);
        }
    }

    /// Removes all ambushes.
    pub fn disarm(&self) {
        self.lock().ambushes.clear();
    }

    /// Sets an ambush for the next request of a kind.
    pub fn ambush(&self, aim: Aim, kind: RequestKind, ambush: Ambush) {
        self.lock().ambushes.push((aim, kind, ambush));
    }

    /// The number of ambushes that a request has triggered.
    pub fn sprung(&self) -> u64 {
        self.lock().sprung
    }

    /// The number of requests and answers that are held or were.
    pub fn held(&self) -> u64 {
        self.lock().held
    }

    pub(super) fn hold(&self) {
        self.lock().held += 1;
    }

    /// Cuts connections. Returns their number.
    pub fn cut(&self, aim: &Aim) -> usize {
        self.lock().cut(aim)
    }

    pub(super) fn refuses(&self, broker: usize) -> bool {
        let inner = self.lock();
        let mut effects = inner.effects.values();
        // The client is not known yet.
        effects.any(|(aim, effect)| *effect == Effect::Refuse && aim.meets("", broker))
    }

    pub(super) fn add(&self, broker: usize, streams: [TcpStream; 2]) -> u64 {
        let mut inner = self.lock();
        inner.next += 1;
        let number = inner.next;
        let client = String::new();
        let known = Connection { client, broker, streams };
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

    /// Returns the ambush that a request on this connection triggers, and removes it.
    pub(super) fn spring(&self, connection: u64, kind: u16) -> Option<Ambush> {
        let mut inner = self.lock();
        let known = inner.connections.get(&connection)?;
        let met = |(aim, RequestKind(awaited), _): &(Aim, RequestKind, Ambush)| {
            *awaited == kind && aim.meets(&known.client, known.broker)
        };
        let position = inner.ambushes.iter().position(met)?;
        inner.sprung += 1;
        Some(inner.ambushes.remove(position).2)
    }
}

impl Inner {
    fn cut(&self, aim: &Aim) -> usize {
        let meant = |known: &&Connection| aim.meets(&known.client, known.broker);
        let meant = self.connections.values().filter(meant);
        meant
            .map(|known| {
                for stream in &known.streams {
                    // It may be closed already.
                    let _ = stream.shutdown(Shutdown::Both);
                }
            })
            .count()
    }
}
