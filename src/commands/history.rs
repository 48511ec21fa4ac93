//! How far back the tables can be asked.

use jiff::{SignedDuration, Timestamp};

use crate::config::Config;
use crate::kafka::followers::followed;

/// Returns the time before which the topics of the tables may lack superseded versions; `None` if
/// no table is a topic.
pub(super) fn oldest_known(config: &Config) -> anyhow::Result<Option<Timestamp>> {
    if followed(config).is_empty() {
        return Ok(None);
    }
    let history = SignedDuration::try_from(config.tables.history)?;
    Ok(Some(Timestamp::now().checked_sub(history)?))
}
