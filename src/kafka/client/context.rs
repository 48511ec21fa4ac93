//! The context that every client shares. It writes librdkafka's log lines and errors to the
//! structured log, each with the facility that librdkafka gave it.

use std::error::Error;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use tracing::{debug, error, info, warn};

use super::broker_errors::{REPORTED, Recovered, without_thread};
use crate::kafka::client::oauth;
use crate::lock::lock;

/// How long a new client is polled for its first token.
const PRIMING: Duration = Duration::from_millis(5);
/// How long a client is polled for its errors.
const ERRORS_WAIT: Duration = Duration::from_millis(50);

/// The facility of lines about connections that failed.
const FAIL: &str = "FAIL";

/// Events that one call serves.
const EVENTS_MAX: usize = 32;

/// The context of every client: it logs, and provides OAuth tokens. `E` handles the client's
/// reports in addition.
#[derive(Debug, Default)]
pub struct LoggingContext<E>(pub E);

/// Receives what a client reports besides the answers to its calls.
pub trait ClientEvents: Send + Sync {
    /// Receives an error from which the client recovers by itself.
    fn error(&self, _error: &KafkaError, _reason: &str) {}

    /// Receives a line of the client's log.
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    /// Receives statistics, if `statistics.interval.ms` is set.
    fn statistics(&self, _statistics: &Statistics) {}
}

impl<E: ClientEvents> ClientContext for LoggingContext<E> {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        oauth::generate(config)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        log_error(&error, reason);
        self.0.error(&error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        note_reached(&statistics);
        self.0.statistics(&statistics);
    }
}

/// Ignores all reports.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

/// A context that only logs.
pub type PlainContext = LoggingContext<NoEvents>;

impl ClientEvents for NoEvents {}

impl ConsumerContext for PlainContext {}

/// Keeps the last error, which explains why a call got no answer.
#[derive(Debug, Default)]
pub struct LastError(Mutex<Option<ClientError>>);

/// A context that logs, and keeps the last error.
pub type ErrorContext = LoggingContext<LastError>;

/// An error that the client reported outside a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError {
    /// Its code, if the client has one for it.
    pub code: Option<RDKafkaErrorCode>,
    /// The client's message.
    pub text: String,
}

impl ClientError {
    /// Returns whether the broker refused the client. Waiting does not change that.
    pub fn is_refusal(&self) -> bool {
        self.code == Some(RDKafkaErrorCode::Authentication)
    }
}

impl LastError {
    /// Returns the last error, if there was one.
    pub fn last_error(&self) -> Option<ClientError> {
        self.0.lock().ok()?.clone()
    }
}

impl ClientEvents for LastError {
    fn error(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        // `AllBrokersDown` only repeats the per-broker errors.
        if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            return;
        }
        if let Ok(mut last) = self.0.lock() {
            *last = Some(ClientError { code, text: reason.to_string() });
        }
    }
}

impl ConsumerContext for ErrorContext {}

/// Polls a new client for a moment: it requests its OAuth token in a poll, and does not connect
/// without one. It must not be subscribed to anything yet.
pub fn prime_oauth<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    consumer.poll(PRIMING);
}

/// Polls a client for a moment, so that it reports its errors. It must not be subscribed to
/// anything: records are dropped.
pub fn poll_errors(consumer: &BaseConsumer<ErrorContext>) {
    let since = Instant::now();
    while let Some(left) = ERRORS_WAIT.checked_sub(since.elapsed()) {
        consumer.poll(left);
    }
}

/// Serves the events of a client that only looks things up, without waiting: token requests, and
/// errors, which would otherwise pile up. It must not be subscribed to anything: records are
/// dropped.
pub fn serve_events<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    // A fixed number: the return value does not say whether an event was served.
    for _ in 0..EVENTS_MAX {
        consumer.poll(Duration::ZERO);
    }
}

/// Writes a line of librdkafka's log to the relay's.
fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    match level {
        // A connection was closed. If it cannot be opened again, that is a warning of its own.
        Notice | Info if facility == FAIL => debug!(target: "librdkafka", facility, "{message}"),
        Emerg | Alert | Critical | Error | Warning if facility == FAIL => log_broker_error(message),
        Emerg | Alert | Critical | Error => {
            error!(target: "librdkafka", facility, "{message}")
        }
        Warning => warn!(target: "librdkafka", facility, "{message}"),
        Notice | Info => info!(target: "librdkafka", facility, "{message}"),
        Debug => debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// Logs an error event of librdkafka. Such events only inform: the client recovers by itself. The
/// end of a partition arrives this way too, and is not an error.
pub fn log_error(error: &KafkaError, reason: &str) {
    use RDKafkaErrorCode::{Authentication, BrokerTransportFailure, Resolve, SSL};
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::PartitionEOF) => {}
        // Repeats many times a second; each broker's own error is logged as a warning.
        Some(RDKafkaErrorCode::AllBrokersDown) => debug!(target: "librdkafka", "{error}: {reason}"),
        Some(BrokerTransportFailure | Resolve | SSL | Authentication) => log_broker_error(reason),
        _ => warn!(target: "librdkafka", "{error}: {reason}"),
    }
}

/// Returns whether an error only repeats what was reported per broker.
pub fn is_of_brokers(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    let code = error.rdkafka_error_code();
    matches!(code, Some(AllBrokersDown | BrokerTransportFailure))
}

/// Logs an error of a broker, unless it was logged recently.
fn log_broker_error(text: &str) {
    let text = without_thread(text);
    let mut reported = lock(&REPORTED);
    match reported.on_error(text, Instant::now()) {
        Some(times) => warn!(target: "librdkafka", times, "{text}"),
        None => debug!(target: "librdkafka", "{text}"),
    }
}

/// Logs which brokers are reachable again, by the statistics of a client.
fn note_reached(statistics: &Statistics) {
    let mut reported = lock(&REPORTED);
    if reported.is_empty() {
        return;
    }
    let up = statistics.brokers.values().filter(|broker| broker.state == "UP");
    for broker in up {
        let name = &broker.nodename;
        if let Some(recovered) = reported.reached(name, Instant::now()) {
            let Recovered { lasted, held_back } = recovered;
            info!(target: "librdkafka", broker = %name, held_back, "the broker is reachable again after {lasted:.0?}");
        }
    }
}
