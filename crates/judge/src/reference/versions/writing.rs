//! Changes the versions of a key. In a topic the order of writing counts: a record replaces
//! everything written before it about the time from its beginning on. A file has no such order, so
//! the order of validity counts. Decision 14 gives the rules and their reasons.

use jiff::{SignedDuration, Timestamp};

use super::raw::{
    EXPLICIT, REMOVED, RETURNED, Raw, SUBMILLIS, UNREADABLE, after_newest, skip, two_newest,
};
use super::version::{Version, VersionChange};
use crate::reference::packing::{Packed, PackedValue, Reader, has_submillis, put_bytes, put_time};

/// Most versions of one key. Beyond them the oldest are dropped, so that one busy key cannot grow
/// without limit.
pub const VERSIONS_MAX: usize = 1_000;
/// Most bytes of one key's versions, for the same reason: each change copies them.
pub const VERSIONS_BYTES_MAX: usize = 1 << 20;
/// Versions that are kept whatever their size.
pub const VERSIONS_KEPT_MIN: usize = 16;

/// How long a table remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History(pub SignedDuration);

impl History {
    /// Returns how long a removal is remembered: twice the history. A value written within that
    /// time cannot begin before the removal.
    fn memory(self) -> SignedDuration {
        self.0.checked_mul(2).unwrap_or(SignedDuration::MAX)
    }

    /// Returns the horizon of a table that has a record of this time.
    pub fn horizon(self, last_written: Timestamp) -> Horizon {
        let versions = earlier(last_written, self.0);
        Horizon { versions, removals: earlier(versions, self.memory()) }
    }
}

/// The times up to which a table forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Of a key's versions that begin up to this time, only the newest is needed.
    versions: Timestamp,
    /// A key that was removed up to this time and is still removed is not needed.
    pub removals: Timestamp,
}

impl Horizon {
    /// The horizon that forgets nothing.
    pub const NONE: Horizon = Horizon { versions: Timestamp::MIN, removals: Timestamp::MIN };
}

fn earlier(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.saturating_sub(by).unwrap_or(Timestamp::MIN)
}

/// Appends the versions of a key after one more record of its topic. Returns how many were dropped
/// although they are within the history.
pub(crate) fn append_written<V: Packed>(
    known: &[u8],
    change: &VersionChange<V>,
    written: Option<Timestamp>,
    history: History,
    horizon: Horizon,
    out: &mut Vec<u8>,
) -> usize {
    let mut new = New::of(change);
    let mut older = known;
    // An unreadable record is ordered like a value: it may be one, and a later version that can
    // read it must arrive at the same order.
    if !new.version.is_removal() {
        let forgotten = written.map_or(Timestamp::MIN, |at| earlier(at, history.memory()));
        older = new.begin(known, written.unwrap_or(Timestamp::MIN), forgotten);
    }
    let begins = new.version.valid_from;
    let older = skip(older, |version| version.valid_from >= begins);
    let is_removal = |version: &Option<Version<_>>| version.is_some_and(|it| it.is_removal());
    match two_newest(older) {
        [Some(before), _] if !new.version.is_removal() && before.says(&new.version) => {
            append_kept(None, older, horizon, out)
        }
        // Of consecutive removals, the first tells since when the key is gone, the last since when
        // nothing was written.
        removals if new.version.is_removal() && removals.iter().all(is_removal) => {
            append_kept(Some(new), after_newest(older), horizon, out)
        }
        _ => append_kept(Some(new), older, horizon, out),
    }
}

impl Version<&[u8]> {
    /// Returns whether another version has the same value.
    fn says(&self, other: &Self) -> bool {
        (self.value, self.is_unreadable) == (other.value, other.is_unreadable)
    }
}

/// A version to append.
struct New<'a> {
    version: Version<&'a [u8]>,
    /// See [`RETURNED`].
    returned: bool,
}

impl<'a> New<'a> {
    fn of<V: Packed>(change: &'a VersionChange<V>) -> Self {
        New {
            version: Version {
                valid_from: change.valid_from,
                explicit: change.explicit,
                value: change.value.as_ref().map(PackedValue::bytes),
                is_unreadable: change.is_unreadable,
            },
            returned: false,
        }
    }

    /// Delays a value to the earliest beginning that the key's last removal allows, and returns the
    /// known versions that are not forgotten. Later values of the same life of a key may replace
    /// the first one, but not begin before it.
    fn begin<'k>(&mut self, known: &'k [u8], written: Timestamp, forgotten: Timestamp) -> &'k [u8] {
        let earliest = match Life::last(known) {
            Life::Only => return known,
            Life::Begun(at) => at,
            Life::Planned(at, _) if at <= written => at,
            Life::Planned(_, removal) | Life::Ended(removal) => {
                if removal.at <= forgotten {
                    return removal.newer;
                }
                written.max(removal.at)
            }
        };
        if self.version.valid_from <= earliest {
            self.version.valid_from = earliest;
            self.returned = true;
        }
        known
    }

    fn append(&self, out: &mut Vec<u8>) {
        let New { version, returned } = self;
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(
            flag(version.explicit && !returned, EXPLICIT)
                | flag(version.is_removal(), REMOVED)
                | flag(version.is_unreadable, UNREADABLE)
                | flag(has_submillis(version.valid_from), SUBMILLIS)
                | flag(*returned, RETURNED),
        );
        put_time(out, version.valid_from);
        if let Some(value) = version.value {
            put_bytes(out, value);
        }
    }
}

