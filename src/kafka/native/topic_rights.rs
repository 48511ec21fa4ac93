//! Looks up the rights of the relay's principal on topics. Otherwise a missing Write would show
//! only with the first event of a region, which may be days after the start, or by writing a record
//! to find out.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::bindings::rd_kafka_AclOperation_t;
use rdkafka::client::{Client, ClientContext};

use super::describe_topics::{DescribeRequest, Description};

/// A right on a topic. Only those that the relay needs are distinguished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Fetch its records.
    Read,
    /// Add records, in transactions too.
    Write,
}

impl Right {
    /// Returns the name that Kafka's own tools use.
    pub const fn name(self) -> &'static str {
        match self {
            Right::Read => "Read",
            Right::Write => "Write",
        }
    }
}

/// Looks up the rights on each topic at the broker with this id. Topics for which it reports no
/// rights are left out; brokers before 2.3 report none.
///
/// # Errors
/// Fails if the broker could not be asked, or does not answer in time.
pub(crate) fn rights_on<C: ClientContext>(
    client: &Client<C>,
    broker: i32,
    topics: &[&str],
    limit: Duration,
) -> Result<BTreeMap<String, Vec<Right>>, String> {
    let request = DescribeRequest { topics, broker, with_rights: true, limit };
    let rights = request.send(client)?.collect(rights)?;
    Ok(rights.into_iter().collect())
}

/// Returns name and rights, if the broker reported them.
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
