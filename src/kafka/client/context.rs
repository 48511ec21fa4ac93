//! What every client of ours shares: librdkafka's log lines and errors go to our structured log,
//! each with the facility that librdkafka gave it.

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use tracing::{debug, error, info, warn};

use super::broker_trouble::{REPORTED, Recovered, without_thread};
use crate::kafka::client::oauth;

/// How long a client's first events are served.
const BEGINNING: Duration = Duration::from_millis(5);
/// How long a client's complaints are listened to.
const SERVING: Duration = Duration::from_millis(50);

/// The facility of lines about connections that failed.
const FAIL: &str = "FAIL";

/// Events that are served at once.
const EVENTS_AT_ONCE: usize = 32;

/// The context of every client of ours: it logs, and has tokens made. What else is made of what the
/// client reports, its listener knows.
#[derive(Debug, Default)]
pub struct Logged<L>(pub L);

/// Hears what a client reports beside the answers to its calls.
pub trait Listener: Send + Sync {
    /// An error, which the client goes on after.
    fn error(&self, _error: &KafkaError, _reason: &str) {}

    /// A line of the client's log.
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _message: &str) {}

    /// Statistics, if they were asked for.
    fn statistics(&self, _statistics: &Statistics) {}
}

impl<L: Listener> ClientContext for Logged<L> {
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

/// Needs to know nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

/// A context that does nothing but log.
pub type LoggingContext = Logged<Nobody>;

impl Listener for Nobody {}

impl ConsumerContext for LoggingContext {}

/// Keeps the last error, which says why a call got no answer.
#[derive(Debug, Default)]
pub struct LastError(Mutex<Option<Noted>>);

/// A context that logs, and keeps the last error.
pub type NotingContext = Logged<LastError>;

/// An error that the client reported beside its calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// What it is about, if the client has a code for it.
    pub code: Option<RDKafkaErrorCode>,
    /// What the client says.
    pub text: String,
}

impl Noted {
    /// Whether the broker turned the client away, which waiting does not change.
    pub fn is_refusal(&self) -> bool {
        self.code == Some(RDKafkaErrorCode::Authentication)
    }
}

impl LastError {
    /// The last error, if there was one.
    pub fn noted(&self) -> Option<Noted> {
        self.0.lock().ok()?.clone()
    }
}

impl Listener for LastError {
    fn error(&self, error: &KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        // That all brokers are down is said after what ails each of them, and says less.
        if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            return;
        }
        if let Ok(mut noted) = self.0.lock() {
            *noted = Some(Noted { code, text: reason.to_string() });
        }
    }
}

impl ConsumerContext for NotingContext {}

/// Lets a client begin, for a moment: it asks for its token in a poll, and does not connect
/// without. It must not be subscribed to anything yet.
pub fn begin<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    consumer.poll(BEGINNING);
}

/// Lets a client say what it complains of, for a moment. It must not be subscribed to anything:
/// records are dropped.
pub fn serve(consumer: &BaseConsumer<NotingContext>) {
    let since = Instant::now();
    while let Some(left) = SERVING.checked_sub(since.elapsed()) {
        consumer.poll(left);
    }
}

/// Serves what a client that only looks things up has to tell, without waiting: tokens are made
/// here, and errors that nobody takes would pile up. It must not be subscribed to anything: records
/// are dropped.
pub fn serve_events<C: ConsumerContext>(consumer: &BaseConsumer<C>) {
    // A fixed number: the answer does not tell an event that was served from none.
    for _ in 0..EVENTS_AT_ONCE {
        consumer.poll(Duration::ZERO);
    }
}

/// Writes a line of librdkafka's log to ours.
fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    match level {
        // Of a connection that is closed. If it cannot be had again, that is said.
        Notice | Info if facility == FAIL => debug!(target: "librdkafka", facility, "{message}"),
        Emerg | Alert | Critical | Error | Warning if facility == FAIL => complain(message),
        Emerg | Alert | Critical | Error => {
            error!(target: "librdkafka", facility, "{message}")
        }
        Warning => warn!(target: "librdkafka", facility, "{message}"),
        Notice | Info => info!(target: "librdkafka", facility, "{message}"),
        Debug => debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// Writes an error event of librdkafka to our log. These inform: the client goes on by itself. The
/// end of a partition comes this way as well, and is none.
pub fn log_error(error: &KafkaError, reason: &str) {
    use RDKafkaErrorCode::{Authentication, BrokerTransportFailure, Resolve, SSL};
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::PartitionEOF) => {}
        // Said dozens of times a second, each after what ails a broker, which is a warning.
        Some(RDKafkaErrorCode::AllBrokersDown) => debug!(target: "librdkafka", "{error}: {reason}"),
        Some(BrokerTransportFailure | Resolve | SSL | Authentication) => complain(reason),
        _ => warn!(target: "librdkafka", "{error}: {reason}"),
    }
}

/// Whether an error only repeats what was said of the brokers.
pub fn is_of_brokers(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    let code = error.rdkafka_error_code();
    matches!(code, Some(AllBrokersDown | BrokerTransportFailure))
}

/// Writes a complaint of a broker to our log, unless it was said lately.
fn complain(text: &str) {
    let text = without_thread(text);
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    match reported.complain(text, Instant::now()) {
        Some(times) => warn!(target: "librdkafka", times, "{text}"),
        None => debug!(target: "librdkafka", "{text}"),
    }
}

/// A client that reports statistics says which brokers it reaches.
fn note_reached(statistics: &Statistics) {
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.is_empty() {
        return;
    }
    let up = statistics.brokers.values().filter(|broker| broker.state == "UP");
    for broker in up {
        let name = &broker.nodename;
        if let Some(recovered) = reported.reached(name, Instant::now()) {
            let Recovered { lasted, held_back } = recovered;
            info!(target: "librdkafka", broker = %name, held_back, "the broker answers again, after {lasted:.0?}");
        }
    }
}
