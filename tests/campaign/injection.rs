//! Makes a fault, and undoes it. What cannot be made just now, because another fault is in the way,
//! is waited for. Topics that are made anew and logs that are damaged are in files of their own.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::damage::Damage;
use crate::ledger::Offsets;
use crate::naming::Unnamed;
use crate::plan::{Fault, RELAYS};
use crate::world::{ROOMY_BYTES, World};
use audit_testkit::cluster::RELAY_USER;
use audit_testkit::kafka::Stop;
use audit_testkit::proxy::{Aim, Ambush, Direction, Effect};
use audit_testkit::wire::{self, Coordinated};

/// Longest wait for the cluster to be whole before another of its brokers is ended.
const WHOLE_LIMIT: Duration = Duration::from_secs(180);
/// Most partitions that the input gets.
const PARTITIONS_MAX: i32 = 24;

/// A fault that was made and is not undone.
pub struct Struck {
    pub number: usize,
    pub fault: Fault,
    pub until: Instant,
    /// What the relays must name, before the time of the fault begins.
    pub unnamed: Option<Unnamed>,
    /// Of one that lies in wait for a commit: how many commits had been ambushed before.
    pub ambushed_before: Option<u64>,
    hold: Duration,
    undo: Undo,
}

impl Struck {
    /// From now on the fault is in force for as long as it is planned to be.
    pub fn begin(&mut self) {
        self.until = Instant::now() + self.hold;
    }
}

/// What ends a fault.
pub(crate) enum Undo {
    Nothing,
    Thaw(String),
    Restart(usize),
    EndEffect(u64),
    Disarm,
    Recreate { region: usize, from: Offsets },
    Replace(Damage),
    Allow { topic: String },
    Unthrottle(String),
    RaiseLimit,
    SetClockRight,
    Leave(Vec<String>),
    Dismiss(String),
}

impl World {
    /// Makes a fault.
    pub fn strike(&mut self, number: usize, fault: &Fault) -> anyhow::Result<Struck> {
        let exits = self.fleet.exits().len();
        let ambushed = self.cluster.rules().sprung();
        let struck = self.make(fault).with_context(|| format!("fault {number}, {fault:?}"))?;
        let (undo, hold) = struck;
        let unnamed = match &undo {
            Undo::Replace(damage) => Some(self.unread(damage, exits)),
            _ => self.unwritable(fault, exits),
        };
        Ok(Struck {
            number,
            fault: fault.clone(),
            until: Instant::now() + hold,
            unnamed,
            ambushed_before: fault.is_ambush().then_some(ambushed),
            hold,
            undo,
        })
    }

    fn make(&mut self, fault: &Fault) -> anyhow::Result<(Undo, Duration)> {
        let nothing = Ok((Undo::Nothing, Duration::ZERO));
        let millis = Duration::from_millis;
        match *fault {
            Fault::RelayKilled { relay } => {
                self.fleet.kill(RELAYS[relay])?;
                nothing
            }
            Fault::RelayFrozen { relay, hold_ms } => {
                self.fleet.freeze(RELAYS[relay], true)?;
                Ok((Undo::Thaw(RELAYS[relay].to_string()), millis(hold_ms)))
            }
            Fault::RelayStopped { relay } => {
                self.fleet.stop(RELAYS[relay])?;
                self.fleet.start(RELAYS[relay], RELAYS[relay])?;
                nothing
            }
            Fault::BrokerKilled { broker, hold_ms } => self.end_broker(broker, Stop::Kill, hold_ms),
            Fault::BrokerRestarted { broker } => self.end_broker(broker, Stop::Graceful, 0),
            Fault::LeadersMoved => {
                wire::elect_preferred_leaders(self.cluster.any_address()?)?;
                nothing
            }
            Fault::GroupCoordinatorKilled { hold_ms } => {
                let group = self.deployment.group.clone();
                self.kill_coordinator(Coordinated::Group(&group), hold_ms)
            }
            Fault::TransactionCoordinatorKilled { relay, hold_ms } => {
                let id = format!("{}-{}-0", self.deployment.group, RELAYS[relay]);
                self.kill_coordinator(Coordinated::TransactionalId(&id), hold_ms)
            }
            Fault::PartitionsAdded { count } => {
                self.add_partitions(count as i32)?;
                nothing
            }
            Fault::OutputDeleted { region, hold_ms } => self.delete_output(region, hold_ms),
            Fault::OutputShrunk { region, hold_ms } => self.shrink_output(region, hold_ms),
            Fault::LogDamaged { partition, hold_ms } => {
                self.damage_log(partition as i32, millis(hold_ms))
            }
            Fault::TableRemade { hold_ms } => self.remake_table(millis(hold_ms)),
            Fault::ProducerThrottled { relay, bytes_per_second, hold_ms } => {
                self.throttle(relay, bytes_per_second, hold_ms)
            }
            Fault::RightsTaken { region, hold_ms } => self.take_rights(region, hold_ms),
            Fault::RecordRefused { hold_ms } => self.refuse_record(hold_ms),
            Fault::ClockStepped { by_s, hold_ms } => {
                self.step_clock(by_s);
                Ok((Undo::SetClockRight, millis(hold_ms)))
            }
            Fault::RebalanceStorm { members, stay_ms } => {
                let names: Vec<String> =
                    (0..members).map(|member| format!("storm-{member}")).collect();
                for name in &names {
                    self.fleet.start(name, name)?;
                    self.wait(millis(stay_ms / 4))?;
                }
                Ok((Undo::Leave(names), millis(stay_ms)))
            }
            Fault::Twin { relay, hold_ms } => {
                let name = format!("twin-of-{}", RELAYS[relay]);
                self.fleet.start(&name, RELAYS[relay])?;
                Ok((Undo::Dismiss(name), millis(hold_ms)))
            }
            _ => self.disturb(fault),
        }
    }

