//! A fault-injecting TCP proxy between relays and brokers: it cuts connections, and delays,
//! swallows or holds back frames. Of Kafka's protocol it parses only the frame boundaries, the kind
//! of a request and the client id. Its callers decide when a fault happens.
//!
//! All proxies share one set of [`Rules`], so that a fault can target a relay, a broker or both.

mod connection;
mod rules;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

pub use rules::{Aim, Ambush, Direction, Effect, RequestKind, Rules};

/// How long a broker on this machine may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// The proxy of one broker. Dropping it stops it and cuts its connections.
pub struct Proxy {
    port: u16,
    broker: usize,
    rules: Arc<Rules>,
    ended: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a port and forwards connections to this broker at `target`.
    pub fn start(
        port: u16,
        target: SocketAddr,
        broker: usize,
        rules: &Arc<Rules>,
    ) -> anyhow::Result<Proxy> {
        let listener = TcpListener::bind(("127.0.0.1", port)).context("listen for a proxy")?;
        let ended = Arc::new(AtomicBool::new(false));
        let accepting = std::thread::Builder::new().name(format!("proxy-{broker}"));
        let accepting = accepting.spawn({
            let (rules, ended) = (Arc::clone(rules), Arc::clone(&ended));
            move || accept(&listener, target, broker, &rules, &ended)
        })?;
        Ok(Proxy { port, broker, rules: Arc::clone(rules), ended, accepting: Some(accepting) })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the accepting thread.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(accepting) = self.accepting.take() {
            // The thread does not panic.
            drop(accepting.join());
        }
        self.rules.cut(&Aim::broker(self.broker));
    }
}

fn accept(
    listener: &TcpListener,
    target: SocketAddr,
    broker: usize,
    rules: &Arc<Rules>,
    ended: &AtomicBool,
) {
    for client in listener.incoming() {
        if ended.load(Ordering::Acquire) {
            return;
        }
        let Ok(client) = client else {
            continue;
        };
        // A refused connection is closed, as it would be without a proxy.
        if rules.refuses(broker) {
            continue;
        }
        if let Ok(upstream) = TcpStream::connect_timeout(&target, CONNECT_MAX) {
            // Without enough threads or files the client retries.
            drop(connection::start(client, upstream, broker, rules));
        }
    }
}
