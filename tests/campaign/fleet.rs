//! The relays: started, watched and started again when they end, as an orchestrator would. What they count is kept beyond their end.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::Serialize;

use crate::complaints::Wrong;
use crate::ledger::Ledger;
use crate::restarts::Restarts;
use crate::support::relay::{Deployment, Relay, sum};

/// How often metrics are fetched.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a relay that ended by itself is left alone.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// The shutdown deadline of the relays, and a machine that is slow.
const END_LIMIT: Duration = Duration::from_secs(90);

/// An end that nobody asked for.
#[derive(Clone, Debug, Serialize)]
pub struct Exit {
    pub relay: String,
    pub status: String,
    /// What it said last.
    pub said: String,
    pub log: PathBuf,
}

/// What all processes together have counted, as far as they could be asked.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counted {
    pub processes: u64,
    pub read: f64,
    pub audited: f64,
    pub quarantined: f64,
    pub committed: f64,
    pub aborted: f64,
    pub broken: f64,
    pub fenced: f64,
    pub rebuilds: f64,
    pub rebalances: f64,
    pub barriers: f64,
    /// Offsets that a relay took for deleted; nobody deletes any.
    pub deleted: f64,
    pub peak_resident_bytes: f64,
}

/// All relays of a run.
pub struct Fleet {
    deployment: Arc<Deployment>,
    ledger: Arc<Ledger>,
    logs: PathBuf,
    members: BTreeMap<String, Member>,
    started: usize,
    counted: Counted,
    exits: Vec<Exit>,
    pub restarts: Restarts,
    scraped: Instant,
}

struct Member {
    relay: Relay,
    /// Whether its process is stopped by a signal.
    frozen: bool,
    /// The instance by which it goes; two members of one instance are twins.
    instance: String,
    last: Counted,
    started: Instant,
    /// Since when it is to be started again.
    ended: Option<Instant>,
}

impl Fleet {
    pub fn new(deployment: Arc<Deployment>, ledger: Arc<Ledger>, logs: PathBuf) -> Fleet {
        Fleet {
            deployment,
            ledger,
            logs,
            members: BTreeMap::new(),
            started: 0,
            counted: Counted::default(),
            exits: Vec::new(),
            restarts: Restarts::default(),
            scraped: Instant::now(),
        }
    }

    /// Starts a relay by a name; it is kept running from now on.
    pub fn start(&mut self, name: &str, instance: &str) -> anyhow::Result<()> {
        self.started += 1;
        let log = self.logs.join(format!("relay-{name}-{}.log", self.started));
        let relay = self.deployment.spawn(instance, log)?;
        let member = Member {
            relay,
            frozen: false,
            instance: instance.to_string(),
            last: Counted::default(),
            started: Instant::now(),
            ended: None,
        };
        self.members.insert(name.to_string(), member);
        self.counted.processes += 1;
        Ok(())
    }

    /// Looks after all of them: who has ended is noted and started again, and what they count is fetched.
    pub fn tend(&mut self) -> anyhow::Result<()> {
        let names: Vec<String> = self.members.keys().cloned().collect();
        for name in &names {
            self.look_after(name)?;
        }
        if self.scraped.elapsed() >= SCRAPE_INTERVAL {
            self.scrape();
            self.scraped = Instant::now();
        }
        Ok(())
    }

    fn look_after(&mut self, name: &str) -> anyhow::Result<()> {
        let member = self.member(name)?;
        if let Some(ended) = member.ended {
            if ended.elapsed() >= RESTART_PAUSE {
                let instance = member.instance.clone();
                self.start(name, &instance)?;
            }
        } else if let Some(status) = member.relay.ended()? {
            member.ended = Some(Instant::now());
            self.note_end(name, status)?;
        }
        Ok(())
    }

