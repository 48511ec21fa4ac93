//! The seals of one set, put one behind the other.

use std::collections::BTreeMap;
use std::io;

use audit_chain::hash::seal_genesis;
use audit_chain::key::PublicKey;
use audit_chain::name;
use audit_chain::seal::{Head as SealedHead, Seal};
use audit_chain::trust::Trust;
use audit_chain::{Digest, Number};

use super::growth::{Growth, is_replay};
use super::signers::Signers;
use super::{LastSeal, Shared};
use crate::block::Head;
use crate::finding::{Label, range};
use crate::spill::List;

/// Seals of a set that wait for an earlier one, at most.
const WAITING_MAX: usize = 1_000;

/// A seal that known keys signed.
#[derive(Debug, Clone)]
pub(super) struct Signed {
    pub(super) seal: Seal,
    pub(super) digest: Digest,
    pub(super) signers: Vec<PublicKey>,
    /// Where it stands, for findings.
    pub(super) place: String,
}

/// The seals of a set so far.
#[derive(Debug)]
pub(super) struct History {
    /// The seal after which events are verified.
    from: Option<u64>,
    /// The number of the next seal.
    next: u64,
    last: Option<LastSeal>,
    /// The hash of each seal, by its number; of a missing one, that of no text.
    digests: List<Digest>,
    /// Seals that came before an earlier one.
    waiting: BTreeMap<u64, Signed>,
    signers: Signers,
    /// The first seal behind those that are missing.
    behind_gap: Option<u64>,
    /// The last seal of the epoch before, as seal 0 names it.
    pub(super) after: Option<(u64, Digest)>,
    /// How many partitions the input has as its seals say, each time that they say more, with the
    /// time of the first seal that says so.
    pub(super) partitions: Vec<(u64, u64)>,
    /// Whether the set is that of a replay, which reads only what it selects.
    pub(super) is_replay: bool,
}

impl History {
    pub(super) fn new(from: Option<u64>) -> Self {
        History {
            from,
            next: 0,
            last: None,
            digests: List::default(),
            waiting: BTreeMap::new(),
            signers: Signers::default(),
            behind_gap: None,
            after: None,
            partitions: Vec::new(),
            is_replay: false,
        }
    }

    pub(super) fn announced(&self) -> Option<&PublicKey> {
        self.signers.announced()
    }

    /// Returns the last seal, as far as seals were put one behind the other.
    pub(super) fn last(&self) -> Option<&LastSeal> {
        self.last.as_ref()
    }

    /// Returns the hash of a seal; `None` if it is not there.
    pub(super) fn digest(&self, seal: u64, shared: &Shared) -> io::Result<Option<Digest>> {
        let digest = self.digests.get(seal, &shared.spill)?;
        Ok(digest.filter(|digest| *digest != absent()))
    }

    pub(super) fn take(
        &mut self,
        signed: Signed,
        trust: &Trust,
        shared: &mut Shared,
    ) -> io::Result<()> {
        let number = signed.seal.number.get();
        if number < self.next {
            return self.take_earlier(&signed, shared);
        }
        if let Some(waiting) = self.waiting.get(&number) {
            repeated(waiting.digest, &signed, shared);
            return Ok(());
        }
        if number > self.next {
            self.waiting.insert(number, signed);
            if self.waiting.len() > WAITING_MAX {
                self.skip_missing(trust, shared)?;
            }
            return Ok(());
        }
        if let Some((later, _)) = self.waiting.first_key_value() {
            let (seal, place) = (&signed.seal, &signed.place);
            shared.findings.add(
                Label::Reordered,
                format_args!("{} seal {number} stands behind seal {later} ({place})", seal.set),
            );
        }
        self.put(signed, trust, shared)?;
        self.put_waiting(trust, shared)
    }

    /// Takes a seal whose number was there already, or was given up as missing.
    fn take_earlier(&mut self, signed: &Signed, shared: &mut Shared) -> io::Result<()> {
        let number = signed.seal.number.get();
        match self.digest(number, shared)? {
            Some(known) => repeated(known, signed, shared),
            None => shared.findings.add(
                Label::Reordered,
                format_args!(
                    "{} seal {number} stands far behind ({})",
                    signed.seal.set, signed.place
                ),
            ),
        }
        Ok(())
    }

