//! `replay --into`: the relay's own loop over a part of the input, with a group and topics of its
//! own. What is committed holds where it ends, so it can be killed and go on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, anyhow, bail, ensure};
use audit_judge::judge;

use super::summary::Summary;
use super::window::Window;
use crate::commands::arguments::InputReplayArgs;
use crate::commands::print;
use crate::commands::progress::Progress;
use crate::compose::RecordFormat;
use crate::config::Config;
use crate::deployment::{Deployment, topic_names};
use crate::kafka::Ranges;
use crate::kafka::check::{Checked, check_cluster, names_in_use};
use crate::kafka::offline::OfflineGroup;
use crate::kafka::session::Session;
use crate::kafka::settings::SessionSettings;
use crate::kafka::topics::TopicNames;
use crate::kafka::trail_reader::TrailReader;
use crate::quarantine::outcomes;
use crate::relay::preflight;
use crate::relay::reopening::Reopening;
use crate::stream::kept_record::RecordLimit;
use crate::stream::worker::Worker;
use crate::stream::{
    Bounded, Failure, Observer, Partition, Position, ReadingEnd, ResumePoint, StopRequest,
    WorkerEvent,
};

/// Precedes the offsets in what is committed.
const METADATA: &str = "replay";
/// The longest name of a group.
const GROUP_MAX: usize = 249;

/// A replay into topics of its own.
struct IntoTopics {
    /// The relays' configuration.
    live: Config,
    /// That of the replay.
    config: Config,
    deployment: Deployment,
    topics: TopicNames,
    reader: TrailReader,
}

/// Replays.
///
/// # Errors
/// Fails if the topics cannot be used or hold something else, the cluster does not answer, or a
/// part of the input was deleted before it was read.
pub(super) fn into(
    arguments: &InputReplayArgs,
    (live, deployment): (Config, Deployment),
    prefix: &str,
) -> anyhow::Result<()> {
    let mut replay = IntoTopics::new(live, deployment, prefix)?;
    let Checked { findings, facts } = check_cluster(&replay.config, &replay.topics);
    preflight::report(findings)?;
    replay.check_partitions()?;
    let window = replay.begin(arguments)?;
    if !arguments.json {
        print(format_args!("--offsets {window}"))?;
    }
    replay.deployment.read_table_topics(&replay.live).context("read the tables' topics")?;
    let summary = replay.run(&window, facts.quarantine)?;
    if arguments.json {
        print(summary.to_json(&window))?;
    } else {
        print(format_args!("Complete. {summary}."))?;
    }
    ensure!(
        summary.deleted == 0,
        "the replay is not complete: {} offsets of the input were deleted before they were read",
        summary.deleted
    );
    Ok(())
}

impl IntoTopics {
    fn new(live: Config, deployment: Deployment, prefix: &str) -> anyhow::Result<Self> {
        let config = live.replayed_into(prefix);
        let group = &config.input.group;
        ensure!(group.len() <= GROUP_MAX, "--into {prefix:?}: the group {group:?} is too long");
        let regions = deployment.rules.routes.regions();
        config.check_output_topics(regions).with_context(|| format!("--into {prefix:?}"))?;
        let topics = topic_names(&config, &deployment.rules.routes);
        let outcomes = outcomes::topic(&deployment.topics.quarantine);
        let mut used = names_in_use(&live, &deployment.topics);
        used.push(&outcomes);
        let taken = topics.outputs().find(|topic| used.contains(topic));
        if let Some(topic) = taken {
            bail!("--into {prefix:?}: the relays use {topic:?}; a replay needs topics of its own");
        }
        let reader = TrailReader::of_relay(&live)?;
        Ok(IntoTopics { live, config, deployment, topics, reader })
    }

    /// Fails unless each topic has as many partitions as the one that it stands for: the partition
    /// of an event follows from that.
    fn check_partitions(&self) -> anyhow::Result<()> {
        let live = self.deployment.topics.outputs();
        for (topic, original) in self.topics.outputs().zip(live) {
            let count = |topic: &str| anyhow::Ok(self.reader.bounds(topic)?.len());
            let (partitions, expected) = (count(topic)?, count(original)?);
            ensure!(
                partitions == expected,
                "{topic:?} has {partitions} partitions, and {original:?} has {expected}: create it with as many, so that each event gets the same partition"
            );
        }
        Ok(())
    }

    /// Returns what is to be read: what an earlier run has begun, or what the arguments name. That
    /// is committed first, so that whatever is written belongs to a replay that is known.
    fn begin(&self, arguments: &InputReplayArgs) -> anyhow::Result<Window> {
        let group = OfflineGroup::new(&self.config)?;
        let places = group.places()?;
        let name = &self.config.input.group;
        if let Some(begun) = begun(&places).with_context(|| format!("the group {name:?}"))? {
            ensure!(
                arguments.resume,
                "a replay into these topics has begun (--offsets {begun}): go on with --resume, or delete the topics and the group {name:?}"
            );
            return Ok(begun);
        }
        ensure!(!arguments.resume, "no replay into these topics has begun");
        for topic in self.topics.outputs() {
            let is_empty = self.reader.bounds(topic)?.values().all(|log| log.low == log.end);
            ensure!(is_empty, "{topic:?} is not empty: a replay needs topics of its own");
        }
        let window = Window::of(arguments, &self.reader, &self.config.input.topic)?;
        window.check()?;
        window.check_history(arguments, &self.reader, &self.live)?;
        let positions: Vec<Position> = window.0.iter().map(position).collect();
        group.commit(&positions)?;
        Ok(window)
    }

