//! Plans which faults to inject, when, and with which parameters: drawn from a seed before anything
//! starts, or read from the log of an earlier run. Nothing here touches the world.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use audit_testkit::cluster::BROKERS;
use audit_testkit::random::Random;
use audit_testkit::relay::REGIONS;

/// Initial number of partitions of the input.
pub const INPUT_PARTITIONS: i32 = 6;
/// The instance names of the relays of a run.
pub const RELAYS: [&str; 3] = ["a", "b", "c"];

/// What the campaign injects. Relays and regions are named by index, brokers by number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fault {
    /// SIGKILL of a relay; a new process starts at once.
    RelayKilled { relay: usize },
    /// SIGSTOP for longer than the session time-out, then SIGCONT: a zombie.
    RelayFrozen { relay: usize, hold_ms: u64 },
    /// SIGTERM of a relay; a new process starts after it has ended.
    RelayStopped { relay: usize },
    /// SIGKILL of a broker, which is started again.
    BrokerKilled { broker: usize, hold_ms: u64 },
    /// SIGTERM of a broker, which is started again.
    BrokerRestarted { broker: usize },
    /// Every partition elects its preferred leader.
    LeadersMoved,
    /// The broker that coordinates the consumer group is killed.
    GroupCoordinatorKilled { hold_ms: u64 },
    /// The broker that coordinates a relay's transactions is killed.
    TransactionCoordinatorKilled { relay: usize, hold_ms: u64 },
    /// All connections of a relay are cut.
    ConnectionsCut { relay: usize },
    /// All traffic of a relay is delayed in both directions.
    ConnectionsDelayed { relay: usize, delay_ms: u64, hold_ms: u64 },
    /// No relay reaches this broker, which continues to run.
    BrokerUnreachable { broker: usize, hold_ms: u64 },
    /// A commit is done, but its answer does not reach the relay.
    CommitUnanswered { relay: usize },
    /// A commit reaches the broker after the relay has given it up.
    CommitDelayed { relay: usize, late_ms: u64 },
    /// Nothing that a relay sends arrives, or nothing that is sent to it.
    OneWayCut { relay: usize, to_broker: bool, hold_ms: u64 },
    /// The input gets more partitions, with new devices in them.
    PartitionsAdded { count: usize },
    /// An output topic is deleted, and recreated later.
    OutputDeleted { region: usize, hold_ms: u64 },
    /// An output topic is deleted, and recreated later with one partition.
    OutputShrunk { region: usize, hold_ms: u64 },
    /// The relays lose the right to write to an output topic for a while.
    RightsTaken { region: usize, hold_ms: u64 },
    /// A record is larger than the quarantine topic accepts until its limit is raised again; a stub
    /// must be written for it.
    RecordRefused { hold_ms: u64 },
    /// The timestamps of the changes jump.
    ClockStepped { by_s: i64, hold_ms: u64 },
    /// Members join and leave.
    RebalanceStorm { members: usize, stay_ms: u64 },
    /// A second process starts with the instance name of a running relay.
    Twin { relay: usize, hold_ms: u64 },
    /// A quota per broker limits what a relay produces so much that a full batch needs longer than
    /// a transaction may take.
    ProducerThrottled { relay: usize, bytes_per_second: u32, hold_ms: u64 },
    /// The leader of an input partition gets a damaged batch on its disk that is not yet read.
    /// Another replica becomes leader later.
    LogDamaged { partition: usize, hold_ms: u64 },
    /// The topic of the principals is deleted, and recreated later: without some users, or with
    /// them again, and with the same entries for all others.
    TableRemade { hold_ms: u64 },
}

/// Number of kinds of faults.
pub const KINDS: usize = 25;

impl Fault {
    /// Its kind, as named in logs and reports.
    pub fn name(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value["kind"].as_str().unwrap_or_default().to_string()
    }

    /// Whether it can only be injected while all brokers are up.
    pub fn needs_whole_cluster(&self) -> bool {
        matches!(
            self,
            Fault::BrokerKilled { .. }
                | Fault::BrokerRestarted { .. }
                | Fault::GroupCoordinatorKilled { .. }
                | Fault::TransactionCoordinatorKilled { .. }
                | Fault::LeadersMoved
                | Fault::PartitionsAdded { .. }
                | Fault::OutputDeleted { .. }
                | Fault::OutputShrunk { .. }
                | Fault::LogDamaged { .. }
                | Fault::TableRemade { .. }
                | Fault::RightsTaken { .. }
                | Fault::RecordRefused { .. }
        )
    }

    /// Whether no other fault may be in force when it is injected; others may be injected later.
    pub fn begins_alone(&self) -> bool {
        matches!(self, Fault::LogDamaged { .. } | Fault::TableRemade { .. })
    }

    /// Whether it takes effect at the next commit of a relay.
    pub fn is_ambush(&self) -> bool {
        matches!(self, Fault::CommitUnanswered { .. } | Fault::CommitDelayed { .. })
    }

