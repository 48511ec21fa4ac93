//! The cluster check at the start of `run`: waits for a cluster that does not answer yet, reports
//! all unmet requirements together, and logs warnings. The requirements are in `kafka::check`.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::oneshot::{self, Receiver};
use tracing::{error, info, warn};

use crate::config::Config;
use crate::kafka::check::{Checked, ClusterFacts, Finding, Verdict, check_cluster};
use crate::kafka::topics::TopicNames;
use crate::liveness::health::Health;
use crate::logging::quiet::Quiet;
use crate::relay::grace::{Grace, MISSING_TOPIC_GRACE};
use crate::stream::{Backoff, StopRequest};

/// The subject of this check in /readyz.
const CLUSTER: &str = "cluster";
/// Pauses between attempts.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// All requirements that the cluster does not meet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unmet(Vec<Finding>);

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cluster does not meet the relay's requirements:")?;
        self.0.iter().try_for_each(|finding| write!(f, "\n  - {finding}"))
    }
}

/// The check, on its own thread because the client's calls block.
pub struct Preflight(Receiver<Result<ClusterFacts, Unmet>>);

impl Preflight {
    /// Starts the check. It reports to `health` what it waits for, and ends early on `stop`.
    ///
    /// # Errors
    /// Fails if the thread cannot be started.
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
        // The receiver is gone if the relay was asked to stop.
        let check = move || _ = sender.send(run(&config, &topics, &health, &stop));
        thread.spawn(check).context("start the thread of the cluster check")?;
        Ok(Preflight(receiver))
    }

    /// Waits for the check, and returns what the workers need to know. The future may be dropped,
    /// and the call repeated.
    ///
    /// # Errors
    /// Fails with all requirements that the cluster does not meet.
    pub async fn result(&mut self) -> anyhow::Result<ClusterFacts> {
        let checked = (&mut self.0).await;
        Ok(checked.context("the cluster check panicked: please report this")??)
    }
}

/// Checks until the cluster has answered everything, or until asked to stop.
fn run(
    config: &Config,
    topics: &TopicNames,
    health: &Health,
    stop: &StopRequest,
) -> Result<ClusterFacts, Unmet> {
    let began = Instant::now();
    let mut grace = Grace::new(MISSING_TOPIC_GRACE);
    let mut attempts = 0;
    // One for a cluster that does not answer, one for missing topics.
    let mut quiet = [Quiet::default(); 2];
    while !stop.is_requested() {
        let Checked { findings, facts } = check_cluster(config, topics);
        let Some(cause) = awaited(&findings, &mut grace, began.elapsed()) else {
            health.release(CLUSTER);
            return report(findings).map(|()| facts);
        };
        let is_missing = |found: &Finding| matches!(found.verdict, Verdict::Missing(_));
        let quiet = &mut quiet[usize::from(findings.iter().any(is_missing))];
        if quiet.happened(1, Instant::now()).is_some() {
            warn!(%cause, "cannot start yet; retrying");
        }
        health.hold(CLUSTER, &cause);
        attempts += 1;
        std::thread::sleep(BACKOFF.after(attempts));
    }
    Ok(ClusterFacts::default())
}

/// Returns what is waited for at this time. `None` if every question is answered, or if a
/// requirement is certainly not met: then waiting for the rest would only delay that report.
fn awaited(findings: &[Finding], grace: &mut Grace, now: Duration) -> Option<String> {
    let is_unmet = |finding: &Finding| matches!(finding.verdict, Verdict::Fail(_));
    if findings.iter().any(is_unmet) {
        return None;
    }
    let missing = findings.iter().filter_map(|found| match found.verdict {
        Verdict::Missing(_) => Some(found.to_string()),
        _ => None,
    });
    let missing: Vec<String> = missing.collect();
    if !missing.is_empty() {
        let left = grace.left(now)?.as_secs();
        return Some(format!("waiting for {left} s more: {}", missing.join("; ")));
    }
    let mut unclear = findings.iter();
    let unclear = unclear.find(|found| matches!(found.verdict, Verdict::Unreachable(_)))?;
    Some(format!("cannot connect yet: {unclear}"))
}

/// Logs findings that do not prevent the start.
///
/// # Errors
/// Fails with all requirements that the cluster does not meet.
pub fn report(findings: Vec<Finding>) -> Result<(), Unmet> {
    let mut ends = false;
    for finding in &findings {
        match finding.verdict {
            Verdict::Held(_) => error!("{finding}"),
            Verdict::Warn(_) => warn!("{finding}"),
            Verdict::NotPermitted(_) => info!("{finding}"),
            Verdict::Pass(_) => {}
            Verdict::Unreachable(_) | Verdict::Missing(_) | Verdict::Fail(_) => ends = true,
        }
    }
    if !ends {
        return Ok(());
    }
    let problems = findings.into_iter();
    Err(Unmet(problems.filter(|found| found.verdict.is_problem()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn found(verdict: Verdict) -> Finding {
        Finding { subject: "it".to_string(), verdict }
    }

    fn missing() -> Finding {
        found(Verdict::Missing("is not there".to_string()))
    }

    fn unclear() -> Finding {
        found(Verdict::Unreachable("no answer".to_string()))
    }

    fn unmet() -> Finding {
        found(Verdict::Fail("bad".to_string()))
    }

    fn held() -> Finding {
        found(Verdict::Held("behind the end".to_string()))
    }

    #[test]
    fn a_missing_topic_is_waited_for_until_its_grace_period_is_over() {
        let mut grace = Grace::new(10 * SECOND);
        let mut at =
            |seconds: u32, findings: &[Finding]| awaited(findings, &mut grace, seconds * SECOND);
        assert_eq!(
            at(5, &[missing(), unclear()]).as_deref(),
            Some("waiting for 10 s more: it: is not there")
        );
        // Without an answer from the cluster, the grace period continues.
        assert_eq!(at(9, &[unclear()]).as_deref(), Some("cannot connect yet: it: no answer"));
        assert_eq!(
            at(14, &[missing(), missing()]).as_deref(),
            Some("waiting for 1 s more: it: is not there; it: is not there")
        );
        assert_eq!(at(15, &[missing()]), None);
        assert_eq!(report(vec![missing(), held()]), Err(Unmet(vec![missing(), held()])));
    }

    #[test]
    fn a_requirement_that_is_certainly_unmet_is_reported_at_once() {
        let mut grace = Grace::new(10 * SECOND);
        let all = [missing(), unclear(), unmet()];
        assert_eq!(awaited(&all, &mut grace, SECOND), None);
        assert_eq!(report(all.to_vec()), Err(Unmet(all.to_vec())));
    }

    #[test]
    fn a_held_partition_does_not_prevent_the_start() {
        let mut grace = Grace::new(SECOND);
        assert_eq!(awaited(&[held()], &mut grace, SECOND), None);
        assert_eq!(report(vec![held()]), Ok(()));
    }
}
