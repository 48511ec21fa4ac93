//! The relays: started, watched and started again when they end, as an orchestrator would. What
//! they count is kept beyond their end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde::Serialize;

use crate::counters::Counted;
use crate::ends::{self, Asked};
use crate::hearing::{Hearing, Last};
use crate::ledger::Ledger;
use crate::restarts::Restarts;
use audit_testkit::relay::{Relay, TestDeployment};

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
    /// The instance by which it goes; two members of one instance are twins.
    instance: String,
    hearing: Hearing,
    started: Instant,
    /// Since when it is to be started again.
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

    /// Starts a relay by a name; it is kept running from now on.
    pub fn start(&mut self, name: &str, instance: &str) -> anyhow::Result<()> {
        self.started += 1;
        let log = self.logs.join(format!("relay-{name}-{}.log", self.started));
        let relay = self.deployment.spawn(instance, log)?;
        let member = Member {
            relay,
            frozen: false,
            instance: instance.to_string(),
            hearing: Hearing::default(),
            started: Instant::now(),
            ended: None,
        };
        self.members.insert(name.to_string(), member);
        self.counted.processes += 1;
        Ok(())
    }

    /// Looks after all of them: who has ended is noted and started again, and what they count is
    /// fetched.
    pub fn tend(&mut self) -> anyhow::Result<()> {
        let names: Vec<String> = self.members.keys().cloned().collect();
        for name in &names {
            self.look_after(name)?;
        }
        if self.scraped.elapsed() >= SCRAPE_INTERVAL {
            self.scrape();
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
            return Ok(());
        }
        self.note_end_of(name).map(|_| ())
    }

    /// Whether a relay has ended, nobody having asked it to; that is noted.
    fn note_end_of(&mut self, name: &str) -> anyhow::Result<bool> {
        let member = self.member(name)?;
        if member.ended.is_some() {
            return Ok(true);
        }
        let Some(status) = member.relay.ended()? else {
            return Ok(false);
        };
        member.ended = Some(Instant::now());
        let (lived, log) = (member.started.elapsed(), member.relay.log_path().to_path_buf());
        let (last, text) = (member.hearing.last, member.relay.log());
        self.counted.add(&last);
        self.restarts.ended(name, lived, &log);
        self.judge_end(name, Asked::ByNobody, status, &text, log);
        Ok(true)
    }

    fn judge_end(
        &mut self,
        name: &str,
        asked: Asked,
        status: ExitStatus,
        text: &str,
        log: PathBuf,
    ) {
        let known_as = format!("{name} ({})", log.display());
        ends::judge(&known_as, asked, status, text, &self.ledger);
        if asked == Asked::ByNobody || !status.success() {
            self.exits.push(Exit {
                relay: name.to_string(),
                status: status.to_string(),
                said: ends::last_words(text),
                log,
            });
        }
    }

    fn member(&mut self, name: &str) -> anyhow::Result<&mut Member> {
        self.members.get_mut(name).with_context(|| format!("there is no relay {name}"))
    }

    /// SIGKILL, and a new process at once.
    pub fn kill(&mut self, name: &str) -> anyhow::Result<()> {
        let has_ended = self.note_end_of(name)?;
        let member = self.member(name)?;
        let instance = member.instance.clone();
        if !has_ended {
            member.relay.try_signal("KILL")?;
            await_end(&mut member.relay)?;
            let last = member.hearing.last;
            self.counted.add(&last);
        }
        self.start(name, &instance)
    }

    /// SIGTERM; the relay must end well, and is gone then.
    pub fn stop(&mut self, name: &str) -> anyhow::Result<()> {
        self.scrape();
        let has_ended = self.note_end_of(name)?;
        let mut member = self.members.remove(name).context("no such relay")?;
        if has_ended {
            return Ok(());
        }
        member.relay.try_signal("TERM")?;
        let status = await_end(&mut member.relay)?;
        self.counted.add(&member.hearing.last);
        let (text, log) = (member.relay.log(), member.relay.log_path().to_path_buf());
        self.judge_end(name, Asked::ToStop, status, &text, log);
        Ok(())
    }

    /// SIGSTOP or SIGCONT.
    pub fn freeze(&mut self, name: &str, frozen: bool) -> anyhow::Result<()> {
        let member = self.member(name)?;
        if member.ended.is_none() {
            member.relay.try_signal(if frozen { "STOP" } else { "CONT" })?;
            member.frozen = frozen;
        }
        Ok(())
    }

    /// Forgets a relay, without its being asked: what it has counted stays.
    pub fn dismiss(&mut self, name: &str) -> anyhow::Result<()> {
        let has_ended = self.note_end_of(name)?;
        let mut member = self.members.remove(name).context("no such relay")?;
        if !has_ended {
            member.relay.try_signal("KILL")?;
            await_end(&mut member.relay)?;
            self.counted.add(&member.hearing.last);
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
        let since = self.scraped.elapsed();
        self.scraped = Instant::now();
        for (name, member) in &mut self.members {
            if member.frozen || member.ended.is_some() {
                member.hearing.excuse();
                continue;
            }
            member.relay.find_admin();
            let answer = member.relay.get("/metrics");
            member.hearing.hear(name, &answer, since, &self.ledger);
        }
    }

    /// What each relay says that is to run, if it does.
    pub fn ask_all(&self) -> Vec<Last> {
        let ask = |(name, member): (&String, &Member)| Last {
            relay: name.clone(),
            before: member.hearing.last,
            answer: match member.ended {
                Some(_) => Err(anyhow!("it has ended")),
                None => member.relay.get("/metrics"),
            },
        };
        self.members.iter().map(ask).collect()
    }

    /// What all processes have counted.
    pub fn counted(&mut self) -> Counted {
        self.scrape();
        let mut counted = self.counted;
        for member in self.members.values().filter(|member| member.ended.is_none()) {
            counted.add(&member.hearing.last);
        }
        counted
    }

    pub fn exits(&self) -> &[Exit] {
        &self.exits
    }
}

fn await_end(relay: &mut Relay) -> anyhow::Result<ExitStatus> {
    let since = Instant::now();
    loop {
        if let Some(status) = relay.ended()? {
            return Ok(status);
        }
        if since.elapsed() > END_LIMIT {
            bail!("a relay did not end within {END_LIMIT:?}; {}", relay.log_path().display());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
