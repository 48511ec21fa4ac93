//! Sets up the log: to standard error, as text on a terminal and as one JSON object per line
//! otherwise.

mod facade;
pub(crate) mod quiet;

use std::io::IsTerminal;

use tracing::warn;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// Overrides the configured level, also by module: `RUST_LOG=info,librdkafka=debug`.
const OVERRIDE: &str = "RUST_LOG";

/// Starts to log at this level (`error` to `trace`) and above, including events of the `log` crate.
/// Only the first call has an effect.
pub fn init(format: LogFormat, level: &str) {
    let terminal = std::io::stderr().is_terminal();
    let (filter, error) = filter(std::env::var(OVERRIDE).ok().as_deref(), level);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log = tracing_subscriber::registry().with(filter);
    let started = if as_json(format, terminal) {
        let lines = lines.json().flatten_event(true);
        log.with(lines.with_current_span(false).with_span_list(false)).try_init()
    } else {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        log.with(lines.with_ansi(terminal && !no_color)).try_init()
    };
    if started.is_err() {
        return;
    }
    facade::forward();
    if let Some(error) = error {
        warn!("ignoring {OVERRIDE}, which is not a valid filter: {error}");
    }
}

fn as_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}

/// Returns the filter, and the error if the override is not valid.
fn filter(overridden: Option<&str>, level: &str) -> (Targets, Option<ParseError>) {
    let overridden = overridden.filter(|text| !text.trim().is_empty());
    // The configuration has checked the level.
    let configured = || level.parse().unwrap_or_default();
    match overridden.map(str::parse) {
        None => (configured(), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (configured(), Some(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_override_replaces_the_level() {
        let text = |overridden, level| filter(overridden, level).0.to_string();
        assert_eq!(text(None, "warn"), "warn");
        assert_eq!(text(Some(" "), "warn"), "warn");
        assert_eq!(text(Some("librdkafka=debug"), "warn"), "librdkafka=debug");
        let (filter, error) = filter(Some("a=b=c"), "warn");
        assert_eq!(filter.to_string(), "warn");
        assert!(error.is_some());
    }

    #[test]
    fn automatic_format_is_text_only_on_terminals() {
        assert!(!as_json(LogFormat::Auto, true));
        assert!(as_json(LogFormat::Auto, false));
        assert!(!as_json(LogFormat::Text, false));
        assert!(as_json(LogFormat::Json, true));
    }
}
