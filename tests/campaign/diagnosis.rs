//! The diagnosis that a relay must report for a fault, in `/readyz` or as the reason of its exit:
//! the topic that cannot be written, or the offset in the input that cannot be read.

use std::time::Duration;

use crate::damage::Damage;
use crate::ledger::Offsets;
use crate::plan::Fault;
use crate::world::World;

/// Limit for the report of a diagnosis, and for the progress of other partitions when one is held.
pub const DIAGNOSIS_LIMIT: Duration = Duration::from_secs(90);

/// What a relay must report.
pub struct Diagnosis {
    /// Words that must all occur in one text.
    pub words: Vec<String>,
    /// Number of exits before the fault.
    pub exits: usize,
    /// The only partition that may be held.
    pub held: Option<i32>,
}

impl World {
    /// The diagnosis of a fault that makes a topic unwritable; `None` for other faults.
    pub fn unwritable(&self, fault: &Fault, exits: usize) -> Option<Diagnosis> {
        let topic = match fault {
            Fault::OutputDeleted { region, .. }
            | Fault::OutputShrunk { region, .. }
            | Fault::RightsTaken { region, .. } => self.output(*region),
            _ => return None,
        };
        Some(Diagnosis { words: vec![topic], exits, held: None })
    }

    /// The diagnosis of a damaged batch.
    pub fn unreadable(&self, damage: &Damage, exits: usize) -> Diagnosis {
        let words = vec![
            self.deployment.input.clone(),
            format!("partition {} ", damage.partition),
            format!("offset {}:", damage.offset),
        ];
        Diagnosis { words, exits, held: Some(damage.partition) }
    }

    /// Whether a relay has reported it since the fault.
    pub fn is_reported(&self, diagnosis: &Diagnosis) -> bool {
        let exits = self.fleet.exits().iter().skip(diagnosis.exits);
        let mut said = exits.map(|exit| exit.said.as_str());
        said.any(|said| diagnosis.is_in(said))
            || (self.fleet.health().iter()).any(|(_, answer)| diagnosis.is_in_unready(answer))
    }

    /// Adds a violation: no relay has reported the diagnosis in time.
    pub fn add_undiagnosed(&self, diagnosis: &Diagnosis) {
        let health = self.fleet.health();
        self.ledger.add_undiagnosed(&diagnosis.words, health);
    }

    /// Adds a violation: readable partitions made no progress while one was held.
    pub fn add_blocked_others(&self, held: i32, target: &Offsets) {
        let (committed, health) = (self.committed().unwrap_or_default(), self.fleet.health());
        self.ledger.add_blocked_others(held, &committed, target, health);
    }
}

impl Diagnosis {
    /// Whether a text contains all of its words.
    pub fn is_in(&self, text: &str) -> bool {
        self.words.iter().all(|word| text.contains(word))
    }

    /// Whether this answer says that the relay is not ready, and contains all of its words.
    pub fn is_in_unready(&self, answer: &str) -> bool {
        answer.starts_with("503") && self.is_in(answer)
    }
}
