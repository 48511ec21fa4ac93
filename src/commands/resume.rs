//! `resume`: shows which partitions of a sealed trail cannot simply go on, and continues them on
//! purpose. The seal that it writes says why.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow, bail, ensure};
use audit_chain::time::Time;

use super::trail_source::whole;
use super::{load, print};
use crate::commands::arguments::ResumeArgs;
use crate::config::Config;
use crate::kafka::offline::OfflineGroup;
use crate::kafka::trail_reader::TrailReader;
use crate::sealing::{ContinueAt, Refusal, SealedPartition, SealingSettings};
use crate::stream::{Partition, Position, ResumePoint};

/// The reason in a seal of a partition that a relay would have continued.
const REQUESTED: &str = "requested";

/// Shows or continues partitions.
///
/// # Errors
/// Fails if the configuration is invalid or does not seal, the cluster does not answer, a partition
/// is refused and none is to be continued, or one cannot be.
pub fn resume(arguments: &ResumeArgs) -> anyhow::Result<()> {
    let (config, deployment) = load(&arguments.config)?;
    let (Some(settings), Some(topic)) = (&deployment.sealing, &deployment.topics.checkpoints)
    else {
        bail!("the trail of this configuration is not sealed: [integrity] is not set");
    };
    let group = OfflineGroup::new(&config)?;
    let places = group.places()?;
    let reader = TrailReader::of_relay(&config)?;
    let sealed = read_seals(&reader, topic, settings)?;
    let none = SealedPartition::default();
    let of = |partition: &Partition| sealed.get(partition).unwrap_or(&none);
    if arguments.partitions.is_empty() {
        return show(&places, of, settings);
    }
    let chosen = arguments.partitions.iter().map(|number| {
        let place = places.get_key_value(&Partition(*number));
        place.with_context(|| format!("the input has no partition {number}"))
    });
    let chosen: Vec<_> = chosen.collect::<anyhow::Result<_>>()?;
    let held: Vec<Position> = chosen.iter().map(|(it, place)| committed(**it, place)).collect();
    // Fails if relays run: they would accept a commit in a transaction beside them.
    group.commit(&held)?;
    let partitions = u32::try_from(places.len()).unwrap_or_default();
    let time = Time::from_epoch_ms(u64::try_from(jiff::Timestamp::now().as_millisecond())?);
    let time = time.context("the clock is beyond 9999")?;
    let starts = match arguments.new_topic {
        true => first_offsets(&reader, &config)?,
        false => BTreeMap::new(),
    };
    let (mut seals, mut positions) = (Vec::new(), Vec::new());
    for (partition, place) in chosen {
        let at = continue_at(arguments, place, starts.get(partition).copied())?;
        let refusal = of(partition).refusal(*partition, place, settings);
        let reason = reason(arguments, refusal.as_ref()).parse()?;
        let resumed = of(partition).resume(at, &reason, (partitions, time), settings);
        let resumed = resumed.map_err(|why| anyhow!("partition {partition}: {why}"))?;
        seals.push(resumed.seal);
        positions.push(resumed.position);
    }
    group.publish(topic, &seals, &positions)?;
    for (seal, position) in seals.iter().zip(&positions) {
        print(format_args!(
            "partition {}: {} continues at offset {}",
            position.partition, seal.key, position.next_offset
        ))?;
    }
    Ok(())
}

/// Returns what is committed for a partition; without it, the beginning.
fn committed(partition: Partition, place: &ResumePoint) -> Position {
    match place {
        ResumePoint::At(position) => position.clone(),
        ResumePoint::Beginning | ResumePoint::NewLog => {
            Position { partition, next_offset: 0, leader_epoch: None, metadata: String::new() }
        }
    }
}

/// Returns the reason that the seal gives.
fn reason(arguments: &ResumeArgs, refusal: Option<&Refusal>) -> &'static str {
    match refusal {
        _ if arguments.new_topic => "topic-recreated",
        Some(refusal) => refusal.reason,
        None => REQUESTED,
    }
}

fn continue_at(
    arguments: &ResumeArgs,
    place: &ResumePoint,
    first: Option<i64>,
) -> anyhow::Result<ContinueAt> {
    match (place, first) {
        (_, Some(first)) => Ok(ContinueAt::NewTopic(first)),
        (ResumePoint::At(position), None) if arguments.skip_to_committed => {
            Ok(ContinueAt::Later(position.next_offset))
        }
        (_, None) => {
            ensure!(!arguments.skip_to_committed, "the group has committed no offset to skip to");
            Ok(ContinueAt::Seal)
        }
    }
}

/// Prints what each partition needs.
fn show<'s>(
    places: &BTreeMap<Partition, ResumePoint>,
    of: impl Fn(&Partition) -> &'s SealedPartition,
    settings: &SealingSettings,
) -> anyhow::Result<()> {
    let mut refused = 0;
    for (partition, place) in places {
        let sealed = of(partition);
        let last = sealed.last().map_or("never sealed".to_string(), |(set, seal, end)| {
            format!("last seal {seal} of {set}, to offset {end}")
        });
        let committed = match place {
            ResumePoint::At(position) => format!("committed offset {}", position.next_offset),
            ResumePoint::Beginning | ResumePoint::NewLog => "no committed offset".to_string(),
        };
        let verdict = match sealed.refusal(*partition, place, settings) {
            None => "goes on".to_string(),
            Some(Refusal { text, .. }) => {
                refused += 1;
                format!("HELD: {text}")
            }
        };
        print(format_args!("partition {partition}: {last}; {committed}; {verdict}"))?;
    }
    ensure!(refused == 0, "{refused} partitions are held");
    Ok(())
}

/// Reads all seals of the input's partitions.
fn read_seals(
    reader: &TrailReader,
    topic: &str,
    settings: &SealingSettings,
) -> anyhow::Result<BTreeMap<Partition, SealedPartition>> {
    let bounds = reader.bounds(topic)?;
    let mut sealed = BTreeMap::<Partition, SealedPartition>::new();
    reader.read(topic, &whole(&bounds), &mut |record| {
        if let Some((set, partition)) = record.key.and_then(|key| settings.set_of(key)) {
            let note = record.value.unwrap_or_default();
            sealed.entry(partition).or_default().take(&set, note, settings);
        }
        Ok(())
    })?;
    Ok(sealed)
}

/// Returns the first offset of each partition of the input.
fn first_offsets(
    reader: &TrailReader,
    config: &Config,
) -> anyhow::Result<BTreeMap<Partition, i64>> {
    let bounds = reader.bounds(&config.input.topic)?;
    Ok(bounds.into_iter().map(|(partition, log)| (Partition(partition), log.low)).collect())
}