    fn note_end(&mut self, name: &str, status: ExitStatus) -> anyhow::Result<()> {
        let member = self.members.get(name).context("no such relay")?;
        self.counted.add(&member.last);
        let log = member.relay.log_path().to_path_buf();
        let said = last_words(&member.relay.log());
        self.restarts.ended(name, member.started.elapsed(), &log);
        // The guard passes a signal's number on as a shell does. A clean end has a status of its own, and says why.
        let code = status.code().unwrap_or(128);
        if code == 101 || code >= 128 || status.signal().is_some() || said.is_empty() {
            let what = format!(
                "relay {name} ended with {status}: {said}; {}",
                log.display()
            );
            self.ledger.complain(Wrong::Crashed, what);
        }
        self.exits.push(Exit {
            relay: name.to_string(),
            status: status.to_string(),
            said,
            log,
        });
        Ok(())
    }

    fn member(&mut self, name: &str) -> anyhow::Result<&mut Member> {
        self.members
            .get_mut(name)
            .with_context(|| format!("there is no relay {name}"))
    }

    /// SIGKILL, and a new process at once.
    pub fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        let member = self.member(name)?;
        let instance = member.instance.clone();
        if member.ended.is_none() {
            member.relay.try_signal("KILL")?;
            await_end(&mut member.relay)?;
            let last = member.last;
            self.counted.add(&last);
        }
        self.start(name, &instance)
    }

    /// SIGTERM; the relay must end well, and is gone then.
    pub fn stop(&mut self, name: &str) -> anyhow::Result<()> {
        self.scrape();
        let mut member = self.members.remove(name).context("no such relay")?;
        if member.ended.is_some() || member.relay.ended()?.is_some() {
            return Ok(());
        }
        member.relay.try_signal("TERM")?;
        let status = await_end(&mut member.relay)?;
        self.counted.add(&member.last);
        if !status.success() {
            let (said, log) = (last_words(&member.relay.log()), member.relay.log_path());
            let what = format!(
                "relay {name} after SIGTERM: {status}: {said}; {}",
                log.display()
            );
            // What is read again by the next one is no loss; a fence or the deadline may end a relay that was just told to stop.
            let clean = matches!(status.code(), Some(1 | 69)) && !said.is_empty();
            if !clean {
                self.ledger.complain(Wrong::Crashed, what);
            } else {
                self.exits.push(Exit {
                    relay: name.to_string(),
                    status: status.to_string(),
                    said,
                    log: log.to_path_buf(),
                });
            }
        }
        Ok(())
    }

    /// SIGSTOP or SIGCONT.
    pub fn freeze(&mut self, name: &str, frozen: bool) -> anyhow::Result<()> {
        let member = self.member(name)?;
        if member.ended.is_none() {
            member
                .relay
                .try_signal(if frozen { "STOP" } else { "CONT" })?;
            member.frozen = frozen;
        }
        Ok(())
    }

    /// Forgets a relay, without its being asked: what it has counted stays.
    pub fn dismiss(&mut self, name: &str) -> anyhow::Result<()> {
        let mut member = self.members.remove(name).context("no such relay")?;
        if member.ended.is_none() && member.relay.ended()?.is_none() {
            member.relay.try_signal("KILL")?;
            await_end(&mut member.relay)?;
            self.counted.add(&member.last);
        }
        Ok(())
    }

    pub fn names(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    /// What each relay says of its health, for who wants to know why nothing moves.
    pub fn health(&self) -> Vec<(String, String)> {
        let ask = |(name, member): (&String, &Member)| {
            let answer = match member.relay.get("/readyz") {
                _ if member.ended.is_some() => "has ended".to_string(),
                _ if member.frozen => "is frozen".to_string(),
                Ok((status, body)) => format!("{status} {}", body.trim()),
                Err(error) => format!("does not answer: {error:#}"),
            };
            (name.clone(), answer)
        };
        self.members.iter().map(ask).collect()
    }

    fn scrape(&mut self) {
        for member in self.members.values_mut() {
            if member.frozen || member.ended.is_some() || !member.relay.find_admin() {
                continue;
            }
            // One that is just ending does not answer.
            if let Ok((_, page)) = member.relay.get("/metrics") {
                let peak = member.last.peak_resident_bytes;
                member.last = Counted::of(&page);
                member.last.peak_resident_bytes = member.last.peak_resident_bytes.max(peak);
            }
        }
    }

    /// Checks that what each relay has read has as many fates; while nothing is read, since the two are counted one after the other.
    pub fn check_accounts(&self) {
        for (name, member) in &self.members {
            if let Ok((_, page)) = member.relay.get("/metrics") {
                check_accounts(name, &page, &self.ledger);
            }
        }
    }

    /// What all processes have counted.
    pub fn counted(&mut self) -> Counted {
        self.scrape();
        let mut counted = self.counted;
        for member in self
            .members
            .values()
            .filter(|member| member.ended.is_none())
        {
            counted.add(&member.last);
        }
        counted
    }

    pub fn exits(&self) -> &[Exit] {
        &self.exits
    }
}

