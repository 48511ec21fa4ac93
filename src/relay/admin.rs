//! The admin server: metrics and health over HTTP, for Prometheus, orchestrators and people. It is
//! read-only. Connections are few, small and short, and an idle one is closed to make room for the
//! next, so that no client can block a probe.

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
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tracing::warn;

use crate::status::{PAGE_POLICY, SAMPLE_INTERVAL, STYLE, StatusSource, page};

/// Most connections at a time. A further one closes an old one.
const CONNECTIONS_MAX: usize = 32;
/// Longest time in which a request's head must arrive.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(2);
/// Longest lifetime of a connection, which carries one request.
const CONNECTION_WAIT_MAX: Duration = Duration::from_secs(10);
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 16 * 1024;
/// Pause after a connection could not be accepted, for example because no file descriptors are
/// left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const PATHS: &str = "/\n/metrics\n/livez\n/readyz\n/status\n";

/// A server that has bound its address and does not answer yet.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
}

type Source = State<Arc<StatusSource>>;

impl AdminServer {
    /// Binds the address; port 0 picks a free one.
    ///
    /// # Errors
    /// Fails if the address cannot be bound. The error names it and the key `admin.listen`.
    pub async fn bind(address: SocketAddr) -> anyhow::Result<AdminServer> {
        let context = || format!("cannot listen on {address} (admin.listen)");
        let listener = TcpListener::bind(address).await.with_context(context)?;
        let address = listener.local_addr().with_context(context)?;
        Ok(AdminServer { listener, address })
    }

    /// Returns the address on which it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown` completes. Open connections then end by themselves.
    pub async fn serve(self, source: Arc<StatusSource>, shutdown: impl Future<Output = ()>) {
        let sampled = Arc::clone(&source);
        let router = Router::new()
            .route("/", get(show_page))
            .route("/style.css", get(show_style))
            .route("/metrics", get(show_metrics))
            .route("/livez", get(show_live))
            .route("/readyz", get(show_ready))
            .route("/status", get(show_status))
            .fallback(|| async { (StatusCode::NOT_FOUND, PATHS) })
            .with_state(source);
        tokio::select! {
            () = accept(self.listener, router) => {}
            () = sample(&sampled) => {}
            () = shutdown => {}
        }
    }
}

