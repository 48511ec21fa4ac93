//! `quarantine done`: closes records without an event.

use super::archive::{Archive, Found, Outcomes};
use super::closing::{Closer, Decider, show};
use crate::commands::arguments::DoneArgs;
use crate::commands::load;
use crate::kafka::Ranges;
use crate::quarantine::batch::Decision;
use crate::quarantine::closing::Refused;
use crate::quarantine::outcomes::Outcome;

/// Closes records without an event.
///
/// # Errors
/// Fails if the outcomes cannot be written.
pub(super) fn done(arguments: &DoneArgs) -> anyhow::Result<()> {
    let arguments = &arguments.closing;
    let (config, deployment) = load(&arguments.config)?;
    let archive = Archive::open(&config)?;
    let closer = Closer::new(&config, &deployment, &archive, arguments)?;
    let tally = closer.close(None, &mut Done)?;
    show(&tally, arguments.json)?;
    tally.check()
}

/// Closes every record.
struct Done;

impl Decider for Done {
    fn prepare(&mut self, _: &Outcomes, _: &Ranges) -> anyhow::Result<()> {
        Ok(())
    }

    fn decide(&mut self, _: &Found<'_>) -> Result<Decision, Refused> {
        Ok(Decision::of(Outcome::Done))
    }
}
