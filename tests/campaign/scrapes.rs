//! What is made of a relay's answers at `/metrics`: of none at all, of one that lacks a series, and
//! of one that does not add up. It is fed with answers, knows no clock, and asks nobody.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;

use crate::complaints::Wrong;
use crate::counters::{Counted, Page, check_account};
use crate::ledger::Ledger;

/// A relay that runs may leave this much time without an answer: while it closes its clients, it
/// gives none.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(150);
/// The page of a process that is just ending may be cut off, but not twice in a row.
const BAD_PAGES_MAX: u32 = 1;
/// The campaign itself may have been late to ask, which is no silence of the relay.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// Status and body, or why there is no answer.
pub type Answer = anyhow::Result<(u16, String)>;

/// What a process has said so far.
#[derive(Debug, Default)]
pub struct Hearing {
    /// Its last good page.
    pub last: Counted,
    silent: Duration,
    bad_pages: u32,
}

impl Hearing {
    /// It cannot answer now.
    pub fn excuse(&mut self) {
        self.silent = Duration::ZERO;
    }

    /// Takes an answer, and how long ago it was asked before.
    pub fn hear(&mut self, relay: &str, answer: &Answer, since: Duration, ledger: &Ledger) {
        let (_, page) = match answer {
            Ok(answer) => answer,
            Err(error) => return self.heard_nothing(relay, error, since, ledger),
        };
        self.silent = Duration::ZERO;
        match read(answer, &self.last) {
            Ok(counted) => (self.last, self.bad_pages) = (counted, 0),
            Err(error) => {
                self.bad_pages += 1;
                // One complaint is enough.
                if self.bad_pages == BAD_PAGES_MAX + 1 {
                    let bytes = page.len();
                    let what = format!("relay {relay}, in a page of {bytes} bytes: {error:#}");
                    ledger.complain(Wrong::Unaccounted, what);
                }
            }
        }
    }

    fn heard_nothing(
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
            ledger.complain(Wrong::Stalled, what);
        }
    }
}

/// What a page counts.
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

/// The answer of a relay that rests, for the last judgement.
pub struct Last {
    pub relay: String,
    pub before: Counted,
    pub answer: Answer,
}

impl Last {
    /// Whether it is one that can be judged.
    pub fn is_good(&self) -> bool {
        read(&self.answer, &self.before).is_ok()
    }
}

/// Judges what all relays say at last, and returns of how many partitions something was read. What
/// was read and its fates are counted one after the other, so that this holds while nothing is read
/// only.
pub fn judge_last(answers: &[Last], ledger: &Ledger) -> usize {
    let mut partitions: BTreeSet<String> = BTreeSet::new();
    for Last { relay, before, answer } in answers {
        let account = read(answer, before).and_then(|_| {
            let page = Page::parse(good_page(answer)?)?;
            Ok(check_account(&page))
        });
        match account {
            Ok(account) => {
                partitions.extend(account.partitions_read);
                for wrong in account.wrong {
                    ledger.complain(Wrong::Unaccounted, format!("relay {relay}: {wrong}"));
                }
            }
            Err(error) => ledger.complain(
                Wrong::Unaccounted,
                format!("relay {relay} does not say what it has counted: {error:#}"),
            ),
        }
    }
    partitions.len()
}
