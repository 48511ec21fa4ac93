//! Decides from a seed how often a run injects each fault. Three kinds of runs alternate: one mixes
//! all faults at random rates; one injects a pair of faults often, taking the pairs in turn; one
//! injects a few randomly picked faults often. So every pair is covered whatever the seeds are, and
//! combinations of more than two faults occur as well.

use std::fmt;

use super::faults::Fault;
use audit_testkit::random::Random;

/// Rates of a run that mixes all faults; one is drawn for each fault.
const MIXED: [u32; 6] = [0, 0, 5, 20, 60, 200];
/// Rates of the faults that a run focuses on.
const FOCUS: [u32; 3] = [100, 250, 500];
/// Rates of all other faults in such a run.
const BESIDE: [u32; 6] = [0, 0, 0, 5, 30, 100];
/// Number of faults that a run focuses on when they are picked at random.
const FEW: usize = 5;

/// What a seed decides: the rates of one run.
#[derive(Debug)]
pub struct Plan {
    /// The faults that the run focuses on, with their prerequisites; empty if all are mixed.
    focus: Vec<Fault>,
    per_mille: Vec<u32>,
}

impl Plan {
    /// Draws the plan of a seed: the seed's number selects the pair, `random` decides the rest.
    pub fn draw(seed: u64, random: &Random) -> Self {
        let mut focus = match seed % 3 {
            0 => Vec::new(),
            1 => pair(seed / 3).into(),
            _ => (0..FEW).filter_map(|_| random.pick(Fault::ALL)).collect(),
        };
        let prerequisites: Vec<Fault> = focus.iter().filter_map(|f| f.prerequisite()).collect();
        focus.extend(prerequisites);
        let rates = |fault: &Fault| match focus.contains(fault) {
            _ if focus.is_empty() => MIXED.as_slice(),
            true => FOCUS.as_slice(),
            false => BESIDE.as_slice(),
        };
        let rate = |fault: &Fault| random.pick(rates(fault)).unwrap_or(0);
        let per_mille = Fault::ALL.iter().map(rate).collect();
        Plan { focus, per_mille }
    }

    pub fn per_mille(&self, fault: Fault) -> u32 {
        self.per_mille[fault as usize]
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.focus.as_slice() {
            [] => write!(f, "all faults mixed"),
            focus => write!(f, "mostly {focus:?}"),
        }
    }
}

/// Enumerates the n (n - 1) / 2 unordered pairs.
fn pair(number: u64) -> [Fault; 2] {
    let kinds = Fault::ALL.len();
    let mut left = (number % (kinds * (kinds - 1) / 2) as u64) as usize;
    for first in 0..kinds {
        let partners = kinds - 1 - first;
        if left < partners {
            return [Fault::ALL[first], Fault::ALL[first + 1 + left]];
        }
        left -= partners;
    }
    panic!("the number is taken modulo the number of pairs")
}

#[test]
fn every_pair_is_enumerated_once() {
    let kinds = Fault::ALL.len();
    let all = 0..(kinds * (kinds - 1) / 2) as u64;
    let mut pairs: Vec<[u32; 2]> = all.map(|n| pair(n).map(|fault| fault as u32)).collect();
    pairs.dedup();
    assert!(pairs.is_sorted() && pairs.iter().all(|[a, b]| a < b));
    assert_eq!(pairs.len(), kinds * (kinds - 1) / 2);
}
