//! Follows the topics of reference tables: chooses the tables, and starts their clients and
//! threads. `follower` reads a topic, `audit_judge::reference` interprets its records, and `tables`
//! holds the read barrier.

mod blocked_partitions;
mod end_offsets;
mod follower;
mod positions;
mod reading_log;
mod topic_watch;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use jiff::SignedDuration;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::BaseConsumer;

use super::settings;
use crate::config::{Config, TableSource};
use crate::kafka::client::context::PlainContext;
use crate::kafka::followers::end_offsets::EndOffsetLookup;
use crate::kafka::followers::follower::{FollowedTable, Follower};
use audit_judge::reference::{
    Device, DeviceKey, Oddities, Principal, PrincipalKey, RecordProblem, ReferenceTables, Table,
    TableChange, TableWriter, parse_device_record, parse_principal_record,
};

use crate::liveness::threads;
use crate::tables::{Reading, TableName, TableStore};

/// Longest time to read the topics once.
const READ_WAIT_MAX: Duration = Duration::from_secs(120);
/// Longest time between look-ups, so that added partitions are found.
const HEARTBEAT_MAX: Duration = Duration::from_secs(5);

struct Principals;

impl FollowedTable for Principals {
    type Key = PrincipalKey;
    type Value = Principal;
    const NAME: TableName = TableName::Principals;

    fn parse(
        key: &[u8],
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
        oddities: &mut Oddities,
    ) -> Result<TableChange<PrincipalKey, Principal>, RecordProblem> {
        parse_principal_record(key, value, timestamp_ms, oddities)
    }

    fn put(reference: &mut ReferenceTables, table: Table<PrincipalKey, Principal>) {
        reference.principals = table;
    }
}

struct Devices;

impl FollowedTable for Devices {
    type Key = DeviceKey;
    type Value = Device;
    const NAME: TableName = TableName::Devices;

    fn parse(
        key: &[u8],
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
        oddities: &mut Oddities,
    ) -> Result<TableChange<DeviceKey, Device>, RecordProblem> {
        parse_device_record(key, value, timestamp_ms, oddities)
    }

    fn put(reference: &mut ReferenceTables, table: Table<DeviceKey, Device>) {
        reference.devices = Some(table);
    }
}

/// Returns the tables whose configured source is a topic.
pub fn followed(config: &Config) -> Vec<TableName> {
    let is_topic = |source: &TableSource| matches!(source, TableSource::Topic(_));
    let principals = is_topic(&config.principals).then_some(TableName::Principals);
    let devices = config.devices.as_ref().is_some_and(is_topic);
    let devices = devices.then_some(TableName::Devices);
    principals.into_iter().chain(devices).collect()
}

/// Reads the topics of these tables once, to their ends. The other tables are empty.
///
/// # Errors
/// Fails if they are not read in time. The message says what they wait for.
pub fn read_topics(config: &Config, names: &[TableName]) -> Result<Arc<ReferenceTables>, String> {
    let tables =
        Arc::new(TableStore::new(ReferenceTables::default(), names, config.tables.staleness_limit));
    let followers = follow(config, &tables).map_err(|error| format!("{error:#}"))?;
    let read = tables.await_ready(READ_WAIT_MAX);
    tables.close();
    threads::join(followers, threads::JOIN_WAIT_MAX);
    read.map(|()| tables.load())
}

/// Starts following the tables whose source is a topic. The threads end when the tables are closed.
///
/// # Errors
/// Fails if a client or a thread cannot be created. A broker that does not answer is waited for.
pub fn follow(config: &Config, tables: &Arc<TableStore>) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    if let TableSource::Topic(topic) = &config.principals
        && tables.is_followed(TableName::Principals)
    {
        threads.extend(start::<Principals>(config, topic, tables)?);
    }
    if let Some(TableSource::Topic(topic)) = &config.devices
        && tables.is_followed(TableName::Devices)
    {
        threads.extend(start::<Devices>(config, topic, tables)?);
    }
    Ok(threads)
}

fn start<K: FollowedTable>(
    config: &Config,
    topic: &str,
    tables: &Arc<TableStore>,
) -> anyhow::Result<[JoinHandle<()>; 2]> {
    let name = K::NAME.name();
    let client = settings::end_offset_client(config, &format!("{name}-ends"));
    let heartbeat = (config.tables.staleness_limit / 3).min(HEARTBEAT_MAX);
    let end_offsets =
        EndOffsetLookup::new(K::NAME, topic, create(&client, topic)?, tables, heartbeat);
    let open = follower_factory::<K>(config, topic, tables);
    let first = open(tables.assignment(K::NAME).reading)?;
    let shared = Arc::clone(tables);
    let follow = move || {
        let mut next = first.run();
        while let Some(reading) = next {
            next = match open(reading) {
                Ok(follower) => follower.run(),
                Err(error) => return shared.ended(K::NAME, format!("{error:#}")),
            };
        }
    };
    let spawn = |role: &str, work: Box<dyn FnOnce() + Send>| {
        let thread = std::thread::Builder::new().name(format!("{name}{role}"));
        thread.spawn(work).context("start a thread")
    };
    Ok([spawn("-ends", Box::new(|| end_offsets.run()))?, spawn("", Box::new(follow))?])
}

fn create(client: &ClientConfig, topic: &str) -> anyhow::Result<BaseConsumer<PlainContext>> {
    let consumer = client.create_with_context(PlainContext::default());
    consumer.with_context(|| format!("create a client for {topic:?}"))
}

/// Returns a function that creates the follower of each reading of a topic, with a client, a table
/// and positions of its own: nothing carries over from one reading to the next.
fn follower_factory<K: FollowedTable>(
    config: &Config,
    topic: &str,
    tables: &Arc<TableStore>,
) -> impl Fn(Reading) -> anyhow::Result<Follower<K>> + Send + 'static {
    let client = settings::follower(config, K::NAME.name());
    let history = SignedDuration::try_from(config.tables.history);
    let history = history.unwrap_or(SignedDuration::MAX);
    let publish_interval = config.tables.publish_interval;
    let (topic, tables) = (topic.to_string(), Arc::clone(tables));
    move |reading| {
        Follower::<K>::new(
            create(&client, &topic)?,
            topic.clone(),
            Arc::clone(&tables),
            TableWriter::with_history(history),
            reading,
            publish_interval,
        )
    }
}
