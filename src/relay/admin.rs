//! The admin server: metrics and health over HTTP, for Prometheus, orchestrators and people. It
//! tells and never changes anything. Connections are few, small and short, and one that says
//! nothing gives way to the next, so that nobody can hold it up.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tracing::warn;

use crate::liveness::health::Health;
use crate::metrics::Metrics;

/// Connections served at a time; for one more, an old one is closed.
const CONNECTIONS_MAX: usize = 32;
/// Longest time for a request's head.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(2);
/// Longest time for one connection, which carries one request.
const CONNECTION_WAIT_MAX: Duration = Duration::from_secs(10);
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// Most bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Pause after a connection could not be accepted, for example for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const PATHS: &str = "/metrics\n/livez\n/readyz\n/status\n";

/// A server that has its address and does not answer yet.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

type Shared = State<(Arc<Metrics>, Arc<Health>)>;

impl Admin {
    /// Takes the address; port 0 takes any free one.
    ///
    /// # Errors
    /// If the address cannot be had; names it and the key `admin.listen`.
    pub async fn bind(address: SocketAddr) -> anyhow::Result<Admin> {
        let context = || format!("cannot listen on {address} (admin.listen)");
        let listener = TcpListener::bind(address).await.with_context(context)?;
        let address = listener.local_addr().with_context(context)?;
        Ok(Admin { listener, address })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is done. Connections that are open then end by themselves.
    pub async fn serve(
        self,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
        shutdown: impl Future<Output = ()>,
    ) {
        let router = Router::new()
            .route("/metrics", get(show_metrics))
            .route("/livez", get(show_live))
            .route("/readyz", get(show_ready))
            .route("/status", get(show_status))
            .fallback(|| async { (StatusCode::NOT_FOUND, PATHS) })
            .with_state((metrics, health));
        tokio::select! {
            () = accept(self.listener, router) => {}
            () = shutdown => {}
        }
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let mut places = Places::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                places.make_room();
                let is_asked = Arc::new(AtomicBool::new(false));
                let serving = tokio::spawn(answer(stream, router.clone(), Arc::clone(&is_asked)));
                places.take(serving.abort_handle(), is_asked);
            }
            Err(error) => {
                warn!(%error, "admin: accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The connections that are open, oldest first.
#[derive(Default)]
struct Places(VecDeque<Connection>);

struct Connection {
    serving: AbortHandle,
    /// Whether its request is there.
    is_asked: Arc<AtomicBool>,
}

impl Places {
    /// Closes a connection if all places are taken: the oldest one without a request, else the
    /// oldest.
    fn make_room(&mut self) {
        self.0.retain(|connection| !connection.serving.is_finished());
        if self.0.len() < CONNECTIONS_MAX {
            return;
        }
        let is_idle = |connection: &Connection| !connection.is_asked.load(Ordering::Relaxed);
        let idle = self.0.iter().position(is_idle).unwrap_or(0);
        if let Some(connection) = self.0.remove(idle) {
            connection.serving.abort();
        }
    }

    fn take(&mut self, serving: AbortHandle, is_asked: Arc<AtomicBool>) {
        self.0.push_back(Connection { serving, is_asked });
    }
}

/// Serves one request. What goes wrong with a connection is the other side's to know.
async fn answer(stream: TcpStream, router: Router, is_asked: Arc<AtomicBool>) {
    let router = router.layer(from_fn(move |request: Request, next: Next| {
        is_asked.store(true, Ordering::Relaxed);
        next.run(request)
    }));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WAIT_MAX)
        .keep_alive(false)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let _ = tokio::time::timeout(CONNECTION_WAIT_MAX, connection).await;
}

async fn show_metrics(State((metrics, health)): Shared) -> impl IntoResponse {
    metrics.set_ready(health.ready().is_ok());
    ([(CONTENT_TYPE, METRICS_TYPE)], metrics.render())
}

async fn show_live(State((_, health)): Shared) -> impl IntoResponse {
    health_answer(health.live().map_err(|reason| vec![reason]))
}

async fn show_ready(State((_, health)): Shared) -> impl IntoResponse {
    let (status, text) = health_answer(health.ready());
    let warnings = health.warnings.lines().into_iter();
    let warnings: String = warnings.map(|line| line + "\n").collect();
    (status, text + &warnings)
}

/// What people want to know and no metric can say, as JSON.
async fn show_status(State((metrics, _)): Shared) -> impl IntoResponse {
    let status = serde_json::json!({ "unlistedNames": metrics.unlisted_names() });
    ([(CONTENT_TYPE, "application/json")], format!("{status}\n"))
}

/// `ok`, or one reason a line.
fn health_answer(health: Result<(), Vec<String>>) -> (StatusCode, String) {
    match health {
        Ok(()) => (StatusCode::OK, "ok\n".to_string()),
        Err(reasons) => {
            let lines = reasons.join("\n") + "\n";
            (StatusCode::SERVICE_UNAVAILABLE, lines)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpStream;

    /// A server on a free port, for as long as the runtime lives.
    fn start() -> (tokio::runtime::Runtime, SocketAddr, Arc<Health>) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        let metrics = Metrics::new(&[], "2.12.1").expect("registers");
        let health = Arc::new(Health::new(1));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let admin = runtime.block_on(Admin::bind(any)).expect("binds");
        let address = admin.local_addr();
        runtime.spawn(admin.serve(metrics, Arc::clone(&health), std::future::pending()));
        (runtime, address, health)
    }

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("connects");
        stream.write_all(request.as_bytes()).expect("is sent");
        let mut answer = String::new();
        // A refused request may be answered by a reset as well.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn fetch(address: SocketAddr, path: &str) -> String {
        ask(address, &format!("GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n"))
    }

    #[test]
    fn says_whether_it_lives_and_works() {
        let (_runtime, address, health) = start();
        assert!(fetch(address, "/livez").starts_with("HTTP/1.1 200"));
        let unready = fetch(address, "/readyz");
        assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");
        assert!(unready.ends_with("\r\n\r\nworker 0: starting\n"), "{unready}");
        assert!(fetch(address, "/metrics").contains("\naudit_relay_ready 0\n"));
        health.working(0);
        assert!(fetch(address, "/readyz").ends_with("\r\n\r\nok\n"));
        health.warnings.set("principals", Some("old".to_string()));
        let warned = fetch(address, "/readyz");
        assert!(warned.starts_with("HTTP/1.1 200"), "{warned}");
        assert!(warned.ends_with("\r\n\r\nok\nwarning: principals: old\n"), "{warned}");
        health.warnings.set("principals", None);
        assert!(fetch(address, "/readyz").ends_with("\r\n\r\nok\n"));
        let metrics = fetch(address, "/metrics");
        assert!(metrics.contains("\naudit_relay_ready 1\n"));
        assert!(metrics.contains("content-type: text/plain; version=0.0.4"));
        health.stopped(0, Some("fenced".to_string()));
        let dead = fetch(address, "/livez");
        assert!(dead.starts_with("HTTP/1.1 503"), "{dead}");
        assert!(dead.ends_with("\r\n\r\nworker 0: stopped: fenced\n"), "{dead}");
    }

    #[test]
    fn the_status_is_json() {
        let (_runtime, address, _) = start();
        let answer = fetch(address, "/status");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let expected = r#"{"unlistedNames":{"total":0,"mostNames":100,"names":[]}}"#;
        assert_eq!(body.trim(), expected);
    }

    #[test]
    fn names_its_paths_to_those_who_ask_for_another() {
        let (_runtime, address, _) = start();
        let answer = fetch(address, "/");
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(answer.ends_with("/metrics\n/livez\n/readyz\n/status\n"), "{answer}");
    }

    #[test]
    fn refuses_heads_that_are_too_large() {
        let (_runtime, address, _) = start();
        let padding = "x".repeat(2 * HEAD_BYTES);
        let request = format!("GET /livez HTTP/1.1\r\nHost: relay\r\nPadding: {padding}\r\n\r\n");
        assert!(!ask(address, &request).starts_with("HTTP/1.1 200"));
        assert!(fetch(address, "/livez").starts_with("HTTP/1.1 200"));
    }

    /// The first of them wait for longer than any probe does, and each that is closed is opened
    /// anew.
    #[test]
    fn connections_that_say_nothing_hold_up_no_probe() {
        let (_runtime, address, _) = start();
        let idle = || {
            let mut stream = TcpStream::connect(address).expect("connects");
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n").expect("is sent");
            stream
        };
        let mut held: VecDeque<TcpStream> = (0..2 * CONNECTIONS_MAX).map(|_| idle()).collect();
        for probe in 0..20 {
            held.push_back(idle());
            held.pop_front();
            let mut stream = TcpStream::connect(address).expect("connects");
            // Generous, and less than the ten seconds for which a connection may last.
            let limit = Some(Duration::from_secs(8));
            stream.set_read_timeout(limit).expect("a limit");
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost: relay\r\n\r\n").expect("is sent");
            let mut answer = String::new();
            let read = stream.read_to_string(&mut answer);
            assert!(answer.starts_with("HTTP/1.1 200"), "{probe}: {read:?} {answer}");
        }
    }

    /// Nothing else is closed while it waits.
    #[test]
    fn a_connection_that_says_nothing_is_closed() {
        let (_runtime, address, _) = start();
        let mut stream = TcpStream::connect(address).expect("connects");
        stream.write_all(b"GET /livez").expect("is sent");
        let limit = Some(Duration::from_secs(8));
        stream.set_read_timeout(limit).expect("a limit");
        let mut answer = String::new();
        let closed = stream.read_to_string(&mut answer);
        let still_open = std::io::ErrorKind::WouldBlock;
        assert!(closed.as_ref().err().map(std::io::Error::kind) != Some(still_open), "{closed:?}");
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[test]
    fn an_address_that_is_taken_is_named() {
        let (runtime, address, _) = start();
        let error = runtime.block_on(Admin::bind(address)).expect_err("taken");
        let text = format!("{error:#}");
        assert!(text.contains(&address.to_string()), "{text}");
        assert!(text.contains("admin.listen"), "{text}");
    }
}
