//! `run`: runs the relay until it is asked to stop.

use crate::commands::arguments::ConfigArgs;
use crate::logging;
use crate::relay::Relay;
use crate::stream::StopRequest;

/// Runs the relay.
///
/// # Errors
/// Fails if the configuration is invalid, the cluster does not meet the requirements, a worker
/// fails or stalls, or the shutdown takes too long.
pub fn run(arguments: &ConfigArgs) -> anyhow::Result<()> {
    let (config, deployment) = super::load(arguments)?;
    logging::init(config.log.format, &config.log.level);
    Relay::new(config, deployment)?.run(StopRequest::default(), |_| {})
}
