//! Decides when to give up on a relay that only restarts: another start will not help, and its log
//! has the reason. The caller measures how long each process lived.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;

use audit_testkit::last_lines;

/// A relay that ends within this time has only started.
pub const SHORT_LIFE: Duration = Duration::from_secs(5);
/// Number of short lives in a row that ends a run. With the pauses between them they take about
/// twenty seconds.
pub const SHORT_LIVES_MAX: u32 = 20;

/// The consecutive short lives of each relay that ended by itself.
#[derive(Debug, Default)]
pub struct Restarts(BTreeMap<String, ShortLives>);

#[derive(Debug, Default)]
struct ShortLives {
    count: u32,
    /// The log of the last one.
    log: PathBuf,
}

impl Restarts {
    /// Notes that a relay has ended by itself after this time.
    pub fn ended(&mut self, relay: &str, lived: Duration, log: &Path) {
        if lived > SHORT_LIFE {
            self.0.remove(relay);
            return;
        }
        let lives = self.0.entry(relay.to_string()).or_default();
        lives.count += 1;
        lives.log = log.to_path_buf();
    }

    /// Forgets all exits so far, since a fault may have caused them.
    pub fn reset(&mut self) {
        self.0.clear();
    }

    /// Fails with the last lines of its log if a relay only restarts.
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
