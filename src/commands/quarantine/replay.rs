//! `quarantine replay`: judges records again, and writes the events of those that can be audited
//! now.

use super::archive::Archive;
use super::closing::{Closer, Decider, show};
use super::judging::Judge;
use crate::commands::arguments::ReplayArgs;
use crate::commands::load;
use crate::quarantine::closing::Refused;
use crate::quarantine::tally::Tally;

/// Replays records.
///
/// # Errors
/// Fails if the cluster does not answer or refuses, another replayer takes over, or records stay
/// open.
pub(super) fn replay(arguments: &ReplayArgs) -> anyhow::Result<()> {
    let (config, deployment) = load(&arguments.closing.config)?;
    let archive = Archive::open(&config)?;
    let tally = match arguments.dry_run {
        true => rehearse(arguments, Judge::new(arguments, &config, deployment, &archive))?,
        false => {
            let closer = Closer::new(&config, &deployment, &archive, &arguments.closing)?;
            let mut judge = Judge::new(arguments, &config, deployment, &archive);
            closer.close(arguments.limit, &mut judge)?
        }
    };
    show(&tally, arguments.closing.json)?;
    tally.check()
}

/// Returns what would become of the records.
fn rehearse(arguments: &ReplayArgs, mut judge: Judge<'_>) -> anyhow::Result<Tally> {
    let archive = judge.archive;
    let outcomes = archive.outcomes()?;
    let everything = archive.everything()?;
    judge.prepare(&outcomes, &everything)?;
    let mut tally = Tally::default();
    let meant = (&arguments.closing.selection, false);
    archive.select(&everything, &outcomes, meant, &mut |found| {
        let is_enough = arguments.limit.is_some_and(|limit| tally.selected() >= limit);
        if !is_enough {
            match judge.decide(found) {
                Ok(decision) => tally.add(decision.outcome, decision.reason.as_deref()),
                Err(Refused(why)) => tally.refuse(why),
            }
        }
        Ok(())
    })?;
    Ok(tally)
}
