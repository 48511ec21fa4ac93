//! Runs the relays: starts them, watches them, and restarts them when they end, as an orchestrator
//! would. Keeps their counters after their end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde::Serialize;

use crate::counters::Counted;
use crate::exits::{self, Shutdown};
use crate::ledger::Ledger;
use crate::restarts::Restarts;
use crate::scrapes::{FinalAnswer, Scrapes};
use audit_testkit::relay::{Relay, TestDeployment};

/// Interval between two scrapes of the metrics.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(1);
/// Pause before a relay that ended by itself is restarted.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// Limit for an exit: the shutdown deadline of the relays, and a margin for a slow machine.
const EXIT_LIMIT: Duration = Duration::from_secs(90);

/// An exit that was not requested, or a failed one.
#[derive(Clone, Debug, Serialize)]
pub struct Exit {
    pub relay: String,
    pub status: String,
    /// The last message of its log.
    pub said: String,
    pub log: PathBuf,
}

/// All relays of a run.
pub struct Fleet {
    deployment: Arc<TestDeployment>,
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
    /// Its instance name; two members with one instance name are twins.
    instance: String,
    scrapes: Scrapes,
    started: Instant,
    /// When it ended, if it is to be restarted.
    ended: Option<Instant>,
}

impl Fleet {
    pub fn new(deployment: Arc<TestDeployment>, ledger: Arc<Ledger>, logs: PathBuf) -> Fleet {
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

    /// Starts a relay under a name, and restarts it from now on whenever it ends.
    pub fn start(&mut self, name: &str, instance: &str) -> anyhow::Result<()> {
        self.started += 1;
        let log = self.logs.join(format!("relay-{name}-{}.log", self.started));
        let relay = self.deployment.spawn(instance, log)?;
        let member = Member {
            relay,
            frozen: false,
            instance: instance.to_string(),
            scrapes: Scrapes::default(),
            started: Instant::now(),
            ended: None,
        };
        self.members.insert(name.to_string(), member);
        self.counted.processes += 1;
        Ok(())
    }

    /// Supervises all relays: restarts those that have ended, and scrapes their metrics.
    pub fn supervise(&mut self) -> anyhow::Result<()> {
        let names: Vec<String> = self.members.keys().cloned().collect();
        for name in &names {
            self.supervise_one(name)?;
        }
        if self.scraped.elapsed() >= SCRAPE_INTERVAL {
            self.scrape();
        }
        Ok(())
    }

    fn supervise_one(&mut self, name: &str) -> anyhow::Result<()> {
        let member = self.member(name)?;
        if let Some(ended) = member.ended {
            if ended.elapsed() >= RESTART_PAUSE {
                let instance = member.instance.clone();
                self.start(name, &instance)?;
            }
            return Ok(());
        }
        self.record_exit(name).map(|_| ())
    }

    /// Records the exit of a relay that ended by itself; returns whether it has ended.
    fn record_exit(&mut self, name: &str) -> anyhow::Result<bool> {
        let member = self.member(name)?;
        if member.ended.is_some() {
            return Ok(true);
        }
        let Some(status) = member.relay.ended()? else {
            return Ok(false);
        };
        member.ended = Some(Instant::now());
        let (lived, log) = (member.started.elapsed(), member.relay.log_path().to_path_buf());
        let (last, text) = (member.scrapes.last, member.relay.log());
        self.counted.add(&last);
        self.restarts.ended(name, lived, &log);
        self.judge_exit(name, Shutdown::Unrequested, status, &text, log);
        Ok(true)
    }

    fn judge_exit(
        &mut self,
        name: &str,
        shutdown: Shutdown,
        status: ExitStatus,
        text: &str,
        log: PathBuf,
    ) {
        let known_as = format!("{name} ({})", log.display());
        exits::judge(&known_as, shutdown, status, text, &self.ledger);
        if shutdown == Shutdown::Unrequested || !status.success() {
            self.exits.push(Exit {
                relay: name.to_string(),
                status: status.to_string(),
                said: exits::last_message(text),
                log,
            });
        }
    }

    fn member(&mut self, name: &str) -> anyhow::Result<&mut Member> {
        self.members.get_mut(name).with_context(|| format!("there is no relay {name}"))
    }

    /// Kills a relay with SIGKILL, and starts a new process at once.
    pub fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        let has_ended = self.record_exit(name)?;
        let member = self.member(name)?;
        let instance = member.instance.clone();
        if !has_ended {
            member.relay.try_signal("KILL")?;
            await_exit(&mut member.relay)?;
            let last = member.scrapes.last;
            self.counted.add(&last);
        }
        self.start(name, &instance)
    }