/// In every partition, what was read has as many fates.
fn check_accounts(name: &str, page: &str, ledger: &Ledger) {
    let mut accounts: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for line in page.lines() {
        let partition = line
            .split("partition=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let value = line
            .rsplit(' ')
            .next()
            .and_then(|value| value.parse::<f64>().ok());
        let (Some(partition), Some(value)) = (partition, value) else {
            continue;
        };
        let account = accounts.entry(partition).or_default();
        if line.starts_with("audit_relay_records_read_total{") {
            account.0 += value;
        } else if line.starts_with("audit_relay_records_total{") {
            account.1 += value;
        }
    }
    for (partition, (read, fates)) in accounts {
        if read != fates {
            let what = format!("relay {name}, partition {partition}: {read} read, {fates} fates");
            ledger.complain(Wrong::Unaccounted, what);
        }
    }
}

impl Counted {
    fn of(page: &str) -> Counted {
        let transactions = |result| sum(page, "audit_relay_transactions_total", result);
        let records = |fate| sum(page, "audit_relay_records_total", fate);
        Counted {
            processes: 0,
            read: sum(page, "audit_relay_records_read_total", ""),
            audited: records("fate=\"audited\""),
            quarantined: records("fate=\"quarantined\""),
            committed: transactions("\"committed\""),
            aborted: transactions("\"aborted\""),
            broken: transactions("\"broken\""),
            fenced: transactions("\"fenced\""),
            rebuilds: sum(page, "audit_relay_producer_rebuilds_total", ""),
            rebalances: sum(page, "audit_relay_rebalances_total", ""),
            barriers: sum(page, "audit_relay_table_barriers_total", ""),
            deleted: sum(page, "audit_relay_deleted_offsets_total", ""),
            peak_resident_bytes: sum(page, "process_resident_memory_bytes", ""),
        }
    }

    fn add(&mut self, other: &Counted) {
        self.read += other.read;
        self.audited += other.audited;
        self.quarantined += other.quarantined;
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.broken += other.broken;
        self.fenced += other.fenced;
        self.rebuilds += other.rebuilds;
        self.rebalances += other.rebalances;
        self.barriers += other.barriers;
        self.deleted += other.deleted;
        self.peak_resident_bytes = self.peak_resident_bytes.max(other.peak_resident_bytes);
    }
}

fn await_end(relay: &mut Relay) -> anyhow::Result<ExitStatus> {
    let since = Instant::now();
    loop {
        if let Some(status) = relay.ended()? {
            return Ok(status);
        }
        if since.elapsed() > END_LIMIT {
            bail!(
                "a relay did not end within {END_LIMIT:?}; {}",
                relay.log_path().display()
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The message of the last line of a log that says why the relay stopped, or of its last line.
fn last_words(log: &str) -> String {
    let stopped = log.lines().rev().find(|line| line.contains("stopped: "));
    let line = stopped.or_else(|| log.lines().last()).unwrap_or_default();
    line.chars().take(600).collect()
}
