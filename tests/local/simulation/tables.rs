//! Reference tables that lag: what a record needs to be audited is written to its table just before the
//! record, and each process learns of it in its own time. So without a barrier a worker would skip what
//! ought to be audited.

use std::cell::RefCell;
use std::rc::Rc;

use audit_relay::pipeline::fate::{Fate, SkipReason};
use audit_relay::stream::worker::Judge;

use super::broker::Stage;
use super::faults::{Fault, Sight};
use super::oracle;

/// The judge of the oracle, by a table that lags.
pub(super) struct LaggingJudge {
    stage: Rc<Stage>,
    /// How many records' entries have arrived, by partition.
    known: RefCell<Vec<usize>>,
    /// Whether a fate that rests on absence is held until the table has caught up.
    holds: bool,
}

impl LaggingJudge {
    pub(super) fn new(stage: Rc<Stage>, holds: bool) -> Self {
        LaggingJudge {
            stage,
            known: RefCell::default(),
            holds,
        }
    }

    /// Learns of everything that is in the table now; of nothing while the cluster is being changed.
    fn follow(&self) {
        if let Ok(cluster) = self.stage.cluster.try_borrow() {
            *self.known.borrow_mut() = cluster.input.iter().map(Vec::len).collect();
        }
    }

    fn knows(&self, payload: Option<&[u8]>) -> bool {
        let text = payload.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let number: usize = text.and_then(|text| text.parse().ok()).unwrap_or(0);
        let known = self.known.borrow().get(number / 1_000).copied();
        number % 1_000 < known.unwrap_or(0)
    }
}

impl Judge for LaggingJudge {
    fn judge(&self, payload: Option<&[u8]>) -> Fate {
        if self.stage.random.below(4) == 0 {
            self.follow();
        }
        match oracle::judge(payload) {
            Fate::Audited(_) if !self.knows(payload) => {
                self.stage.faults.saw(Sight::TableLagged);
                Fate::Skipped(SkipReason::NoInfrastructureAccess)
            }
            fate => fate,
        }
    }

    fn is_final(&self, fate: &Fate) -> bool {
        !self.holds || !fate.rests_on_absence()
    }

    fn trusted(&self) -> Result<(), String> {
        let Stage { faults, random, .. } = &*self.stage;
        if faults.strikes(Fault::TableStale, random) {
            return Err("the table has not been heard of".to_string());
        }
        Ok(())
    }

    fn catch_up(&self) -> Result<(), String> {
        let Stage { faults, random, .. } = &*self.stage;
        if faults.strikes(Fault::TableStuck, random) {
            return Err("the table does not catch up".to_string());
        }
        self.follow();
        Ok(())
    }
}
