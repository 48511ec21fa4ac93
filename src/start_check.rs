//! The check of the cluster at the start of `run`: waits for a cluster that does not answer yet, names every
//! unmet demand at once, and logs what is doubtful. What is demanded is decided in `kafka::check`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::oneshot::{self, Receiver};
use tracing::{info, warn};

use crate::config::Config;
use crate::health::Health;
use crate::kafka::check::{Finding, Verdict, check_cluster};
use crate::kafka::topics::TopicNames;
use crate::stream::worker::StopRequest;

/// What /readyz says it is about.
const CLUSTER: &str = "cluster";
/// Pause between attempts; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the cluster lacks, all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unmet(Vec<Finding>);

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cluster is not as the relay needs it:")?;
        self.0
            .iter()
            .try_for_each(|finding| write!(f, "\n  - {finding}"))
    }
}

/// The check, on a thread of its own, since the client's calls block.
pub struct StartCheck(Receiver<Result<(), Unmet>>);

impl StartCheck {
    /// Begins; `health` is told what is waited for, and `stop` ends the wait.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub fn spawn(
        config: &Config,
        topics: &TopicNames,
        health: &Arc<Health>,
        stop: &StopRequest,
    ) -> anyhow::Result<Self> {
        let (config, topics) = (config.clone(), topics.clone());
        let (health, stop) = (Arc::clone(health), stop.clone());
        let thread = std::thread::Builder::new().name("start-check".to_string());
        let (sender, receiver) = oneshot::channel();
        // Nobody waits any more if the relay was asked to stop.
        let check = move || _ = sender.send(run(&config, &topics, &health, &stop));
        thread.spawn(check).context("start a thread")?;
        Ok(StartCheck(receiver))
    }

    /// The result, waited for; may be dropped and waited for again.
    ///
    /// # Errors
    /// Every demand that the cluster does not meet.
    pub async fn result(&mut self) -> anyhow::Result<()> {
        let checked = (&mut self.0).await;
        Ok(checked.context("the check of the cluster panicked: please report this")??)
    }
}

/// Asks until the cluster has said everything, or until asked to stop.
fn run(
    config: &Config,
    topics: &TopicNames,
    health: &Health,
    stop: &StopRequest,
) -> Result<(), Unmet> {
    let mut pause = FIRST_PAUSE;
    while !stop.is_requested() {
        let findings = check_cluster(config, topics);
        let unclear = findings.iter().find(|finding| is_unclear(finding));
        // What is certainly unmet is not kept back for what may yet become clear.
        let Some(unclear) = unclear.filter(|_| !findings.iter().any(is_unmet)) else {
            health.release(CLUSTER);
            return report(findings);
        };
        warn!(cause = %unclear, "cannot check the cluster yet; trying again");
        health.hold(CLUSTER, &format!("cannot connect yet: {unclear}"));
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

fn is_unclear(finding: &Finding) -> bool {
    matches!(finding.verdict, Verdict::Unclear(_))
}

fn is_unmet(finding: &Finding) -> bool {
    matches!(finding.verdict, Verdict::Unmet(_))
}

fn report(findings: Vec<Finding>) -> Result<(), Unmet> {
    for finding in &findings {
        match finding.verdict {
            Verdict::Doubtful(_) => warn!("{finding}"),
            Verdict::Unasked(_) => info!("{finding}"),
            Verdict::Met(_) | Verdict::Unclear(_) | Verdict::Unmet(_) => {}
        }
    }
    let unmet = findings
        .into_iter()
        .filter(|found| found.verdict.is_problem());
    let unmet: Vec<Finding> = unmet.collect();
    if unmet.is_empty() {
        Ok(())
    } else {
        Err(Unmet(unmet))
    }
}
