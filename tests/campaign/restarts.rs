//! When to give up: a relay that only starts and ends will not do better for being started once
//! more, and what is wrong stands in its log. It knows no clock; who looks after the relays says
//! how long they lived.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;

use audit_testkit::last_lines;

/// A relay that ends this soon has done no more than start.
pub const SHORT_LIFE: Duration = Duration::from_secs(5);
/// So many short lives in a row are no accident. With the pauses between them they take some twenty
/// seconds.
pub const SHORT_LIVES_MAX: u32 = 20;

/// The short lives in a row of each relay that ended by itself.
#[derive(Debug, Default)]
pub struct Restarts(BTreeMap<String, ShortLives>);

#[derive(Debug, Default)]
struct ShortLives {
    count: u32,
    /// Of the last one.
    log: PathBuf,
}

impl Restarts {
    /// Notes that a relay has ended by itself, and after what time.
    pub fn ended(&mut self, relay: &str, lived: Duration, log: &Path) {
        if lived > SHORT_LIFE {
            self.0.remove(relay);
            return;
        }
        let lives = self.0.entry(relay.to_string()).or_default();
        lives.count += 1;
        lives.log = log.to_path_buf();
    }

    /// Forgets what ended so far: a fault may have been the reason.
    pub fn excuse(&mut self) {
        self.0.clear();
    }

    /// Fails with the last lines of its log if a relay only starts and ends.
    pub fn check(&self) -> anyhow::Result<()> {
        for (relay, ShortLives { count, log }) in &self.0 {
            if *count >= SHORT_LIVES_MAX {
                bail!(
                    "relay {relay} ended by itself {count} times in a row within {SHORT_LIFE:?} of its start, and no fault is in force; {} ends with\n{}",
                    log.display(),
                    last_lines(log)
                );
            }
        }
        Ok(())
    }
}
