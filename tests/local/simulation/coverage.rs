//! Coverage: what the runs contained, and what they must contain. That is every fault, every probe,
//! every fault in a process that has not recovered from another, and every external fault at every
//! moment of a turn. So a change of the simulator that makes one of these impossible or too rare
//! fails a test.

use super::faults::{Fault, Moment, Probe};

const FAULTS: usize = Fault::ALL.len();

/// Counts of what the runs contained.
#[derive(Debug, Clone)]
pub struct Coverage {
    faults: Vec<u64>,
    probes: Vec<u64>,
    /// Faults injected into a process that had not recovered from an earlier one: earlier, later.
    pairs: Vec<u64>,
    /// Faults injected at a moment of a worker's turn.
    moments: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Self {
        Coverage {
            faults: vec![0; FAULTS],
            probes: vec![0; Probe::ALL.len()],
            pairs: vec![0; FAULTS * FAULTS],
            moments: vec![0; FAULTS * Moment::ALL.len()],
        }
    }
}

impl Coverage {
    pub fn injected(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    /// `earlier` has a bit for each fault that the process has not recovered from.
    pub fn injected_after(&mut self, earlier: u64, fault: Fault) {
        let earlier = (0..FAULTS).filter(|other| earlier & (1 << other) != 0);
        earlier.for_each(|earlier| self.pairs[earlier * FAULTS + fault as usize] += 1);
    }

    pub fn injected_in(&mut self, moment: Moment, fault: Fault) {
        self.moments[moment as usize * FAULTS + fault as usize] += 1;
    }

    pub fn hit(&mut self, probe: Probe, times: u64) {
        self.probes[probe as usize] += times;
    }

    pub fn add(&mut self, other: &Coverage) {
        let add = |sums: &mut [u64], counts: &[u64]| {
            sums.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
        };
        add(&mut self.faults, &other.faults);
        add(&mut self.probes, &other.probes);
        add(&mut self.pairs, &other.pairs);
        add(&mut self.moments, &other.moments);
    }

    /// Faults and probes by name, with their counts.
    pub fn counts(&self) -> Vec<(String, u64)> {
        let faults = Fault::ALL.iter().map(|fault| format!("{fault:?}"));
        let probes = Probe::ALL.iter().map(|probe| format!("{probe:?}"));
        let counts = self.faults.iter().chain(&self.probes).copied();
        faults.chain(probes).zip(counts).collect()
    }

    fn pairs(&self) -> Vec<(String, u64)> {
        let all = Fault::ALL.iter();
        let pairs = all.flat_map(|earlier| Fault::ALL.iter().map(move |later| (earlier, later)));
        let pairs = pairs.filter(|(earlier, later)| earlier.may_precede(**later));
        let count = |(earlier, later): (&Fault, &Fault)| {
            let count = self.pairs[*earlier as usize * FAULTS + *later as usize];
            (format!("{later:?} after {earlier:?}"), count)
        };
        pairs.map(count).collect()
    }

    fn moments(&self) -> Vec<(String, u64)> {
        let any = Fault::EXTERNAL.iter().chain(&[Fault::FrozenInTurn]);
        let moments = any.flat_map(|fault| Moment::ALL.iter().map(move |moment| (fault, moment)));
        let count = |(fault, moment): (&Fault, &Moment)| {
            let count = self.moments[*moment as usize * FAULTS + *fault as usize];
            (format!("{fault:?} while {moment:?}"), count)
        };
        moments.map(count).collect()
    }

    /// The names of what the runs must contain and did not.
    pub fn missing(&self) -> Vec<String> {
        let all = self.counts().into_iter().chain(self.pairs()).chain(self.moments());
        let missing = all.filter(|(_, count)| *count == 0);
        missing.map(|(name, _)| name).collect()
    }

    /// The rarest combinations, which would go missing first.
    pub fn rarest(&self, how_many: usize) -> Vec<(String, u64)> {
        let mut all = self.pairs();
        all.extend(self.moments());
        all.sort_by_key(|(_, count)| *count);
        all.truncate(how_many);
        all
    }
}
