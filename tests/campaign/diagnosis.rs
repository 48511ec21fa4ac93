//! What a fault makes impossible must be named by a relay, as not ready or as the reason of its
//! end: a topic that cannot be written, or the place in the input that cannot be read.

use std::time::Duration;

use crate::damage::Damage;
use crate::ledger::Offsets;
use crate::plan::Fault;
use crate::world::World;

/// By then a relay must have named it; and so long may the other partitions take when one is held.
pub const NAMED_LIMIT: Duration = Duration::from_secs(90);

/// What is to be named.
pub struct Unnamed {
    /// All of these in one text.
    pub words: Vec<String>,
    /// So many relays had ended before.
    pub exits: usize,
    /// The partition that is held, alone.
    pub held: Option<i32>,
}

impl World {
    /// The topic that a fault has made unwritable, if it is of this sort.
    pub fn unwritable(&self, fault: &Fault, exits: usize) -> Option<Unnamed> {
        let topic = match fault {
            Fault::OutputDeleted { region, .. }
            | Fault::OutputShrunk { region, .. }
            | Fault::RightsTaken { region, .. } => self.output(*region),
            _ => return None,
        };
        Some(Unnamed { words: vec![topic], exits, held: None })
    }

    /// The place of a bad batch.
    pub fn unread(&self, damage: &Damage, exits: usize) -> Unnamed {
        let words = vec![
            self.deployment.input.clone(),
            format!("partition {} ", damage.partition),
            format!("offset {}:", damage.offset),
        ];
        Unnamed { words, exits, held: Some(damage.partition) }
    }

    /// Whether a relay has named it since.
    pub fn is_named(&self, unnamed: &Unnamed) -> bool {
        let exits = self.fleet.exits().iter().skip(unnamed.exits);
        let mut said = exits.map(|exit| exit.said.as_str());
        said.any(|said| unnamed.is_in(said))
            || (self.fleet.health().iter()).any(|(_, answer)| unnamed.is_in_unready(answer))
    }

    /// Nobody has named it in time.
    pub fn complain_of_silence(&self, unnamed: &Unnamed) {
        let health = self.fleet.health();
        self.ledger.complain_of_silence(&unnamed.words, health);
    }

    /// Partitions that can be read did not go on beside one that cannot.
    pub fn complain_of_company(&self, held: i32, target: &Offsets) {
        let (committed, health) = (self.committed().unwrap_or_default(), self.fleet.health());
        self.ledger.complain_of_company(held, &committed, target, health);
    }
}

impl Unnamed {
    /// Whether a text names all of it.
    pub fn is_in(&self, text: &str) -> bool {
        self.words.iter().all(|word| text.contains(word))
    }

    /// Whether this is the answer of a relay that is not ready, and names it.
    pub fn is_in_unready(&self, answer: &str) -> bool {
        answer.starts_with("503") && self.is_in(answer)
    }
}
