//! Which faults, when, and how hard: chosen from a seed before anything starts, or read from the
//! log of an earlier run. Nothing here touches the world.

use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use audit_testkit::cluster::BROKERS;
use audit_testkit::random::Random;
use audit_testkit::relay::REGIONS;

/// Partitions of the input, at first.
pub const INPUT_PARTITIONS: i32 = 6;
/// The relays of a run, by the names of their instances.
pub const RELAYS: [&str; 3] = ["a", "b", "c"];

/// One thing that breaks. Relays and regions are named by index, brokers by number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Fault {
    /// SIGKILL, and a new process at once.
    RelayKilled { relay: usize },
    /// SIGSTOP for longer than the session time-out, then SIGCONT: a zombie.
    RelayFrozen { relay: usize, hold_ms: u64 },
    /// SIGTERM, and a new process after it has ended.
    RelayStopped { relay: usize },
    /// SIGKILL of a broker, which comes back.
    BrokerKilled { broker: usize, hold_ms: u64 },
    /// SIGTERM of a broker, which comes back.
    BrokerRestarted { broker: usize },
    /// Every partition goes back to the broker that is its preferred leader.
    LeadersMoved,
    /// The broker that coordinates the consumer group is killed.
    GroupCoordinatorKilled { hold_ms: u64 },
    /// The broker that coordinates a relay's transactions is killed.
    TransactionCoordinatorKilled { relay: usize, hold_ms: u64 },
    /// All connections of a relay are cut.
    ConnectionsCut { relay: usize },
    /// Everything that a relay sends and gets takes longer.
    ConnectionsDelayed { relay: usize, delay_ms: u64, hold_ms: u64 },
    /// No relay reaches this broker, which runs on.
    BrokerUnreachable { broker: usize, hold_ms: u64 },
    /// A commit is done, and the relay does not learn of it.
    CommitUnanswered { relay: usize },
    /// A commit reaches the broker after the relay has given it up.
    CommitDelayed { relay: usize, late_ms: u64 },
    /// Nothing of what a relay sends arrives, or nothing of what is sent to it.
    OneWayCut { relay: usize, to_broker: bool, hold_ms: u64 },
    /// The input gets more partitions, and devices that live there.
    PartitionsAdded { count: usize },
    /// An output topic is deleted, and made anew later.
    OutputDeleted { region: usize, hold_ms: u64 },
    /// The same, and it has one partition from then on.
    OutputShrunk { region: usize, hold_ms: u64 },
    /// The relays may not write to an output topic for a while.
    RightsTaken { region: usize, hold_ms: u64 },
    /// A record is larger than the quarantine topic takes from now on, until its limit is raised; a
    /// stub stands for it.
    RecordRefused { hold_ms: u64 },
    /// The times of the changes jump.
    ClockStepped { by_s: i64, hold_ms: u64 },
    /// Members come and go.
    RebalanceStorm { members: usize, stay_ms: u64 },
    /// A second process with the instance of a relay that runs.
    Twin { relay: usize, hold_ms: u64 },
    /// Each broker takes so little of a relay that a full batch needs more time than a transaction
    /// has.
    ProducerThrottled { relay: usize, bytes_per_second: u32, hold_ms: u64 },
    /// The leader of a partition of the input has a bad batch on its disk, which is still to be
    /// read. Another replica leads later.
    LogDamaged { partition: usize, hold_ms: u64 },
    /// The topic of the principals is deleted, and made anew later: it names some users no more, or
    /// again, and says the same of all others.
    TableRemade { hold_ms: u64 },
}

/// How many kinds there are.
pub const KINDS: usize = 25;

impl Fault {
    /// Its kind, as logs and reports call it.
    pub fn name(&self) -> String {
        let value = serde_json::to_value(self).unwrap_or_default();
        value["kind"].as_str().unwrap_or_default().to_string()
    }

    /// Whether it can only be made while all brokers are there.
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

    /// Whether no other fault may be in force when it is made; later ones may come while it is.
    pub fn begins_alone(&self) -> bool {
        matches!(self, Fault::LogDamaged { .. } | Fault::TableRemade { .. })
    }

    /// Whether it lies in wait for the next commit of a relay.
    pub fn is_ambush(&self) -> bool {
        matches!(self, Fault::CommitUnanswered { .. } | Fault::CommitDelayed { .. })
    }

    /// The relay whose process it is about.
    pub fn relay(&self) -> Option<usize> {
        match self {
            Fault::RelayKilled { relay }
            | Fault::RelayFrozen { relay, .. }
            | Fault::RelayStopped { relay }
            | Fault::Twin { relay, .. } => Some(*relay),
            _ => None,
        }
    }

    /// The fault of a kind, with whatever else there is to choose.
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
                // The two throw each other out of the group, with pauses that grow to 20 s.
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

/// A fault at its place in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub number: usize,
    /// How long nothing is done before it.
    pub pause_ms: u64,
    /// Whether the next one comes before the world has recovered from this one.
    pub overlaps: bool,
    #[serde(flatten)]
    pub fault: Fault,
}

/// The faults of a seed, without end: all kinds in turn, in an order that differs from round to
/// round.
pub fn from_seed(seed: u64) -> impl Iterator<Item = Step> {
    let random = Random::new(seed ^ 0xfa17);
    let mut round: Vec<usize> = Vec::new();
    (0..).map(move |number| {
        if round.is_empty() {
            round = (0..KINDS).collect();
            random.shuffle(&mut round);
        }
        let kind = round.pop().unwrap_or(0);
        Step {
            number,
            fault: Fault::of_kind(kind, &random),
            pause_ms: random.within(0, 1_500),
            overlaps: random.percent(30),
        }
    })
}

/// Those of these kinds; of all, if none is named.
pub fn of_kinds(seed: u64, kinds: Vec<String>) -> anyhow::Result<impl Iterator<Item = Step>> {
    let round: Vec<String> = from_seed(seed).take(KINDS).map(|step| step.fault.name()).collect();
    let unknown = kinds.iter().find(|kind| !round.contains(kind));
    anyhow::ensure!(unknown.is_none(), "no fault is called {unknown:?}: {round:?}");
    let is_wanted = move |step: &Step| kinds.is_empty() || kinds.contains(&step.fault.name());
    Ok(from_seed(seed).filter(is_wanted))
}

/// The faults that a log says were made.
pub fn from_log(log: &Path) -> anyhow::Result<Vec<Step>> {
    let text = std::fs::read_to_string(log).with_context(|| format!("read {}", log.display()))?;
    let strikes = text.lines().filter(|line| line.contains("\"strike\""));
    let step = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line)?;
        Ok(serde_json::from_value(value["strike"].clone())?)
    };
    strikes.map(step).collect()
}
