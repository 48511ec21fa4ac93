//! `run`: the relay itself, until it is asked to stop.

use crate::commands::arguments::ConfigArgs;
use crate::logging;
use crate::relay::Relay;
use crate::stream::StopRequest;

/// Runs the relay.
///
/// # Errors
/// Bad configuration, a missing topic, a worker that gave up, or a shutdown that took too long.
pub fn run(arguments: &ConfigArgs) -> anyhow::Result<()> {
    let (config, assembly) = super::load(arguments)?;
    logging::init(config.log.format, &config.log.level);
    Relay::new(config, assembly)?.run(StopRequest::default(), |_| {})
}