    /// Gives up on the seals before the first one that waits.
    fn skip_missing(&mut self, trust: &Trust, shared: &mut Shared) -> io::Result<()> {
        let Some((number, first)) = self.waiting.first_key_value() else {
            return Ok(());
        };
        let missing = self.next..*number;
        let which = range("seal", missing.start, missing.end);
        shared.findings.add(Label::SealMissing, format_args!("{} {which}", first.seal.set));
        for _ in missing {
            self.digests.push(&absent(), &mut shared.spill)?;
            self.next += 1;
        }
        self.behind_gap = Some(self.next);
        self.put_waiting(trust, shared)
    }

    fn put_waiting(&mut self, trust: &Trust, shared: &mut Shared) -> io::Result<()> {
        while let Some(signed) = self.waiting.remove(&self.next) {
            self.put(signed, trust, shared)?;
        }
        Ok(())
    }

    /// Puts the next seal behind the last one.
    fn put(&mut self, signed: Signed, trust: &Trust, shared: &mut Shared) -> io::Result<()> {
        let Signed { seal, digest, signers, place } = signed;
        let number = seal.number.get();
        if let Err(why) = self.signers.accept(&seal, &signers, trust) {
            let text = format_args!("{} seal {number}: {why} ({place})", seal.set);
            shared.findings.add(Label::BadSeal, text);
        }
        if self.behind_gap != Some(number) {
            self.check_link(&seal, shared)?;
        }
        let growth = self.put_heads(&seal, shared)?;
        if let Some(what) = growth.disagreement(&seal) {
            shared
                .findings
                .add(Label::SealCounts, format_args!("{} seal {number} {what}", seal.set));
        }
        self.after = self.after.or(seal.after.as_ref().map(|it| (it.seal.get(), it.digest)));
        let partitions = seal.partitions.get();
        if self.partitions.last().is_none_or(|(known, _)| partitions > *known) {
            self.partitions.push((partitions, seal.time.epoch_ms()));
        }
        self.is_replay |= is_replay(&seal);
        self.digests.push(&digest, &mut shared.spill)?;
        self.next = number + 1;
        self.last = Some(self.last_seal(&seal, digest));
        Ok(())
    }

    /// Returns a seal as the last one, behind the last one so far.
    fn last_seal(&self, seal: &Seal, digest: Digest) -> LastSeal {
        let counts = seal.counts;
        let [read, skipped, quarantined] =
            [counts.read, counts.skipped, counts.quarantined].map(Number::get);
        let audited = read - skipped - quarantined;
        let is_before = self.from.is_some_and(|from| seal.number.get() <= from);
        let (verified, mut totals) =
            self.last.as_ref().map_or_else(Default::default, |last| (last.audited, last.totals));
        totals.audited += audited;
        totals.skipped += skipped;
        totals.quarantined += quarantined;
        LastSeal {
            seal: seal.number.get(),
            digest,
            input_end: seal.input.end.get(),
            time_ms: seal.time.epoch_ms(),
            is_replay: self.is_replay,
            audited: verified + if is_before { 0 } else { audited },
            totals,
        }
    }

    /// Checks that a seal names the one before it, and goes on where that one ended.
    fn check_link(&self, seal: &Seal, shared: &mut Shared) -> io::Result<()> {
        let (set, number) = (&seal.set, seal.number.get());
        let before = match number.checked_sub(1) {
            Some(before) => self.digest(before, shared)?,
            None => {
                let after = seal.after.as_ref().map(|after| &after.digest);
                seal_genesis(&seal.origin, set, after)
            }
        };
        if before != Some(seal.previous) {
            let text = format_args!("{set} seal {number} does not name the seal before it");
            shared.findings.add(Label::SealChain, text);
        }
        let Some(last) = &self.last else { return Ok(()) };
        let (start, end) = (seal.input.start.get(), last.input_end);
        if start < end {
            let text = format_args!("{set} seal {number}: input {start} to {end}");
            shared.findings.add(Label::Replayed, text);
        }
        if start > end {
            let text = format_args!("{set} seal {number}: input {end} to {start}");
            shared.findings.add(Label::Skipped, text);
        }
        Ok(())
    }