    /// The faults of the network.
    fn disturb(&mut self, fault: &Fault) -> anyhow::Result<(Undo, Duration)> {
        let rules = self.cluster.rules();
        // A relay's clients are called after its instance, with a dash behind it.
        let of = |relay: usize| Aim::client(&format!("{}-", RELAYS[relay]));
        let lasting = |aim, effect, hold_ms| {
            let undo = Undo::EndEffect(rules.begin(aim, effect));
            Ok((undo, Duration::from_millis(hold_ms)))
        };
        match *fault {
            Fault::ConnectionsCut { relay } => {
                rules.cut(&of(relay));
                Ok((Undo::Nothing, Duration::ZERO))
            }
            Fault::ConnectionsDelayed { relay, delay_ms, hold_ms } => {
                lasting(of(relay), Effect::Delay(Duration::from_millis(delay_ms)), hold_ms)
            }
            Fault::BrokerUnreachable { broker, hold_ms } => {
                let struck = lasting(Aim::broker(broker), Effect::Refuse, hold_ms);
                rules.cut(&Aim::broker(broker));
                struck
            }
            Fault::OneWayCut { relay, to_broker, hold_ms } => {
                let way = if to_broker { Direction::ToBroker } else { Direction::ToClient };
                lasting(of(relay), Effect::BlackHole(way), hold_ms)
            }
            Fault::CommitUnanswered { relay } => {
                rules.ambush(of(relay), Ambush::SwallowAnswer);
                Ok((Undo::Disarm, Duration::ZERO))
            }
            Fault::CommitDelayed { relay, late_ms } => {
                let late = Duration::from_millis(late_ms);
                rules.ambush(of(relay), Ambush::DeliverLate(late));
                Ok((Undo::Disarm, late))
            }
            _ => bail!("no fault of the network: {fault:?}"),
        }
    }

    /// Undoes a fault.
    pub fn lift(&mut self, struck: Struck) -> anyhow::Result<()> {
        let what = format!("undo fault {}, {:?}", struck.number, struck.fault);
        self.undo(struck.undo).context(what)
    }

    fn undo(&mut self, undo: Undo) -> anyhow::Result<()> {
        match undo {
            Undo::Nothing => Ok(()),
            Undo::Thaw(relay) => self.fleet.freeze(&relay, false),
            Undo::Restart(broker) => self.cluster.restart(broker),
            Undo::EndEffect(number) => {
                self.cluster.rules().end(number);
                Ok(())
            }
            Undo::Disarm => {
                self.cluster.rules().disarm();
                Ok(())
            }
            Undo::Recreate { region, from } => self.recreate_output(region, from),
            Undo::Replace(damage) => self.replace_replica(damage),
            Undo::Unthrottle(client) => {
                let address = self.cluster.any_address()?;
                patiently(|| wire::limit_producer(address, &client, None))
            }
            Undo::Allow { topic } => {
                let address = self.cluster.any_address()?;
                patiently(|| wire::allow_again(address, &topic))
            }
            Undo::RaiseLimit => self.limit_quarantine(ROOMY_BYTES),
            Undo::SetClockRight => {
                self.step_clock(0);
                Ok(())
            }
            Undo::Leave(names) => names.iter().try_for_each(|name| self.fleet.stop(name)),
            Undo::Dismiss(name) => self.fleet.dismiss(&name),
        }
    }

