//! The principals: who always has access, who never has, and those to whom it is granted and from
//! whom it is taken while the load runs. It writes their topic, and knows what may be demanded of
//! an action of theirs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::producer::BaseRecord;

use crate::demand::{ACCOUNT, Demand, Reason, iam_id, instant, user_name};
use crate::now_ms;
use crate::producer::Sender;
use audit_testkit::random::Random;

/// Users that always have access, that never have, that change, and that are not there at first.
pub const STEADY: u64 = 20;
const WITHOUT: u64 = 5;
const CHANGING: u64 = 20;
const NEWCOMERS: u64 = 400;
/// Users that the topic names at first, and not any more when it was made anew, and again when it
/// was made anew once more: so it is shorter and longer in turn, and says the same of all others.
const GUESTS: u64 = 400;
/// The relays hold when they have not heard of a table for so long.
pub const STALENESS_LIMIT: Duration = Duration::from_secs(8);
/// So long after a revocation was written every relay knows of it, or holds.
pub const SETTLED: Duration = Duration::from_secs(11);
const PAUSE: Duration = Duration::from_millis(400);
/// What holds from the beginning was true long before.
const LONG_AGO_MS: i64 = 1_500_000_000_000;

/// A user whose access changes.
struct Person {
    user: u64,
    history: Vec<Version>,
    /// Whether a version is on its way to the topic: nothing can be demanded of an action of now.
    is_changing: bool,
}

#[derive(Clone, Copy)]
struct Version {
    from_ms: i64,
    access: bool,
    written: Instant,
}

/// All of them.
pub struct People {
    changing: Mutex<Vec<Person>>,
    guests: Mutex<Guests>,
    /// Held by who writes to the topic.
    writing: Mutex<()>,
    topic: String,
}

/// What the topic says of the guests.
#[derive(Clone, Copy)]
struct Guests {
    are_named: bool,
    since: Instant,
}

/// An action of somebody.
pub struct Action {
    pub user: u64,
    pub time_ms: i64,
    pub demand: Demand,
}

impl People {
    /// Writes who is there at first.
    pub fn settle(topic: &str, sender: &Sender) -> anyhow::Result<People> {
        let people = People {
            changing: Mutex::default(),
            guests: Mutex::new(Guests { are_named: true, since: Instant::now() }),
            writing: Mutex::default(),
            topic: topic.to_string(),
        };
        people.write_steady(sender)?;
        people.write_guests(sender)?;
        for index in 0..CHANGING {
            let (user, access) = (6_300_000 + index, index % 2 == 0);
            people.write(sender, user, LONG_AGO_MS, access)?;
            people.add(user, LONG_AGO_MS, access);
        }
        sender.flush()?;
        Ok(people)
    }

    /// As long as this is held, nobody's access changes.
    pub fn rest(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes everything once more, to a topic that is empty, but for the guests, or with them;
    /// while all rest.
    pub fn write_again(&self, sender: &Sender) -> anyhow::Result<()> {
        let are_named = !self.guests().are_named;
        if are_named {
            self.write_guests(sender)?;
        }
        self.write_steady(sender)?;
        for person in self.lock().iter() {
            for version in &person.history {
                self.write(sender, person.user, version.from_ms, version.access)?;
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

    fn lock(&self) -> MutexGuard<'_, Vec<Person>> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, user: u64, from_ms: i64, access: bool) {
        let version = Version { from_ms, access, written: Instant::now() };
        self.lock().push(Person { user, history: vec![version], is_changing: false });
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

    /// Grants and takes access until told to stop.
    pub fn change(&self, sender: &Sender, seed: u64, stop: &AtomicBool) -> anyhow::Result<()> {
        let random = Random::new(seed ^ 0x9e0f);
        let mut newcomers = 0;
        while !stop.load(Ordering::Acquire) {
            let writing = self.rest();
            if newcomers < NEWCOMERS && random.percent(15) {
                // A newcomer is known to nobody before the brokers have the grant.
                let (user, from_ms) = (6_400_000 + newcomers, now_ms());
                self.write(sender, user, from_ms, true)?;
                sender.flush()?;
                self.add(user, from_ms, true);
                newcomers += 1;
            } else {
                self.flip(sender, &random)?;
            }
            drop(writing);
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn flip(&self, sender: &Sender, random: &Random) -> anyhow::Result<()> {
        let (index, user, access) = {
            let mut people = self.lock();
            let index = random.index(people.len());
            let person = &mut people[index];
            person.is_changing = true;
            let last = person.history.last();
            (index, person.user, !last.is_some_and(|version| version.access))
        };
        // Actions of this very millisecond were made up before this one began to change.
        let from_ms = now_ms() + 1;
        self.write(sender, user, from_ms, access)?;
        sender.flush()?;
        let mut people = self.lock();
        people[index].is_changing = false;
        people[index].history.push(Version { from_ms, access, written: Instant::now() });
        Ok(())
    }

    /// An action of a guest. Relays may still know one who is not named any more, so nothing can be
    /// demanded at first.
    pub fn act_as_guest(&self, random: &Random) -> Option<Action> {
        let Guests { are_named, since } = *self.guests();
        let demand = match are_named {
            true => Demand::Audited,
            false if since.elapsed() > SETTLED => Demand::Quarantined(Reason::UnknownPrincipal),
            false => return None,
        };
        Some(Action { user: guest(random.below(GUESTS)), time_ms: now_ms(), demand })
    }

    /// An action of somebody whose access changes, and what must become of it.
    pub fn act(&self, random: &Random) -> Option<Action> {
        let people = self.lock();
        let person = random.one_of(&people);
        let newest = person.history.last()?;
        match random.below(10) {
            // Before the first version: a newcomer was not known then.
            0 if person.history[0].from_ms > LONG_AGO_MS => Some(Action {
                user: person.user,
                time_ms: person.history[0].from_ms - 3_600_000,
                demand: Demand::Quarantined(Reason::UnknownPrincipal),
            }),
            // At some time in the past, between two versions.
            1..=3 if person.history.len() > 1 => {
                let at = random.index(person.history.len() - 1);
                let (version, next) = (person.history[at], person.history[at + 1]);
                let time_ms = version.from_ms + (next.from_ms - version.from_ms) / 2;
                Some(person.action(version, time_ms))
            }
            _ if person.is_changing => None,
            _ => Some(person.action(*newest, now_ms().max(newest.from_ms))),
        }
    }
}

impl Person {
    fn action(&self, version: Version, time_ms: i64) -> Action {
        let demand = match version.access {
            true => Demand::Audited,
            false if version.written.elapsed() > SETTLED => Demand::Skipped,
            // What was true before might still be all that a relay knows.
            false => Demand::AuditedOrSkipped,
        };
        Action { user: self.user, time_ms, demand }
    }
}

/// A user whose access never changes; the first [`STEADY`] have it.
pub fn steady(index: u64) -> u64 {
    6_100_000 + index
}

fn guest(index: u64) -> u64 {
    6_800_000 + index
}

/// Somebody who has no access, ever.
pub fn without(random: &Random) -> u64 {
    steady(STEADY + random.below(WITHOUT))
}

/// Somebody whom nobody knows.
pub fn stranger(random: &Random) -> u64 {
    6_900_000 + random.below(1_000)
}