/// Takes samples for the rates, without end.
async fn sample(source: &StatusSource) {
    let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
    loop {
        ticks.tick().await;
        source.sample();
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let mut connections = Connections::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.make_room();
                let has_request = Arc::new(AtomicBool::new(false));
                let serving =
                    tokio::spawn(answer(stream, router.clone(), Arc::clone(&has_request)));
                connections.add(serving.abort_handle(), has_request);
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection to the admin server");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The open connections, oldest first.
#[derive(Default)]
struct Connections(VecDeque<Connection>);

struct Connection {
    serving: AbortHandle,
    /// Whether its request has arrived.
    has_request: Arc<AtomicBool>,
}

impl Connections {
    /// Closes a connection if there are too many: the oldest without a request, or else the oldest.
    fn make_room(&mut self) {
        self.0.retain(|connection| !connection.serving.is_finished());
        if self.0.len() < CONNECTIONS_MAX {
            return;
        }
        let is_idle = |connection: &Connection| !connection.has_request.load(Ordering::Relaxed);
        let oldest = self.0.iter().position(is_idle).unwrap_or(0);
        if let Some(connection) = self.0.remove(oldest) {
            connection.serving.abort();
        }
    }

    fn add(&mut self, serving: AbortHandle, has_request: Arc<AtomicBool>) {
        self.0.push_back(Connection { serving, has_request });
    }
}

/// Serves one request. Errors of a connection are ignored: its client sees them.
async fn answer(stream: TcpStream, router: Router, has_request: Arc<AtomicBool>) {
    let router = router.layer(from_fn(move |request: Request, next: Next| {
        has_request.store(true, Ordering::Relaxed);
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

async fn show_metrics(State(source): Source) -> impl IntoResponse {
    source.metrics.set_ready(source.health.ready().is_ok());
    ([(CONTENT_TYPE, METRICS_TYPE)], source.metrics.render())
}

async fn show_live(State(source): Source) -> impl IntoResponse {
    health_answer(source.health.live().map_err(|reason| vec![reason]))
}

async fn show_ready(State(source): Source) -> impl IntoResponse {
    let (status, text) = health_answer(source.health.ready());
    let warnings = source.health.warnings.lines().into_iter();
    let warnings: String = warnings.map(|line| format!("warning: {line}\n")).collect();
    (status, text + &warnings)
}

async fn show_status(State(source): Source) -> Response {
    match serde_json::to_string(&source.status()) {
        Ok(status) => ([(CONTENT_TYPE, "application/json")], status + "\n").into_response(),
        // Numbers and texts can always be written.
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn show_page(State(source): Source) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, page(&source.status()))
}

async fn show_style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8"), (X_CONTENT_TYPE_OPTIONS, "nosniff")], STYLE)
}

/// Returns `ok`, or one reason per line.
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

    use crate::liveness::health::Health;
    use crate::metrics::Metrics;
    use crate::status::{Names, Status};
    use crate::tables::TableStore;
    use audit_judge::reference::ReferenceTables;

    /// Starts a server on a free port; it runs as long as the runtime lives.
    fn start() -> (tokio::runtime::Runtime, SocketAddr, Arc<Health>) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("runtime");
        let metrics = Metrics::new(&[], "2.12.1").expect("registers");
        let health = Arc::new(Health::default());
        health.add_workers(1);
        let tables = TableStore::new(ReferenceTables::default(), &[], Duration::MAX);
        let (shown, tables) = (Arc::clone(&health), Arc::new(tables));
        let source = Arc::new(StatusSource::new(Names::default(), metrics, shown, tables));
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let admin = runtime.block_on(AdminServer::bind(any)).expect("binds");
        let address = admin.local_addr();
        runtime.spawn(admin.serve(source, std::future::pending()));
        (runtime, address, health)
    }

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("connects");
        stream.write_all(request.as_bytes()).expect("is sent");
        let mut answer = String::new();
        // A refused request may also end in a connection reset.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn fetch(address: SocketAddr, path: &str) -> String {
        ask(address, &format!("GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n"))
    }

    #[test]
    fn liveness_readiness_and_warnings_are_reported() {
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
    fn the_status_is_json_and_a_page() {
        let (_runtime, address, _) = start();
        let answer = fetch(address, "/status");
        assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
        let status: Status = serde_json::from_str(body).expect("a status");
        assert!(!status.ready);
        let page = fetch(address, "/");
        for expected in [
            "HTTP/1.1 200",
            "content-type: text/html; charset=utf-8\r\n",
            "content-security-policy: default-src 'none'; style-src 'self';",
            "x-content-type-options: nosniff\r\n",
            "cache-control: no-store\r\n",
            "<link rel=\"stylesheet\" href=\"style.css\">",
        ] {
            assert!(page.contains(expected), "{expected} is not in {page}");
        }
        let style = fetch(address, "/style.css");
        assert!(style.contains("content-type: text/css; charset=utf-8\r\n"), "{style}");
        assert!(style.ends_with(STYLE));
    }

    #[test]
    fn an_unknown_path_is_answered_with_the_known_ones() {
        let (_runtime, address, _) = start();
        let answer = fetch(address, "/metric");
        assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n/\n/metrics\n/livez\n/readyz\n/status\n"), "{answer}");
    }

    #[test]
    fn a_head_that_is_too_large_is_refused() {
        let (_runtime, address, _) = start();
        let padding = "x".repeat(2 * HEAD_BYTES);
        let request = format!("GET /livez HTTP/1.1\r\nHost: relay\r\nPadding: {padding}\r\n\r\n");
        assert!(!ask(address, &request).starts_with("HTTP/1.1 200"));
        assert!(fetch(address, "/livez").starts_with("HTTP/1.1 200"));
    }

    /// The idle connections wait longer than any probe, and each one that is closed is replaced.
    #[test]
    fn idle_connections_block_no_probe() {
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
            // Generous, but shorter than the ten seconds for which a connection may last.
            let limit = Some(Duration::from_secs(8));
            stream.set_read_timeout(limit).expect("a limit");
            stream.write_all(b"GET /livez HTTP/1.1\r\nHost: relay\r\n\r\n").expect("is sent");
            let mut answer = String::new();
            let read = stream.read_to_string(&mut answer);
            assert!(answer.starts_with("HTTP/1.1 200"), "{probe}: {read:?} {answer}");
        }
    }

    /// It is closed by its own time limit: no other connection needs its place.
    #[test]
    fn a_connection_without_a_complete_head_is_closed() {
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
    fn an_address_in_use_is_named_in_the_error() {
        let (runtime, address, _) = start();
        let error = runtime.block_on(AdminServer::bind(address)).expect_err("taken");
        let text = format!("{error:#}");
        assert!(text.contains(&address.to_string()), "{text}");
        assert!(text.contains("admin.listen"), "{text}");
    }
}
