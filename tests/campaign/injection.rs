//! Injects a fault, and clears it. Waits while another fault makes the injection impossible.
//! `remake.rs` recreates topics, `damage.rs` damages logs.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::damage::Damage;
use crate::diagnosis::Diagnosis;
use crate::ledger::Offsets;
use crate::plan::{Fault, RELAYS};
use crate::world::{ROOMY_BYTES, World};
use audit_testkit::cluster::RELAY_USER;
use audit_testkit::kafka::Stop;
use audit_testkit::proxy::{Aim, Ambush, Direction, Effect, RequestKind};
use audit_testkit::wire::{self, Coordinated};

/// Longest wait for the cluster to be whole before another of its brokers is stopped.
const WHOLE_LIMIT: Duration = Duration::from_secs(180);
/// Maximum number of partitions of the input.
const PARTITIONS_MAX: i32 = 24;

/// A fault that was injected and is not cleared yet.
pub struct ActiveFault {
    pub number: usize,
    pub fault: Fault,
    pub until: Instant,
    /// What a relay must diagnose before the time of the fault begins.
    pub diagnosis: Option<Diagnosis>,
    /// For a fault that ambushes a commit: the number of commits ambushed before it.
    pub ambushed_before: Option<u64>,
    hold: Duration,
    undo: Undo,
}

impl ActiveFault {
    /// Starts the planned duration of the fault.
    pub fn begin(&mut self) {
        self.until = Instant::now() + self.hold;
    }
}

/// How to clear a fault.
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
    Remove(String),
}

impl World {
    /// Injects a fault.
    pub fn inject(&mut self, number: usize, fault: &Fault) -> anyhow::Result<ActiveFault> {
        let exits = self.fleet.exits().len();
        let ambushed = self.cluster.rules().sprung();
        let injected = self.apply(fault).with_context(|| format!("fault {number}, {fault:?}"))?;
        let (undo, hold) = injected;
        let diagnosis = match &undo {
            Undo::Replace(damage) => Some(self.unreadable(damage, exits)),
            _ => self.unwritable(fault, exits),
        };
        Ok(ActiveFault {
            number,
            fault: fault.clone(),
            until: Instant::now() + hold,
            diagnosis,
            ambushed_before: fault.is_ambush().then_some(ambushed),
            hold,
            undo,
        })
    }

    fn apply(&mut self, fault: &Fault) -> anyhow::Result<(Undo, Duration)> {
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
                Ok((Undo::Remove(name), millis(hold_ms)))
            }
            _ => self.apply_network_fault(fault),
        }
    }

    /// Injects a fault of the network.
    fn apply_network_fault(&mut self, fault: &Fault) -> anyhow::Result<(Undo, Duration)> {
        let rules = self.cluster.rules();
        // The client ids of a relay are its instance name and a dash, with more behind it.
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
                let injected = lasting(Aim::broker(broker), Effect::Refuse, hold_ms);
                rules.cut(&Aim::broker(broker));
                injected
            }
            Fault::OneWayCut { relay, to_broker, hold_ms } => {
                let way = if to_broker { Direction::ToBroker } else { Direction::ToClient };
                lasting(of(relay), Effect::BlackHole(way), hold_ms)
            }
            Fault::CommitUnanswered { relay } => {
                rules.ambush(of(relay), RequestKind::END_TXN, Ambush::SwallowAnswer);
                Ok((Undo::Disarm, Duration::ZERO))
            }
            Fault::CommitDelayed { relay, late_ms } => {
                let late = Duration::from_millis(late_ms);
                rules.ambush(of(relay), RequestKind::END_TXN, Ambush::DeliverLate(late));
                Ok((Undo::Disarm, late))
            }
            _ => bail!("not a fault of the network: {fault:?}"),
        }
    }

    /// Clears a fault.
    pub fn clear(&mut self, injected: ActiveFault) -> anyhow::Result<()> {
        let what = format!("clear fault {}, {:?}", injected.number, injected.fault);
        self.undo(injected.undo).context(what)
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
            Undo::Remove(name) => self.fleet.remove(&name),
        }
    }

    /// Stops a broker. Only one may be down at a time: without two of them there is no quorum.
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
            self.controls.add_partitions_with_devices(from..to);
        }
        Ok(())
    }

    /// Limits the producer of a relay's only worker, whose client id follows from its name.
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

/// Repeats a request to a cluster that may be disturbed, until it succeeds or a limit is over.
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
