//! How often each fault strikes in a run. Runs take turns: one mixes all kinds at rates of its own;
//! one lets a pair of faults strike often, each pair in its turn; one lets a few faults strike
//! often that chance has picked. So each pair meets whatever the seeds happen to be, and deeper
//! conjunctions get their chance.

use std::fmt;

use super::faults::Fault;
use audit_testkit::random::Random;

/// Rates where all kinds are mixed, one drawn for each fault.
const MIXED: [u32; 6] = [0, 0, 5, 20, 60, 200];
/// Rates of the faults that a run is about.
const FOCUS: [u32; 3] = [100, 250, 500];
/// Rates of the other faults beside them.
const BESIDE: [u32; 6] = [0, 0, 0, 5, 30, 100];
/// How many faults a run is about where chance picks them.
const FEW: usize = 5;

/// The rates of one run.
#[derive(Debug)]
pub struct Plan {
    /// The faults that the run is about, and what leads to them; none where all are mixed.
    focus: Vec<Fault>,
    per_mille: Vec<u32>,
}

impl Plan {
    /// The plan of a seed: the pair follows from its number, all else from its chance.
    pub fn draw(seed: u64, random: &Random) -> Self {
        let mut focus = match seed % 3 {
            0 => Vec::new(),
            1 => pair(seed / 3).into(),
            _ => (0..FEW).filter_map(|_| random.pick(Fault::ALL)).collect(),
        };
        let leading_there: Vec<Fault> = focus.iter().filter_map(|f| f.led_to_by()).collect();
        focus.extend(leading_there);
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

/// The pairs, one after the other, without order: there are n (n - 1) / 2 of them.
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
    panic!("the number is below that of the pairs")
}

#[test]
fn all_pairs_have_their_turn() {
    let kinds = Fault::ALL.len();
    let all = 0..(kinds * (kinds - 1) / 2) as u64;
    let mut pairs: Vec<[u32; 2]> = all.map(|n| pair(n).map(|fault| fault as u32)).collect();
    pairs.dedup();
    assert!(pairs.is_sorted() && pairs.iter().all(|[a, b]| a < b));
    assert_eq!(pairs.len(), kinds * (kinds - 1) / 2);
}