    /// Ends a broker, of which only one may be away at a time: with two the cluster is not there.
    fn end_broker(
        &mut self,
        broker: usize,
        how: Stop,
        hold_ms: u64,
    ) -> anyhow::Result<(Undo, Duration)> {
        self.await_whole()?;
        self.cluster.stop(broker, how)?;
        Ok((Undo::Restart(broker), Duration::from_millis(hold_ms)))
    }

    fn kill_coordinator(
        &mut self,
        of: Coordinated<'_>,
        hold_ms: u64,
    ) -> anyhow::Result<(Undo, Duration)> {
        self.await_whole()?;
        let address = self.cluster.any_address()?;
        let mut broker = 0;
        patiently(|| {
            broker = wire::coordinator(address, of)?;
            Ok(())
        })?;
        self.end_broker(usize::try_from(broker)?, Stop::Kill, hold_ms)
    }

    pub(crate) fn await_whole(&mut self) -> anyhow::Result<()> {
        let since = Instant::now();
        while !self.cluster.is_whole() {
            if since.elapsed() > WHOLE_LIMIT {
                bail!("the cluster is not whole after {WHOLE_LIMIT:?}");
            }
            self.wait(Duration::from_millis(200))?;
        }
        Ok(())
    }

    fn add_partitions(&mut self, count: i32) -> anyhow::Result<()> {
        let (from, to) = (self.partitions, (self.partitions + count).min(PARTITIONS_MAX));
        if from < to {
            let kafka = self.cluster.kafka();
            kafka.try_add_partitions(&self.deployment.input, to)?;
            self.partitions = to;
            self.controls.settle_partitions(from..to);
        }
        Ok(())
    }

    /// A relay has one worker, and by its name its producer goes.
    fn throttle(
        &mut self,
        relay: usize,
        bytes_per_second: u32,
        hold_ms: u64,
    ) -> anyhow::Result<(Undo, Duration)> {
        let client = format!("{}-0", RELAYS[relay]);
        let address = self.cluster.any_address()?;
        patiently(|| wire::limit_producer(address, &client, Some(bytes_per_second)))?;
        Ok((Undo::Unthrottle(client), Duration::from_millis(hold_ms)))
    }

    fn take_rights(&mut self, region: usize, hold_ms: u64) -> anyhow::Result<(Undo, Duration)> {
        let topic = self.output(region);
        let address = self.cluster.any_address()?;
        patiently(|| wire::deny_write(address, RELAY_USER, &topic))?;
        Ok((Undo::Allow { topic }, Duration::from_millis(hold_ms)))
    }

    fn refuse_record(&mut self, hold_ms: u64) -> anyhow::Result<(Undo, Duration)> {
        self.limit_quarantine("2097152")?;
        self.controls.send_oversized();
        Ok((Undo::RaiseLimit, Duration::from_millis(hold_ms)))
    }

    fn limit_quarantine(&self, bytes: &str) -> anyhow::Result<()> {
        let kafka = self.cluster.kafka();
        let config = [("retention.ms", "-1"), ("max.message.bytes", bytes)];
        patiently(|| kafka.try_alter_topic(&self.deployment.quarantine, &config))
    }

    fn step_clock(&self, by_s: i64) {
        use std::sync::atomic::Ordering;
        self.controls.clock_shift_s.store(by_s, Ordering::Relaxed);
    }
}

/// For requests to a cluster that may be in trouble: again and again, for a while.
pub(crate) fn patiently(mut ask: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let since = Instant::now();
    loop {
        match ask() {
            Err(_) if since.elapsed() < WHOLE_LIMIT => {
                std::thread::sleep(Duration::from_millis(500));
            }
            result => return result,
        }
    }
}
