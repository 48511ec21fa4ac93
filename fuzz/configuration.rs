//! What must hold of any bytes that are read as a configuration. Unlike the other properties it
//! needs the relay, and with it librdkafka.

use audit_relay::config::{Client, Config};

/// A configuration is either taken or refused with reasons; what follows a NUL is a variable of the
/// environment.
pub fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // No file that a secret may name is to be read.
    if text.contains("file") || text.contains("\\") {
        return;
    }
    let whole = text;
    let (text, variables) = text.split_once('\0').unwrap_or((text, ""));
    let variables = variables.split('\0').filter_map(|variable| {
        let (name, value) = variable.split_once('=')?;
        Some((name.to_string(), value.to_string()))
    });
    match Config::from_toml(text, variables) {
        Ok(config) => {
            let shown = format!("{config:?}");
            let secret = config.kafka.get(Client::Consumer, "sasl.password");
            // One that stands elsewhere as well is no secret.
            let secret =
                secret.filter(|secret| secret.len() > 5 && whole.matches(secret).count() == 1);
            assert!(
                !secret.is_some_and(|secret| shown.contains(secret)),
                "a secret is shown: {shown}"
            );
        }
        Err(problems) => {
            let problems = problems.0.iter().map(ToString::to_string);
            let mut problems = problems.peekable();
            assert!(problems.peek().is_some(), "refused without a reason");
            assert!(problems.all(|problem| !problem.trim().is_empty()));
        }
    }
}
