//! What occurred in the runs, and what has to: every fault, every sight, every fault in a process
//! that has not got over another, and every fault of the world in every moment of a turn. So a
//! change of the simulator that makes something interesting impossible, or too rare, does not pass
//! in silence.

use super::faults::{Fault, Moment, Sight};

const FAULTS: usize = Fault::ALL.len();

/// Counts of what occurred.
#[derive(Debug, Clone)]
pub struct Coverage {
    faults: Vec<u64>,
    sights: Vec<u64>,
    /// A fault that struck a process before it had got over another: earlier, later.
    pairs: Vec<u64>,
    /// A fault that struck in a moment of a worker's turn.
    moments: Vec<u64>,
}

impl Default for Coverage {
    fn default() -> Self {
        Coverage {
            faults: vec![0; FAULTS],
            sights: vec![0; Sight::ALL.len()],
            pairs: vec![0; FAULTS * FAULTS],
            moments: vec![0; FAULTS * Moment::ALL.len()],
        }
    }
}

impl Coverage {
    pub fn struck(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    /// `earlier` has a bit for each fault that struck before.
    pub fn struck_after(&mut self, earlier: u64, fault: Fault) {
        let earlier = (0..FAULTS).filter(|other| earlier & (1 << other) != 0);
        earlier.for_each(|earlier| self.pairs[earlier * FAULTS + fault as usize] += 1);
    }

    pub fn struck_in(&mut self, moment: Moment, fault: Fault) {
        self.moments[moment as usize * FAULTS + fault as usize] += 1;
    }

    pub fn saw(&mut self, sight: Sight, times: u64) {
        self.sights[sight as usize] += times;
    }

    pub fn add(&mut self, other: &Coverage) {
        let add = |sums: &mut [u64], counts: &[u64]| {
            sums.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
        };
        add(&mut self.faults, &other.faults);
        add(&mut self.sights, &other.sights);
        add(&mut self.pairs, &other.pairs);
        add(&mut self.moments, &other.moments);
    }

    /// Faults and sights with their counts, named.
    pub fn counts(&self) -> Vec<(String, u64)> {
        let faults = Fault::ALL.iter().map(|fault| format!("{fault:?}"));
        let sights = Sight::ALL.iter().map(|sight| format!("{sight:?}"));
        let counts = self.faults.iter().chain(&self.sights).copied();
        faults.chain(sights).zip(counts).collect()
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
        let any = Fault::WORLDLY.iter().chain(&[Fault::StandstillInTurn]);
        let moments = any.flat_map(|fault| Moment::ALL.iter().map(move |moment| (fault, moment)));
        let count = |(fault, moment): (&Fault, &Moment)| {
            let count = self.moments[*moment as usize * FAULTS + *fault as usize];
            (format!("{fault:?} while {moment:?}"), count)
        };
        moments.map(count).collect()
    }

    /// What has to occur and did not, named.
    pub fn missing(&self) -> Vec<String> {
        let all = self.counts().into_iter().chain(self.pairs()).chain(self.moments());
        let missing = all.filter(|(_, count)| *count == 0);
        missing.map(|(name, _)| name).collect()
    }

    /// The conjunctions that occurred least, so that one sees which are about to go missing.
    pub fn rarest(&self, how_many: usize) -> Vec<(String, u64)> {
        let mut all = self.pairs();
        all.extend(self.moments());
        all.sort_by_key(|(_, count)| *count);
        all.truncate(how_many);
        all
    }
}
