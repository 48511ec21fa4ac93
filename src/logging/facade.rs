//! What other crates log through the `log` crate, as events of the structured log: with the crate
//! as their target (for the Kafka client that is `librdkafka`), and without the path and line of
//! its source on the machine that built it.

use tracing::level_filters::LevelFilter;
use tracing::{Level, event};

/// The logger of the `log` crate.
struct Facade;

impl log::Log for Facade {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &log::Record<'_>) {
        // The target of an event is part of its declaration.
        macro_rules! forward {
            ($target:literal) => {
                match record.level() {
                    log::Level::Error => event!(target: $target, Level::ERROR, "{}", record.args()),
                    log::Level::Warn => event!(target: $target, Level::WARN, "{}", record.args()),
                    log::Level::Info => event!(target: $target, Level::INFO, "{}", record.args()),
                    log::Level::Debug => event!(target: $target, Level::DEBUG, "{}", record.args()),
                    log::Level::Trace => {}
                }
            };
        }
        match record.target().split("::").next() {
            Some("rdkafka") => forward!("librdkafka"),
            Some("ureq" | "ureq_proto") => forward!("ureq"),
            _ => forward!("log"),
        }
    }

    fn flush(&self) {}
}

/// Forwards what other crates log, at the level of the structured log, which must be set up. Their
/// finest level is left out: at it, the HTTP client for tokens logs URLs with their query, which
/// may hold a key.
pub(super) fn forward() {
    let finest = match LevelFilter::current() {
        LevelFilter::OFF => log::LevelFilter::Off,
        LevelFilter::ERROR => log::LevelFilter::Error,
        LevelFilter::WARN => log::LevelFilter::Warn,
        LevelFilter::INFO => log::LevelFilter::Info,
        _ => log::LevelFilter::Debug,
    };
    // Fails if it is set already; then that call has set the level too.
    if log::set_logger(&Facade).is_ok() {
        log::set_max_level(finest);
    }
}
