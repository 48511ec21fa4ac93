//! Where the log goes: to standard error, as text for a person at a terminal and as one JSON object
//! a line for everything else. What is logged is decided where it happens.

pub(crate) mod quiet;

use std::io::IsTerminal;

use tracing::warn;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogFormat;

/// Overrides the configured level, also by module: `RUST_LOG=info,librdkafka=debug`.
const OVERRIDE: &str = "RUST_LOG";

/// Begins to log lines of this level (`error` to `trace`) and above, those of the `log` crate among
/// them. A second call changes nothing: the first format and level stay.
pub fn init(format: LogFormat, level: &str) {
    let terminal = std::io::stderr().is_terminal();
    let (filter, refused) = filter(std::env::var(OVERRIDE).ok().as_deref(), level);
    let builder = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    let begun = if as_json(format, terminal) {
        let builder = builder.json().flatten_event(true);
        builder.with_current_span(false).with_span_list(false).finish().try_init()
    } else {
        let colourless = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        builder.with_ansi(terminal && !colourless).finish().try_init()
    };
    // At its finest level, the client for tokens tells a URL with its query, which may hold a key.
    log::set_max_level(log::max_level().min(log::LevelFilter::Debug));
    if let (Ok(()), Some(refused)) = (begun, refused) {
        warn!("{OVERRIDE} is ignored: {refused}");
    }
}

fn as_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}

/// The filter, and what is wrong with the override if it cannot be used.
fn filter(wanted: Option<&str>, level: &str) -> (EnvFilter, Option<String>) {
    let wanted = wanted.filter(|wanted| !wanted.trim().is_empty());
    match wanted.map(EnvFilter::try_new) {
        None => (EnvFilter::new(level), None),
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(level), Some(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_overrides_the_level_if_it_can() {
        let text = |wanted, level| filter(wanted, level).0.to_string();
        assert_eq!(text(None, "warn"), "warn");
        assert_eq!(text(Some(" "), "warn"), "warn");
        assert_eq!(text(Some("librdkafka=debug"), "warn"), "librdkafka=debug");
        let (filter, refused) = filter(Some("a=b=c"), "warn");
        assert_eq!(filter.to_string(), "warn");
        assert!(refused.is_some());
    }

    #[test]
    fn text_is_for_terminals() {
        assert!(!as_json(LogFormat::Auto, true));
        assert!(as_json(LogFormat::Auto, false));
        assert!(!as_json(LogFormat::Text, false));
        assert!(as_json(LogFormat::Json, true));
    }
}
