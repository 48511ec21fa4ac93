//! The principals: users with constant access, users without, and users whose access is granted and
//! revoked while the load runs. Writes their topic, and knows the expected fate of their actions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::producer::BaseRecord;

use crate::expected::{ACCOUNT, ExpectedFate, Reason, iam_id, instant, user_name};
use crate::now_ms;
use crate::producer::Sender;
use audit_testkit::random::Random;

/// Numbers of users that always have access, that never have it, whose access changes, and that are
/// added during the run.
pub const STEADY: u64 = 20;
const WITHOUT: u64 = 5;
const CHANGING: u64 = 20;
const NEWCOMERS: u64 = 400;
/// Number of guests: users that the topic contains at first, lacks after it is recreated, contains
/// again after the next time, and so on. The entries of all other users stay the same.
const GUESTS: u64 = 400;
/// The relays hold when a table has been silent for this long.
pub const STALENESS_LIMIT: Duration = Duration::from_secs(8);
/// Time after which every relay has received a written revocation, or holds.
pub const SETTLED: Duration = Duration::from_secs(11);
const PAUSE: Duration = Duration::from_millis(400);
/// Start of the validity of initial entries.
const LONG_AGO_MS: i64 = 1_500_000_000_000;

/// A user whose access changes.
struct Principal {
    user: u64,
    history: Vec<Version>,
    /// Whether a version is being written: the fate of an action at this moment is undefined.
    is_changing: bool,
}

#[derive(Clone, Copy)]
struct Version {
    from_ms: i64,
    access: bool,
    written: Instant,
}

/// All principals.
pub struct Principals {
    changing: Mutex<Vec<Principal>>,
    guests: Mutex<Guests>,
    /// Held while entries are written to the topic.
    writing: Mutex<()>,
    topic: String,
}

/// Whether the topic contains the guests, and since when.
#[derive(Clone, Copy)]
struct Guests {
    are_named: bool,
    since: Instant,
}

/// An action of a user, with its expected fate.
pub struct Action {
    pub user: u64,
    pub time_ms: i64,
    pub fate: ExpectedFate,
}

impl Principals {
    /// Writes the initial entries.
    pub fn create(topic: &str, sender: &Sender) -> anyhow::Result<Principals> {
        let principals = Principals {
            changing: Mutex::default(),
            guests: Mutex::new(Guests { are_named: true, since: Instant::now() }),
            writing: Mutex::default(),
            topic: topic.to_string(),
        };
        principals.write_steady(sender)?;
        principals.write_guests(sender)?;
        for index in 0..CHANGING {
            let (user, access) = (6_300_000 + index, index % 2 == 0);
            principals.write(sender, user, LONG_AGO_MS, access)?;
            principals.add(user, LONG_AGO_MS, access);
        }
        sender.flush()?;
        Ok(principals)
    }

