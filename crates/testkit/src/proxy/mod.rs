//! A TCP proxy that stands between relays and brokers and does them harm on request: it cuts,
//! delays, swallows, holds back. It reads of Kafka's protocol what it needs to hit the right
//! moment: where a frame ends, and what a request is and from whom. When to do harm is decided by
//! others.
//!
//! All brokers' proxies share one set of [`Rules`], so that a fault can be aimed at a relay, at a
//! broker, or at both.

mod connection;
mod rules;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;

pub use rules::{Aim, Ambush, Direction, Effect, Rules};

/// How long a broker on this machine may take to accept a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The proxy of one broker. Ends, and cuts its connections, with this value.
pub struct Proxy {
    port: u16,
    broker: usize,
    rules: Arc<Rules>,
    ended: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a port, and passes on what comes to the broker of this number, which listens at
    /// `target`.
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
        // Wakes the thread that waits for the next connection.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(accepting) = self.accepting.take() {
            // It does nothing that could panic.
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
        // A client whose broker does not answer sees what it would see without a proxy: the end of
        // its connection.
        if rules.refuses(broker) {
            continue;
        }
        if let Ok(upstream) = TcpStream::connect_timeout(&target, CONNECT_LIMIT) {
            // Too few threads or files: the client tries again.
            drop(connection::start(client, upstream, broker, rules));
        }
    }
}
