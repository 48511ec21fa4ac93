//! `top`: shows the state of running relays, again and again. It reads their `/status`.

mod screen;

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};

use crate::commands::arguments::TopArgs;
use crate::status::Status;
use screen::{Screen, Size};

/// Longest time for one relay to answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// Where a relay listens if its configuration does not say otherwise.
const DEFAULT_ADDRESS: &str = "127.0.0.1:9464";

/// Clears the terminal from its upper left corner on.
const CLEAR: &str = "\x1b[H\x1b[J";

/// What one relay answered, or why it did not.
struct Answer {
    address: String,
    status: Result<Status, String>,
}

/// Shows the relays until it is interrupted, or once.
///
/// # Errors
/// Fails if the output cannot be written. With `--once`, fails also if a relay does not answer.
pub fn top(arguments: &TopArgs) -> anyhow::Result<()> {
    let addresses = addresses(arguments)?;
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(ANSWER_WAIT_MAX)).build().into();
    let once = arguments.once || !std::io::stdout().is_terminal();
    let mut screen = Screen::default();
    loop {
        let began = Instant::now();
        let answers = ask_all(&agent, &addresses);
        let size = if once { Size::UNLIMITED } else { Size::of_terminal() };
        let frame = screen.frame(&answers, size);
        let mut out = std::io::stdout().lock();
        write!(out, "{}{frame}", if once { "" } else { CLEAR })?;
        out.flush()?;
        if once {
            return all_answered(&answers);
        }
        let interval = Duration::from_secs(u64::from(arguments.interval));
        std::thread::sleep(interval.saturating_sub(began.elapsed()));
    }
}

fn all_answered(answers: &[Answer]) -> anyhow::Result<()> {
    let silent = answers.iter().filter(|answer| answer.status.is_err()).count();
    if silent > 0 {
        bail!("{silent} of {} relays did not answer", answers.len());
    }
    Ok(())
}

/// Returns the URL of each relay's status: those of the arguments, or else that of the
/// configuration.
fn addresses(arguments: &TopArgs) -> anyhow::Result<Vec<String>> {
    if !arguments.addresses.is_empty() {
        return Ok(arguments.addresses.iter().map(|address| url(address)).collect());
    }
    if arguments.config.config.is_none() {
        return Ok(vec![url(DEFAULT_ADDRESS)]);
    }
    let config = super::load_config(&arguments.config)?;
    let mut listen = config.admin.listen;
    if listen.ip().is_unspecified() {
        // Listens on all addresses; this machine's own is one of them.
        listen.set_ip(match listen.is_ipv4() {
            true => std::net::Ipv4Addr::LOCALHOST.into(),
            false => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok(vec![url(&listen.to_string())])
}

/// Returns the URL of the status of a relay, from an address or the URL of its page.
fn url(address: &str) -> String {
    let with_scheme = match address.contains("://") {
        true => address.to_string(),
        false => format!("http://{address}"),
    };
    let page = with_scheme.trim_end_matches('/');
    match page.ends_with("/status") {
        true => page.to_string(),
        false => format!("{page}/status"),
    }
}

/// Asks all relays at once, so that one that is silent does not delay the others.
fn ask_all(agent: &ureq::Agent, addresses: &[String]) -> Vec<Answer> {
    std::thread::scope(|scope| {
        let asking: Vec<_> =
            addresses.iter().map(|address| scope.spawn(move || ask(agent, address))).collect();
        let answers = asking.into_iter().zip(addresses);
        answers
            .map(|(asking, address)| Answer {
                address: address.clone(),
                status: asking
                    .join()
                    .unwrap_or_else(|_| Err(anyhow!("the request failed")))
                    .map_err(|error| format!("{error:#}")),
            })
            .collect()
    })
}

fn ask(agent: &ureq::Agent, address: &str) -> anyhow::Result<Status> {
    let mut answer = agent.get(address).call()?;
    let text = answer.body_mut().read_to_string()?;
    serde_json::from_str(&text).context("not the status of an audit-relay of this version")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DefaultValue, SETTINGS};

    #[test]
    fn the_default_address_is_that_of_the_configuration() {
        let listen = SETTINGS.iter().find(|setting| setting.key == "admin.listen");
        let Some(DefaultValue::Value(listen)) = listen.map(|setting| setting.default) else {
            panic!("admin.listen has a default");
        };
        assert_eq!(listen, format!("{DEFAULT_ADDRESS:?}"));
    }

    #[test]
    fn an_address_or_a_page_leads_to_the_status() {
        for (address, expected) in [
            ("127.0.0.1:9464", "http://127.0.0.1:9464/status"),
            ("http://relay:9464/", "http://relay:9464/status"),
            ("https://bus/audit/", "https://bus/audit/status"),
            ("http://relay:9464/status", "http://relay:9464/status"),
        ] {
            assert_eq!(url(address), expected);
        }
    }
}
