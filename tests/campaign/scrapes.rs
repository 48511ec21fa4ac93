//! Judges a relay's answers at `/metrics`: a missing answer, a missing series, counters that do not
//! add up. The answers and the time between them come from outside.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;

use crate::counters::{Counted, Page, check_account};
use crate::ledger::Ledger;
use crate::violations::Violation;

/// Longest time for which a running relay may give no answer, as while it closes its clients.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(150);
/// Number of bad pages allowed in a row: the page of a process that is ending may be truncated.
const BAD_PAGES_MAX: u32 = 1;
/// Longest time that one missing answer counts for, since the campaign itself may have asked late.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Status and body, or the error if there is no answer.
pub type Answer = anyhow::Result<(u16, String)>;

/// The state of one process, from its answers so far.
#[derive(Debug, Default)]
pub struct Scrapes {
    /// The counters of its last good page.
    pub last: Counted,
    silent: Duration,
    bad_pages: u32,
}

impl Scrapes {
    /// Restarts the measurement of silence while the process cannot answer.
    pub fn reset_silence(&mut self) {
        self.silent = Duration::ZERO;
    }

    /// Adds an answer, with the time since the previous scrape.
    pub fn add(&mut self, relay: &str, answer: &Answer, since: Duration, ledger: &Ledger) {
        let (_, page) = match answer {
            Ok(answer) => answer,
            Err(error) => return self.add_failure(relay, error, since, ledger),
        };
        self.silent = Duration::ZERO;
        match read(answer, &self.last) {
            Ok(counted) => (self.last, self.bad_pages) = (counted, 0),
            Err(error) => {
                self.bad_pages += 1;
                // Add one violation only.
                if self.bad_pages == BAD_PAGES_MAX + 1 {
                    let bytes = page.len();
                    let what = format!("relay {relay}, in a page of {bytes} bytes: {error:#}");
                    ledger.add_violation(Violation::Unaccounted, what);
                }
            }
        }
    }

    fn add_failure(
        &mut self,
        relay: &str,
        error: &anyhow::Error,
        since: Duration,
        ledger: &Ledger,
    ) {
        let before = self.silent;
        self.silent += since.min(LOOK_MAX);
        if before < SILENCE_LIMIT && self.silent >= SILENCE_LIMIT {
            let what =
                format!("relay {relay} runs and has not answered for {SILENCE_LIMIT:?}: {error:#}");
            ledger.add_violation(Violation::Stalled, what);
        }
    }
}

/// Reads the counters of an answer.
fn read(answer: &Answer, before: &Counted) -> anyhow::Result<Counted> {
    let page = good_page(answer)?;
    Counted::of(&Page::parse(page)?, before)
}

fn good_page(answer: &Answer) -> anyhow::Result<&str> {
    match answer {
        Ok((status, page)) => {
            ensure!(*status == 200, "the status is {status}");
            Ok(page)
        }
        Err(error) => anyhow::bail!("no answer: {error:#}"),
    }
}

/// The answer of an idle relay at the end of a run.
pub struct FinalAnswer {
    pub relay: String,
    pub before: Counted,
    pub answer: Answer,
}

impl FinalAnswer {
    /// Whether it is complete enough to be judged.
    pub fn is_good(&self) -> bool {
        read(&self.answer, &self.before).is_ok()
    }
}

/// Judges the final answers of all relays, and returns the number of partitions that were read. The
/// relays must be idle, since they count a record as read before they count its fate.
pub fn judge_final_answers(answers: &[FinalAnswer], ledger: &Ledger) -> usize {
    let mut partitions: BTreeSet<String> = BTreeSet::new();
    for FinalAnswer { relay, before, answer } in answers {
        let account = read(answer, before).and_then(|_| {
            let page = Page::parse(good_page(answer)?)?;
            Ok(check_account(&page))
        });
        match account {
            Ok(account) => {
                partitions.extend(account.partitions_read);
                for violation in account.violations {
                    ledger.add_violation(
                        Violation::Unaccounted,
                        format!("relay {relay}: {violation}"),
                    );
                }
            }
            Err(error) => ledger.add_violation(
                Violation::Unaccounted,
                format!("relay {relay} does not report its counters: {error:#}"),
            ),
        }
    }
    partitions.len()
}
