//! Plants relays that end, and looks at who is found to do nothing else.

use std::path::Path;
use std::time::Duration;

use crate::restarts::{Restarts, SHORT_LIFE, SHORT_LIVES_MAX};

/// What becomes of a relay in turn.
enum Fortune {
    /// It ends by itself so often, after this time.
    Ends(u32, &'static str, Duration),
    /// A fault explains what ended.
    Excused,
}

/// Who only restarts is named, and nobody else.
pub fn find() -> Result<(), String> {
    use Fortune::{Ends, Excused};
    const FEW: u32 = SHORT_LIVES_MAX - 1;
    const LONG_LIFE: Duration = SHORT_LIFE.saturating_mul(2);
    let short = |times, relay| Ends(times, relay, SHORT_LIFE);
    let apart = [short(FEW, "a"), Excused, short(FEW, "a"), short(FEW, "b")];
    let lives = [
        short(FEW, "a"),
        Ends(1, "a", LONG_LIFE),
        short(FEW, "a"),
        Ends(SHORT_LIVES_MAX, "b", LONG_LIFE),
    ];
    must_name("none is so bad", &apart, None)?;
    must_name("some live long", &lives, None)?;
    let loops = [short(SHORT_LIVES_MAX, "b"), short(FEW, "a")];
    must_name("one only restarts", &loops, Some("b"))
}

/// Fails unless this relay, or none, is named, and with the last lines of its log.
fn must_name(what: &str, fortunes: &[Fortune], expected: Option<&str>) -> Result<(), String> {
    let log = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    std::fs::write(&log, "the topic is missing").map_err(|error| error.to_string())?;
    let found = after(fortunes, log.path()).check();
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

fn after(fortunes: &[Fortune], log: &Path) -> Restarts {
    let mut restarts = Restarts::default();
    for fortune in fortunes {
        match fortune {
            Fortune::Ends(times, relay, lived) => {
                (0..*times).for_each(|_| restarts.ended(relay, *lived, log));
            }
            Fortune::Excused => restarts.excuse(),
        }
    }
    restarts
}