    /// Stops a relay with SIGTERM and removes it; its exit must be clean.
    pub fn stop(&mut self, name: &str) -> anyhow::Result<()> {
        self.scrape();
        let has_ended = self.record_exit(name)?;
        let mut member = self.members.remove(name).context("no such relay")?;
        if has_ended {
            return Ok(());
        }
        member.relay.try_signal("TERM")?;
        let status = await_exit(&mut member.relay)?;
        self.counted.add(&member.scrapes.last);
        let (text, log) = (member.relay.log(), member.relay.log_path().to_path_buf());
        self.judge_exit(name, Shutdown::Requested, status, &text, log);
        Ok(())
    }

    /// Freezes a relay with SIGSTOP, or continues it with SIGCONT.
    pub fn freeze(&mut self, name: &str, frozen: bool) -> anyhow::Result<()> {
        let member = self.member(name)?;
        if member.ended.is_none() {
            member.relay.try_signal(if frozen { "STOP" } else { "CONT" })?;
            member.frozen = frozen;
        }
        Ok(())
    }

    /// Kills and removes a relay; its counters are kept.
    pub fn remove(&mut self, name: &str) -> anyhow::Result<()> {
        let has_ended = self.record_exit(name)?;
        let mut member = self.members.remove(name).context("no such relay")?;
        if !has_ended {
            member.relay.try_signal("KILL")?;
            await_exit(&mut member.relay)?;
            self.counted.add(&member.scrapes.last);
        }
        Ok(())
    }

    pub fn names(&self) -> Vec<String> {
        self.members.keys().cloned().collect()
    }

    /// The answer of each relay at `/readyz`, to explain why nothing moves.
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
        let since = self.scraped.elapsed();
        self.scraped = Instant::now();
        for (name, member) in &mut self.members {
            if member.frozen || member.ended.is_some() {
                member.scrapes.reset_silence();
                continue;
            }
            member.relay.find_admin();
            let answer = member.relay.get("/metrics");
            member.scrapes.add(name, &answer, since, &self.ledger);
        }
    }

    /// Asks each relay for its metrics.
    pub fn ask_all(&self) -> Vec<FinalAnswer> {
        let ask = |(name, member): (&String, &Member)| FinalAnswer {
            relay: name.clone(),
            before: member.scrapes.last,
            answer: match member.ended {
                Some(_) => Err(anyhow!("it has ended")),
                None => member.relay.get("/metrics"),
            },
        };
        self.members.iter().map(ask).collect()
    }

    /// The counters of all processes.
    pub fn counted(&mut self) -> Counted {
        self.scrape();
        let mut counted = self.counted;
        for member in self.members.values().filter(|member| member.ended.is_none()) {
            counted.add(&member.scrapes.last);
        }
        counted
    }

    pub fn exits(&self) -> &[Exit] {
        &self.exits
    }
}

fn await_exit(relay: &mut Relay) -> anyhow::Result<ExitStatus> {
    let since = Instant::now();
    loop {
        if let Some(status) = relay.ended()? {
            return Ok(status);
        }
        if since.elapsed() > EXIT_LIMIT {
            bail!("a relay did not end within {EXIT_LIMIT:?}; {}", relay.log_path().display());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
