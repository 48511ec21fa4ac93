//! A trail that is verified while it grows: each round goes on behind the one before.

use std::collections::BTreeMap;

use audit_chain::name::StreamName;
use audit_verify::{Options, PartitionVerifier, Report, Sealed, Seals, verify_partitions};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::chance::{Change, change, seen};
use crate::checked::{assert_labels, labels, outputs, read, take_seals, usual_trust};
use crate::replays::replayed_with_ends;
use crate::trail::{Ends, Trail};
use crate::writer::usual_with_ends;

/// When each part of the trail is looked at, as numbers of transactions: the outputs, the seals,
/// and the outputs again.
#[derive(Debug, Clone, Copy)]
struct Round([usize; 3]);

/// For each partition, where reading goes on, and where what was read ends.
type Reached = BTreeMap<(StreamName, u32), (u64, u64)>;

/// How far the rounds have come.
struct Reader {
    seals: Seals,
    seals_read: usize,
    outputs: Reached,
}

impl Reader {
    fn new() -> Self {
        let seals = Seals::new(usual_trust(), Options::default());
        Reader { seals, seals_read: 0, outputs: BTreeMap::new() }
    }

    /// Verifies what came since the last round.
    fn round(mut self, trail: &Trail, [before, sealed_end, after]: [&Ends; 3]) -> (Report, Self) {
        take_seals(&mut self.seals, trail, self.seals_read..sealed_end.seals);
        let sealed = self.seals.finish().expect("memory");
        let (report, outputs) = verify(trail, &sealed, [before, after], &self.outputs);
        let reader =
            Reader { seals: sealed.go_on(Vec::new()), seals_read: sealed_end.seals, outputs };
        (report, reader)
    }
}

fn verify(
    trail: &Trail,
    sealed: &Sealed,
    [before, after]: [&Ends; 2],
    from: &Reached,
) -> (Report, Reached) {
    let read_part = |output: &(StreamName, u32), verifier: PartitionVerifier<'_>| {
        let (start, _) = from.get(output).copied().unwrap_or_default();
        let end = |ends: &Ends| ends.outputs.get(output).copied().unwrap_or_default();
        let range = start..end(after);
        let records = trail.outputs.get(output).into_iter().flatten();
        let records = records.filter(|stored| range.contains(&stored.offset));
        read(verifier, records, |stored| stored.offset >= end(before)).expect("memory")
    };
    let mut reached = Reached::new();
    let partitions = outputs(trail).into_iter().map(|(output, partition)| (output, partition, 0));
    let report = verify_partitions(sealed, partitions, |output, partition, mut verifier| {
        let output = (output.clone(), partition);
        if let Some((_, seen)) = from.get(&output) {
            verifier = verifier.behind(*seen);
        }
        let report = read_part(&output, verifier);
        let end = after.outputs.get(&output).copied().unwrap_or_default();
        // A second reading only answers questions.
        reached.entry(output).or_insert((report.next(end), end));
        Ok(report)
    });
    (report.expect("memory"), reached)
}

/// Rounds that look at a trail of so many transactions, of which the first two are there.
fn rounds(transactions: usize) -> impl Strategy<Value = Vec<Round>> {
    prop::collection::vec(2..=transactions, 3..12).prop_map(|mut times| {
        times.sort_unstable();
        times.chunks_exact(3).map(|times| Round([times[0], times[1], times[2]])).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_growing_trail_is_proven_round_by_round(rounds in rounds(18)) {
        let (trail, _, ends) = replayed_with_ends();
        let mut reader = Reader::new();
        let mut confirmed = 0;
        for times in rounds.into_iter().chain([Round([18; 3])]) {
            let (report, next) = reader.round(&trail, times.0.map(|time| &ends[time]));
            assert_labels("honest", &report, &[]);
            confirmed += report.confirmed.values().sum::<u64>();
            reader = next;
        }
        prop_assert_eq!(confirmed, trail.outputs.values().map(|it| it.len() as u64).sum::<u64>());
    }

    #[test]
    fn a_change_of_what_was_not_read_yet_is_evidence(
        rounds in rounds(17),
        changes in prop::collection::vec(change(), 0..4),
        replayed in prop::option::of(any::<Index>()),
    ) {
        let (untouched, _, ends) = replayed_with_ends();
        let mut reader = Reader::new();
        for Round(times) in rounds {
            let (report, next) = reader.round(&untouched, times.map(|time| &ends[time]));
            prop_assert_eq!(report.exit().code(), 0);
            reader = next;
        }
        let trail = changed_behind(&untouched, &reader, &changes, replayed.as_ref());
        let ends = trail.ends();
        let (report, _) = reader.round(&trail, [&ends; 3]);
        let is_changed = seen(&trail) != seen(&untouched);
        prop_assert_eq!(report.exit().code(), u8::from(is_changed), "{:?}", labels(&report));
    }
}

/// Changes a trail only behind what was read, and appends a copy of a record that was read.
fn changed_behind(
    untouched: &Trail,
    reader: &Reader,
    changes: &[Change],
    replayed: Option<&Index>,
) -> Trail {
    let mut known = untouched.clone();
    let mut new = Trail { seals: known.seals.split_off(reader.seals_read), ..Trail::default() };
    for (output, records) in &mut known.outputs {
        let (_, end) = reader.outputs[output];
        let at = records.partition_point(|record| record.offset < end);
        new.outputs.insert(output.clone(), records.split_off(at));
    }
    if let Some(replayed) = replayed {
        let (output, copy) = known.record(replayed);
        new.outputs.entry(output).or_default().push(copy);
    }
    for change in changes {
        // A change needs something to change.
        if !new.seals.is_empty() && new.records().next().is_some() {
            change.apply(&mut new);
        }
    }
    known.append_all(new);
    known
}

/// The first round sees an event that is newer than the seals, and behind it a sealed one of the
/// same stream that belongs before it.
#[test]
fn records_that_changed_places_between_two_rounds_are_found() {
    let (mut trail, _, ends) = usual_with_ends();
    let output = ("eu-west-1".parse().expect("a name"), 0);
    // The last event of one transaction of the first partition, and the first of its next.
    let border = ends[9].outputs[&output] as usize;
    let records = trail.outputs.get_mut(&output).expect("an output");
    records.swap(border - 1, border);
    trail.renumber();
    let (report, reader) = Reader::new().round(&trail, [&ends[8], &ends[9], &ends[12]]);
    assert_labels("not sealed yet", &report, &[]);
    let (report, _) = reader.round(&trail, [&ends[12]; 3]);
    assert_labels("sealed", &report, &["REORDERED"]);
}