/// The last life of a key. A life spans from the first value, or the first after a removal, to the
/// next removal.
enum Life<'k> {
    /// The key was never removed, as far as known.
    Only,
    /// It began at this time with a return after a removal.
    Begun(Timestamp),
    /// It begins at a time that was announced in advance; until then the key is removed.
    Planned(Timestamp, Removal<'k>),
    /// The key is removed.
    Ended(Removal<'k>),
}

struct Removal<'k> {
    at: Timestamp,
    /// The versions that follow it.
    newer: &'k [u8],
}

impl<'k> Life<'k> {
    fn last(known: &'k [u8]) -> Self {
        let mut rest = Raw(Reader(known));
        let mut first = None;
        loop {
            let (newer, left) = known.split_at(known.len() - rest.0.0.len());
            let Some(version) = rest.next() else {
                return Life::Only;
            };
            let at = version.valid_from;
            if version.is_removal() {
                let removal = Removal { at, newer };
                return match first {
                    Some(planned) => Life::Planned(planned, removal),
                    None => Life::Ended(removal),
                };
            }
            if left.first().is_some_and(|flags| flags & RETURNED != 0) {
                return Life::Begun(at);
            }
            first = Some(at);
        }
    }
}

/// Appends the versions of a key with one more line of a file. A line with the same start is
/// replaced.
pub(crate) fn append_sorted<V: Packed>(
    known: &[u8],
    change: &VersionChange<V>,
    out: &mut Vec<u8>,
) -> usize {
    let new = New::of(change);
    let begins = new.version.valid_from;
    let rest = skip(known, |version| version.valid_from > begins);
    let (newer, _) = known.split_at(known.len() - rest.len());
    out.extend_from_slice(newer);
    new.append(out);
    out.extend_from_slice(skip(rest, |version| version.valid_from == begins));
    let (kept, dropped) = limited(out, Horizon::NONE, Taken::default());
    out.truncate(kept);
    dropped
}

/// Appends a new version, if there is one, and the older ones that are still needed.
fn append_kept(new: Option<New<'_>>, older: &[u8], horizon: Horizon, out: &mut Vec<u8>) -> usize {
    let before = out.len();
    if let Some(new) = &new {
        new.append(out);
        if new.version.valid_from <= horizon.versions {
            return 0;
        }
    }
    let taken = Taken { versions: usize::from(new.is_some()), bytes: out.len() - before };
    let (kept, dropped) = limited(older, horizon, taken);
    out.extend_from_slice(&older[..kept]);
    dropped
}

/// What the newer versions use of a key's limits.
#[derive(Default)]
struct Taken {
    versions: usize,
    bytes: usize,
}

/// Counts from the newest the bytes of the versions that are needed and fit the limits, and the
/// versions that are needed but do not fit.
fn limited(packed: &[u8], horizon: Horizon, taken: Taken) -> (usize, usize) {
    let mut rest = Raw(Reader(packed));
    let (mut kept, mut dropped) = (0, 0);
    for before in taken.versions.. {
        let Some(version) = rest.next() else { break };
        let end = packed.len() - rest.0.0.len();
        let is_small = taken.bytes + end <= VERSIONS_BYTES_MAX;
        if before < VERSIONS_KEPT_MIN || before < VERSIONS_MAX && is_small {
            kept = end;
        } else {
            dropped += 1;
        }
        if version.valid_from <= horizon.versions {
            break;
        }
    }
    (kept, dropped)
}

/// Iterates over the values of versions, newest first, still packed.
pub(crate) fn values(packed: &[u8]) -> impl Iterator<Item = &[u8]> {
    Raw(Reader(packed)).filter_map(|version| version.value)
}

/// Counts from the newest the bytes of a key's versions that are still needed. Zero if the key was
/// removed so long ago that a value written now counts as that of a new key.
pub(crate) fn kept(packed: &[u8], horizon: Horizon) -> usize {
    if newest_removal(packed).is_some_and(|removed| removed <= horizon.removals) {
        return 0;
    }
    let mut rest = Raw(Reader(packed));
    for version in rest.by_ref() {
        if version.valid_from <= horizon.versions {
            break;
        }
    }
    packed.len() - rest.0.0.len()
}

/// Returns when the key was removed, if its newest version is a removal.
pub(crate) fn newest_removal(packed: &[u8]) -> Option<Timestamp> {
    let newest = Raw(Reader(packed)).next()?;
    newest.is_removal().then_some(newest.valid_from)
}