    /// The relay whose process it affects.
    pub fn relay(&self) -> Option<usize> {
        match self {
            Fault::RelayKilled { relay }
            | Fault::RelayFrozen { relay, .. }
            | Fault::RelayStopped { relay }
            | Fault::Twin { relay, .. } => Some(*relay),
            _ => None,
        }
    }

    /// Draws the parameters of a fault of this kind.
    fn of_kind(kind: usize, random: &Random) -> Fault {
        let relay = random.index(RELAYS.len());
        let broker = random.count(1, BROKERS);
        let region = random.index(REGIONS.len());
        let hold_ms = random.within(2_000, 8_000);
        match kind {
            0 => Fault::RelayKilled { relay },
            // The session time-out of the relays is 6 s.
            1 => Fault::RelayFrozen { relay, hold_ms: random.within(7_000, 12_000) },
            2 => Fault::RelayStopped { relay },
            3 => Fault::BrokerKilled { broker, hold_ms },
            4 => Fault::BrokerRestarted { broker },
            5 => Fault::LeadersMoved,
            6 => Fault::GroupCoordinatorKilled { hold_ms },
            7 => Fault::TransactionCoordinatorKilled { relay, hold_ms },
            8 => Fault::ConnectionsCut { relay },
            9 => Fault::ConnectionsDelayed { relay, delay_ms: random.within(20, 400), hold_ms },
            10 => Fault::BrokerUnreachable { broker, hold_ms },
            11 => Fault::CommitUnanswered { relay },
            12 => Fault::CommitDelayed { relay, late_ms: random.within(0, 4_000) },
            13 => Fault::OneWayCut {
                relay,
                to_broker: random.percent(50),
                hold_ms: random.within(2_000, 15_000),
            },
            14 => Fault::PartitionsAdded { count: random.count(1, 3) },
            15 => Fault::OutputDeleted { region, hold_ms },
            16 => Fault::RightsTaken { region, hold_ms },
            17 => Fault::RecordRefused { hold_ms },
            18 => Fault::ClockStepped {
                // Brokers refuse records that are more than an hour ahead.
                by_s: if random.percent(30) {
                    random.within(60, 3_000) as i64
                } else {
                    -(random.within(60, 8_000_000) as i64)
                },
                hold_ms,
            },
            19 => Fault::RebalanceStorm {
                members: random.count(1, 3),
                stay_ms: random.within(200, 3_000),
            },
            20 => Fault::Twin {
                relay,
                // The two fence each other in the group, with pauses that grow to 20 s.
                hold_ms: random.within(2_000, 30_000),
            },
            21 => Fault::ProducerThrottled {
                relay,
                bytes_per_second: random.within(300, 1_500) as u32,
                hold_ms: random.within(15_000, 25_000),
            },
            22 => Fault::OutputShrunk { region, hold_ms },
            23 => Fault::LogDamaged { partition: random.index(INPUT_PARTITIONS as usize), hold_ms },
            _ => Fault::TableRemade { hold_ms },
        }
    }
}

/// A fault in the plan of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedFault {
    pub number: usize,
    /// Pause before it.
    pub pause_ms: u64,
    /// Whether the next fault is injected before the world has recovered from this one.
    pub overlaps: bool,
    #[serde(flatten)]
    pub fault: Fault,
}

/// The endless plan of a seed: rounds of all kinds, each round in a different order.
pub fn from_seed(seed: u64) -> impl Iterator<Item = PlannedFault> {
    let random = Random::new(seed ^ 0xfa17);
    let mut round: Vec<usize> = Vec::new();
    (0..).map(move |number| {
        if round.is_empty() {
            round = (0..KINDS).collect();
            random.shuffle(&mut round);
        }
        let kind = round.pop().unwrap_or(0);
        PlannedFault {
            number,
            fault: Fault::of_kind(kind, &random),
            pause_ms: random.within(0, 1_500),
            overlaps: random.percent(30),
        }
    })
}

/// The plan of a seed, restricted to these kinds unless the list is empty.
pub fn of_kinds(
    seed: u64,
    kinds: Vec<String>,
) -> anyhow::Result<impl Iterator<Item = PlannedFault>> {
    let round: Vec<String> =
        from_seed(seed).take(KINDS).map(|planned| planned.fault.name()).collect();
    let unknown = kinds.iter().find(|kind| !round.contains(kind));
    anyhow::ensure!(unknown.is_none(), "unknown kind of fault {unknown:?}; kinds are {round:?}");
    let is_wanted =
        move |planned: &PlannedFault| kinds.is_empty() || kinds.contains(&planned.fault.name());
    Ok(from_seed(seed).filter(is_wanted))
}

/// The plan that a log recorded. Logs call an injection `strike`.
pub fn from_log(log: &Path) -> anyhow::Result<Vec<PlannedFault>> {
    let text = std::fs::read_to_string(log).with_context(|| format!("read {}", log.display()))?;
    let injections = text.lines().filter(|line| line.contains("\"strike\""));
    let planned = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line)?;
        Ok(serde_json::from_value(value["strike"].clone())?)
    };
    injections.map(planned).collect()
}
