//! Asks the broker what the relay's principal may do with topics. Without it a missing right to
//! write would show only with the first event of a region, which may be days after the start, or by
//! writing a record to find out.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::bindings::rd_kafka_AclOperation_t;
use rdkafka::client::{Client, ClientContext};

use super::describe_topics::{Description, Question};

/// What one may do with a topic; only what the relay needs is told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Fetch its records.
    Read,
    /// Add records, in transactions too.
    Write,
}

impl Right {
    /// As Kafka's own tools write it.
    pub const fn name(self) -> &'static str {
        match self {
            Right::Read => "Read",
            Right::Write => "Write",
        }
    }
}

/// The rights on each topic that the broker, by its id, told them for. Brokers before 2.3 tell
/// none.
///
/// # Errors
/// Why the broker could not be asked.
pub(crate) fn rights_on<C: ClientContext>(
    client: &Client<C>,
    broker: i32,
    topics: &[&str],
    limit: Duration,
) -> Result<BTreeMap<String, Vec<Right>>, String> {
    let question = Question { topics, broker, with_rights: true, limit };
    let told = question.ask(client)?.collect(rights)?;
    Ok(told.into_iter().collect())
}

/// Name and rights, if the broker told them.
fn rights(topic: &Description) -> Option<(String, Vec<Right>)> {
    let rights = topic.operations()?.iter().filter_map(right);
    Some((topic.name(), rights.collect()))
}

fn right(operation: &u32) -> Option<Right> {
    use rd_kafka_AclOperation_t::{RD_KAFKA_ACL_OPERATION_READ, RD_KAFKA_ACL_OPERATION_WRITE};
    match *operation {
        read if read == RD_KAFKA_ACL_OPERATION_READ as u32 => Some(Right::Read),
        write if write == RD_KAFKA_ACL_OPERATION_WRITE as u32 => Some(Right::Write),
        _ => None,
    }
}