    /// Pauses all changes of access while the guard is held.
    pub fn pause(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes all entries again to an empty topic, with the guests if they were left out before,
    /// without them otherwise. All changes must be paused.
    pub fn write_again(&self, sender: &Sender) -> anyhow::Result<()> {
        let are_named = !self.guests().are_named;
        if are_named {
            self.write_guests(sender)?;
        }
        self.write_steady(sender)?;
        for principal in self.lock().iter() {
            for version in &principal.history {
                self.write(sender, principal.user, version.from_ms, version.access)?;
            }
        }
        sender.flush()?;
        *self.guests() = Guests { are_named, since: Instant::now() };
        Ok(())
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_steady(&self, sender: &Sender) -> anyhow::Result<()> {
        (0..STEADY + WITHOUT)
            .try_for_each(|index| self.write(sender, steady(index), LONG_AGO_MS, index < STEADY))
    }

    fn write_guests(&self, sender: &Sender) -> anyhow::Result<()> {
        (0..GUESTS).try_for_each(|index| self.write(sender, guest(index), LONG_AGO_MS, true))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Principal>> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, user: u64, from_ms: i64, access: bool) {
        let version = Version { from_ms, access, written: Instant::now() };
        self.lock().push(Principal { user, history: vec![version], is_changing: false });
    }

    fn write(&self, sender: &Sender, user: u64, from_ms: i64, access: bool) -> anyhow::Result<()> {
        let value = format!(
            "{{\"accountId\":{ACCOUNT},\"userId\":{user},\"iamId\":\"{}\",\"name\":\"{}\",\"linked\":true,\"infrastructureAccess\":{access},\"validFrom\":\"{}\"}}",
            iam_id(user),
            user_name(user),
            instant(from_ms)
        );
        let key = format!("{ACCOUNT}/{user}");
        let record = BaseRecord::with_opaque_to(&self.topic, 0_usize);
        sender.send(record.key(key.as_bytes()).payload(value.as_bytes()))
    }

    /// Grants and revokes access until it is stopped.
    pub fn change_access(
        &self,
        sender: &Sender,
        seed: u64,
        stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        let random = Random::new(seed ^ 0x9e0f);
        let mut newcomers = 0;
        while !stop.load(Ordering::Acquire) {
            let writing = self.pause();
            if newcomers < NEWCOMERS && random.percent(15) {
                // The load uses a newcomer only after the brokers have the grant.
                let (user, from_ms) = (6_400_000 + newcomers, now_ms());
                self.write(sender, user, from_ms, true)?;
                sender.flush()?;
                self.add(user, from_ms, true);
                newcomers += 1;
            } else {
                self.toggle_access(sender, &random)?;
            }
            drop(writing);
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn toggle_access(&self, sender: &Sender, random: &Random) -> anyhow::Result<()> {
        let (index, user, access) = {
            let mut principals = self.lock();
            let index = random.index(principals.len());
            let principal = &mut principals[index];
            principal.is_changing = true;
            let last = principal.history.last();
            (index, principal.user, !last.is_some_and(|version| version.access))
        };
        // Actions of the current millisecond may have been created before the change began.
        let from_ms = now_ms() + 1;
        self.write(sender, user, from_ms, access)?;
        sender.flush()?;
        let mut principals = self.lock();
        principals[index].is_changing = false;
        principals[index].history.push(Version { from_ms, access, written: Instant::now() });
        Ok(())
    }

    /// Creates an action of a guest, or `None` shortly after the guests were removed, since relays
    /// may still know them.
    pub fn action_of_guest(&self, random: &Random) -> Option<Action> {
        let Guests { are_named, since } = *self.guests();
        let fate = match are_named {
            true => ExpectedFate::Audited,
            false if since.elapsed() > SETTLED => {
                ExpectedFate::Quarantined(Reason::UnknownPrincipal)
            }
            false => return None,
        };
        Some(Action { user: guest(random.below(GUESTS)), time_ms: now_ms(), fate })
    }

    /// Creates an action of a user whose access changes, or `None` if its fate is undefined.
    pub fn action_of_changing(&self, random: &Random) -> Option<Action> {
        let principals = self.lock();
        let principal = random.one_of(&principals);
        let newest = principal.history.last()?;
        match random.below(10) {
            // Before the first version, when a newcomer was not known yet.
            0 if principal.history[0].from_ms > LONG_AGO_MS => Some(Action {
                user: principal.user,
                time_ms: principal.history[0].from_ms - 3_600_000,
                fate: ExpectedFate::Quarantined(Reason::UnknownPrincipal),
            }),
            // At a time in the past, between two versions.
            1..=3 if principal.history.len() > 1 => {
                let at = random.index(principal.history.len() - 1);
                let (version, next) = (principal.history[at], principal.history[at + 1]);
                let time_ms = version.from_ms + (next.from_ms - version.from_ms) / 2;
                Some(principal.action(version, time_ms))
            }
            _ if principal.is_changing => None,
            _ => Some(principal.action(*newest, now_ms().max(newest.from_ms))),
        }
    }
}

impl Principal {
    fn action(&self, version: Version, time_ms: i64) -> Action {
        let fate = match version.access {
            true => ExpectedFate::Audited,
            false if version.written.elapsed() > SETTLED => ExpectedFate::Skipped,
            // A relay may still know only the version before.
            false => ExpectedFate::AuditedOrSkipped,
        };
        Action { user: self.user, time_ms, fate }
    }
}

/// A user whose access never changes; the first [`STEADY`] have access.
pub fn steady(index: u64) -> u64 {
    6_100_000 + index
}

fn guest(index: u64) -> u64 {
    6_800_000 + index
}

/// A user who never has access.
pub fn without_access(random: &Random) -> u64 {
    steady(STEADY + random.below(WITHOUT))
}

/// A user that no table contains.
pub fn unknown_user(random: &Random) -> u64 {
    6_900_000 + random.below(1_000)
}
