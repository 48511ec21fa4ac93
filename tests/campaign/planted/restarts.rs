//! Plants relays that end, and checks which ones are found to only restart.

use std::path::Path;
use std::time::Duration;

use crate::restarts::{Restarts, SHORT_LIFE, SHORT_LIVES_MAX};

/// An event in the life of a relay.
enum RelayEvent {
    /// It ends by itself this many times, after this lifetime.
    Ends(u32, &'static str, Duration),
    /// A fault explains the exits so far.
    Reset,
}

/// Checks that a relay that only restarts is named, and no other.
pub fn find() -> Result<(), String> {
    use RelayEvent::{Ends, Reset};
    const FEW: u32 = SHORT_LIVES_MAX - 1;
    const LONG_LIFE: Duration = SHORT_LIFE.saturating_mul(2);
    let short = |times, relay| Ends(times, relay, SHORT_LIFE);
    let apart = [short(FEW, "a"), Reset, short(FEW, "a"), short(FEW, "b")];
    let lives = [
        short(FEW, "a"),
        Ends(1, "a", LONG_LIFE),
        short(FEW, "a"),
        Ends(SHORT_LIVES_MAX, "b", LONG_LIFE),
    ];
    must_name("few short lives", &apart, None)?;
    must_name("some long lives", &lives, None)?;
    let loops = [short(SHORT_LIVES_MAX, "b"), short(FEW, "a")];
    must_name("one only restarts", &loops, Some("b"))
}

/// Fails unless this relay, or none, is named with the last lines of its log.
fn must_name(what: &str, events: &[RelayEvent], expected: Option<&str>) -> Result<(), String> {
    let log = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    std::fs::write(&log, "the topic is missing").map_err(|error| error.to_string())?;
    let found = after(events, log.path()).check();
    let found = found.err().map(|error| error.to_string());
    let is_right = match (&found, expected) {
        (Some(found), Some(relay)) => {
            found.starts_with(&format!("relay {relay} ")) && found.contains("the topic is missing")
        }
        (found, expected) => found.is_none() && expected.is_none(),
    };
    match is_right {
        true => Ok(()),
        false => Err(format!("{what}: {found:?}, not {expected:?}")),
    }
}

fn after(events: &[RelayEvent], log: &Path) -> Restarts {
    let mut restarts = Restarts::default();
    for event in events {
        match event {
            RelayEvent::Ends(times, relay, lived) => {
                (0..*times).for_each(|_| restarts.ended(relay, *lived, log));
            }
            RelayEvent::Reset => restarts.reset(),
        }
    }
    restarts
}
