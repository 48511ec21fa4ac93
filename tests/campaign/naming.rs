//! A topic that cannot be written must be named by a relay: as not ready, or as the reason of its end.

use std::time::Duration;

use crate::complaints::Wrong;
use crate::plan::Fault;
use crate::world::World;

/// By then a relay must have named the topic.
pub const NAMED_LIMIT: Duration = Duration::from_secs(90);

/// A topic that a fault makes unwritable.
pub struct Unwritable {
    topic: String,
    /// So many relays had ended before.
    exits: usize,
}

impl World {
    /// The topic that a fault will make unwritable, if it is of this sort.
    pub fn unwritable(&self, fault: &Fault) -> Option<Unwritable> {
        let topic = match fault {
            Fault::OutputDeleted { region, .. } | Fault::RightsTaken { region, .. } => {
                self.output(*region)
            }
            Fault::RecordRefused { .. } => self.deployment.quarantine.clone(),
            _ => return None,
        };
        let exits = self.fleet.exits().len();
        Some(Unwritable { topic, exits })
    }

    /// Whether a relay has named it since.
    pub fn is_named(&self, unwritable: &Unwritable) -> bool {
        let exits = self.fleet.exits().iter().skip(unwritable.exits);
        let said = exits.map(|exit| exit.said.clone());
        let health = self.fleet.health().into_iter();
        let unready = health
            .map(|(_, answer)| answer)
            .filter(|answer| answer.starts_with("503"));
        said.chain(unready)
            .any(|text| text.contains(&unwritable.topic))
    }

    /// Nobody has named it in time.
    pub fn complain_of_silence(&self, unwritable: &Unwritable) {
        let topic = &unwritable.topic;
        let what = format!(
            "no relay names {topic}, which it cannot write: {:?}",
            self.fleet.health()
        );
        self.ledger.complain(Wrong::Stalled, what);
    }
}
