//! `replay`: judges a part of the input again. The events go into topics of their own, or are only
//! compared with those in the outputs. The relays and their group are not touched.

mod compare;
mod into;
mod summary;
mod window;

use crate::commands::arguments::InputReplayArgs;
use crate::commands::load;
use crate::logging;

pub use self::compare::Different;

/// Runs the command.
///
/// # Errors
/// Fails if the configuration is invalid, the cluster does not answer or lacks something, or what
/// was compared differs ([`Different`]).
pub fn replay(arguments: &InputReplayArgs) -> anyhow::Result<()> {
    let (config, deployment) = load(&arguments.config)?;
    logging::init(config.log.format, &config.log.level);
    match &arguments.into {
        Some(prefix) => into::into(arguments, (config, deployment), prefix),
        None => compare::compare(arguments, config, deployment),
    }
}