    /// Adds what the heads of a seal sign to their streams.
    fn put_heads(&self, seal: &Seal, shared: &mut Shared) -> io::Result<Growth> {
        let mut growth = Growth::default();
        let number = seal.number.get();
        let is_before = self.from.is_some_and(|from| number <= from);
        for (name, sealed) in &seal.heads {
            let stream = name::Stream::new(seal.set.clone(), name.clone());
            let Shared { streams, spill, findings } = shared;
            let stream = streams.entry(&seal.origin, &stream);
            stream.is_replay |= is_replay(seal);
            let (known, head) = (stream.head, head(sealed));
            // What the missing seals added is not known apart from what this one did.
            let named_by = stream.named_by.replace(number);
            let is_behind_gap =
                self.behind_gap.is_some_and(|gap| named_by.is_none_or(|by| by < gap));
            if let Some((label, what)) = contradiction(known, sealed, is_behind_gap) {
                let text = format_args!("{} seal {number}: {what}", stream.name);
                findings.add(label, text);
            }
            if head.size <= known.size {
                continue;
            }
            growth.add(name, head.size - known.size);
            growth.is_unclear |= is_behind_gap;
            let partition = sealed.partition.and_then(|it| u32::try_from(it.get()).ok());
            if is_before {
                stream.begin_at(head, partition);
            } else {
                let begin = if is_behind_gap { 0 } else { seal.input.start.get() };
                let input = [begin, seal.input.end.get()];
                stream.extend(head, partition, input, spill)?;
            }
        }
        Ok(growth)
    }

    /// The messages that were counted so far were compared with the events.
    pub(super) fn begin_behind(&mut self) {
        if let Some(last) = &mut self.last {
            last.audited = 0;
        }
    }

    /// Ends the reading: what is still missing stays missing.
    pub(super) fn finish(&mut self, trust: &Trust, shared: &mut Shared) -> io::Result<()> {
        while !self.waiting.is_empty() {
            self.skip_missing(trust, shared)?;
        }
        Ok(())
    }
}

fn head(sealed: &SealedHead) -> Head {
    Head { size: sealed.size.get(), digest: sealed.digest }
}

/// Returns what is wrong with a head, given the one before it.
fn contradiction(known: Head, sealed: &SealedHead, is_behind_gap: bool) -> Option<(Label, String)> {
    let head = head(sealed);
    if head.size < known.size {
        let what = format!("the head goes back from {} events to {}", known.size, head.size);
        return Some((Label::SealChain, what));
    }
    if head.size == known.size {
        let is_same = head.digest == known.digest;
        let what = || format!("two different heads of {} events are signed", head.size);
        return (!is_same).then(|| (Label::Forked, what()));
    }
    let is_unplaced = !is_behind_gap && sealed.partition.is_none();
    is_unplaced.then(|| (Label::SealChain, "the head grows without a partition".to_string()))
}

/// Reports a seal whose number was there already.
fn repeated(known: Digest, signed: &Signed, shared: &mut Shared) {
    let Signed { seal, digest, place, .. } = signed;
    if known == *digest {
        let text = format_args!("{} seal {} stands twice ({place})", seal.set, seal.number);
        return shared.findings.add(Label::Duplicate, text);
    }
    let text = format_args!("{} has two different seals {} ({place})", seal.set, seal.number);
    shared.findings.add(Label::SealTwice, text);
    for (name, sealed) in &seal.heads {
        let stream = name::Stream::new(seal.set.clone(), name.clone());
        shared.streams.entry(&seal.origin, &stream).add_alternate(head(sealed));
    }
}

/// Stands for a seal that is missing: no seal has this hash.
fn absent() -> Digest {
    Digest::of(b"")
}