    /// Judges and writes until everything is committed.
    fn run(&self, window: &Window, limit: RecordLimit) -> anyhow::Result<Summary> {
        let Deployment { rules, reference, .. } = &self.deployment;
        let regions = rules.routes.regions().to_vec();
        let settings = SessionSettings::new(&self.config, self.topics.clone(), regions.clone(), 0);
        // The same bytes: what a sealed trail renames, the replay renames too.
        let settings =
            SessionSettings { format: RecordFormat::new(&self.live, regions), ..settings };
        let watched = Rc::new(RefCell::new(Watched::default()));
        let (began, mut reopening) = (Instant::now(), Reopening::default());
        loop {
            let stop = StopRequest::default();
            let session = Session::open(settings.clone())?;
            let bounded = Bounded::new(session, ends(window), stop.clone());
            let judge = |payload: Option<&[u8]>| judge(payload, rules, || reference);
            let observer = Watcher(Rc::clone(&watched));
            let worker = Worker::new(bounded, judge, observer, self.config.batch, stop);
            let worker = worker.with_quarantine_limit(limit);
            let worker = worker.with_pass_over(self.config.input.pass_over.clone());
            match worker.run() {
                Ok(_) => return Ok(watched.borrow().summary),
                // The place of a run that was killed.
                Err(failure @ Failure::Unreleased(_)) => {
                    let pause = reopening.after(&failure, began.elapsed());
                    thread::sleep(pause.map_err(|failure| anyhow!(failure))?);
                }
                Err(failure) => bail!(
                    "{failure}; if no other replay into these topics has taken over, go on with --resume"
                ),
            }
        }
    }
}

/// Returns where a replay begins, with what tells where it ends.
fn position((partition, (start, end)): (&i32, &(i64, i64))) -> Position {
    Position {
        partition: Partition(*partition),
        next_offset: *start,
        leader_epoch: None,
        metadata: format!("{METADATA} {start} {end}"),
    }
}

fn ends(window: &Window) -> BTreeMap<Partition, ReadingEnd> {
    let ends = window.0.iter().map(|(partition, (start, end))| {
        let Position { metadata, .. } = position((partition, &(*start, *end)));
        (Partition(*partition), ReadingEnd { offset: *end, metadata })
    });
    ends.collect()
}

/// Returns what a replay reads that has committed these places; `None` if nothing is committed.
///
/// # Errors
/// If something else is committed.
fn begun(places: &BTreeMap<Partition, ResumePoint>) -> anyhow::Result<Option<Window>> {
    let mut ranges = Ranges::new();
    for (partition, place) in places {
        if let ResumePoint::At(Position { metadata, .. }) = place {
            let offsets = offsets_of(metadata).with_context(|| {
                format!("partition {partition} has a committed offset that is not a replay's")
            })?;
            ranges.insert(partition.0, offsets);
        }
    }
    Ok(Some(Window(ranges)).filter(|window| !window.0.is_empty()))
}

fn offsets_of(metadata: &str) -> Option<(i64, i64)> {
    let (start, end) = metadata.strip_prefix(METADATA)?.strip_prefix(' ')?.split_once(' ')?;
    Some((start.parse().ok()?, end.parse().ok()?))
}

/// What is known of a replay that runs.
#[derive(Debug, Default)]
struct Watched {
    summary: Summary,
    progress: Progress,
}

/// Counts what is committed.
struct Watcher(Rc<RefCell<Watched>>);

impl Observer for Watcher {
    fn on_event(&mut self, event: WorkerEvent<'_>) {
        match event {
            WorkerEvent::Committed(batch, _) => {
                let Watched { summary, progress } = &mut *self.0.borrow_mut();
                summary.add(batch);
                let records = summary.records;
                progress.show(|seconds| {
                    format!("{records} records, {:.0} a second", records as f64 / seconds)
                });
            }
            WorkerEvent::Held(partition, fault, attempt) => {
                tracing::warn!(%partition, %fault, attempt, "partition held");
            }
            WorkerEvent::Failed(failure) => tracing::warn!(%failure, "trying again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_tells_what_is_read() {
        let window = Window(BTreeMap::from([(0, (10, 90)), (1, (5, 5))]));
        let placed = |positions: Vec<Position>| {
            positions.into_iter().map(|it| (it.partition, ResumePoint::At(it))).collect()
        };
        let places: BTreeMap<_, _> = placed(window.0.iter().map(position).collect());
        assert_eq!(begun(&places).expect("a replay"), Some(window.clone()));
        assert_eq!(ends(&window)[&Partition(0)].offset, 90);
        let none = BTreeMap::from([(Partition(0), ResumePoint::Beginning)]);
        assert_eq!(begun(&none).expect("nothing"), None);
        for metadata in ["", "replay", "replay 1", "replay 1 b", "replayed 1 2"] {
            let other = Position { metadata: metadata.to_string(), ..position((&0, &(1, 2))) };
            assert!(begun(&placed(vec![other])).is_err(), "{metadata:?}");
        }
    }
}
