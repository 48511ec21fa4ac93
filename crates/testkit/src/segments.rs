//! The files in which a broker keeps a partition, for tests that damage them as a bad disk or a
//! loss of power would. The broker must be stopped meanwhile. Each partition is expected to have
//! one segment, as it has in tests.

use std::fs::{self, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::cluster::Cluster;
use crate::kafka::KafkaBroker;
use crate::settled;

/// What a batch has before its records, in the format that brokers have written since 2017.
const HEADER_BYTES: u64 = 61;
/// The part of it that the length of a batch does not count.
const UNCOUNTED_BYTES: u64 = 12;

/// A batch of records in a file.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// The offsets of its records.
    pub offsets: Range<i64>,
    /// Its codec, as the format numbers it: 0 is none, 3 is LZ4.
    pub codec: u8,
    /// Its place in the file.
    place: Range<u64>,
}

impl KafkaBroker {
    /// The batches of a partition, in order.
    #[track_caller]
    pub fn stored_batches(&self, topic: &str, partition: i32) -> Vec<StoredBatch> {
        let batches = self.segment(topic, partition).and_then(|path| batches(&path));
        settled(batches, format_args!("batches of partition {partition} of {topic}"))
    }

    /// Flips one bit in the middle of the records of the batch that holds this offset, and returns
    /// the offsets of that batch.
    #[track_caller]
    pub fn damage(&self, topic: &str, partition: i32, offset: i64) -> Range<i64> {
        let damaged = self
            .segment(topic, partition)
            .and_then(|path| flip_bit(&path, &batch_of(&path, offset)?));
        settled(damaged, format_args!("damage partition {partition} of {topic}"))
    }

    /// Cuts off the batch that holds this offset, and all behind it. Only after a kill: a broker
    /// that was stopped in good order believes its files when it starts again. Returns the end
    /// of what is left.
    #[track_caller]
    pub fn cut_log(&self, topic: &str, partition: i32, offset: i64) -> i64 {
        let cut = || {
            let path = self.segment(topic, partition)?;
            let batch = batch_of(&path, offset)?;
            let file = OpenOptions::new().write(true).open(&path)?;
            file.set_len(batch.place.start)?;
            remove_indexes(&path)?;
            anyhow::Ok(batch.offsets.start)
        };
        settled(cut(), format_args!("cut partition {partition} of {topic}"))
    }

    fn segment(&self, topic: &str, partition: i32) -> anyhow::Result<PathBuf> {
        only_segment(&self.partition_directory(topic, partition)?)
    }
}

impl Cluster {
    /// Flips one bit in what a stopped broker has of a partition: in the middle one of the batches
    /// that begin at this offset or behind it. Returns the offsets of that batch.
    pub fn damage(
        &self,
        broker: usize,
        (topic, partition): (&str, i32),
        from: i64,
    ) -> anyhow::Result<Range<i64>> {
        let path = only_segment(&self.partition_directory(broker, topic, partition)?)?;
        let behind: Vec<StoredBatch> =
            batches(&path)?.into_iter().filter(|batch| batch.offsets.start >= from).collect();
        let middle = behind.get(behind.len() / 2);
        let middle = middle.with_context(|| format!("no batch begins behind offset {from}"))?;
        flip_bit(&path, middle)
    }
}

fn only_segment(directory: &Path) -> anyhow::Result<PathBuf> {
    let segments = files(directory, &["log"])?;
    ensure!(segments.len() == 1, "{segments:?} are not one segment");
    Ok(segments.into_iter().next().unwrap_or_default())
}

/// In the middle of the records.
fn flip_bit(path: &Path, batch: &StoredBatch) -> anyhow::Result<Range<i64>> {
    let records = batch.place.start + HEADER_BYTES..batch.place.end;
    let middle = records.start + (records.end - records.start) / 2;
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle)?;
    file.write_all_at(&[byte[0] ^ 1], middle)?;
    Ok(batch.offsets.clone())
}

/// The files of a folder whose names end so.
fn files(directory: &Path, endings: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let is_wanted = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| endings.contains(&ending))
    };
    let wanted = paths.filter(|path| path.as_ref().map_or(true, is_wanted));
    wanted.collect()
}

/// The broker creates them again.
fn remove_indexes(segment: &Path) -> anyhow::Result<()> {
    let directory = segment.parent().context("a segment in no folder")?;
    for index in files(directory, &["index", "timeindex", "snapshot"])? {
        fs::remove_file(index)?;
    }
    Ok(())
}

fn batch_of(path: &Path, offset: i64) -> anyhow::Result<StoredBatch> {
    let mut all = batches(path)?.into_iter();
    let found = all.find(|batch| batch.offsets.contains(&offset));
    found.with_context(|| format!("no batch holds offset {offset}"))
}

fn batches(path: &Path) -> anyhow::Result<Vec<StoredBatch>> {
    let bytes = fs::read(path)?;
    let mut found: Vec<StoredBatch> = Vec::new();
    let mut start = 0;
    while start < bytes.len() as u64 {
        let batch = batch_at(&bytes, start)?;
        start = batch.place.end;
        found.push(batch);
    }
    Ok(found)
}

fn batch_at(bytes: &[u8], start: u64) -> anyhow::Result<StoredBatch> {
    let at = usize::try_from(start)?;
    let base = i64::from_be_bytes(field(bytes, at)?);
    let length = u32::from_be_bytes(field(bytes, at + 8)?);
    let [magic] = field(bytes, at + 16)?;
    ensure!(magic == 2, "no batch at {start}: its version is {magic}");
    let [_, attributes] = field(bytes, at + 21)?;
    let last = i32::from_be_bytes(field(bytes, at + 23)?);
    let end = start + UNCOUNTED_BYTES + u64::from(length);
    ensure!(end <= bytes.len() as u64, "the batch at {start} is cut off");
    Ok(StoredBatch {
        offsets: base..base + i64::from(last) + 1,
        codec: attributes & 7,
        place: start..end,
    })
}

fn field<const COUNT: usize>(bytes: &[u8], at: usize) -> anyhow::Result<[u8; COUNT]> {
    let found = bytes.get(at..at + COUNT).context("the file ends")?;
    Ok(found.try_into()?)
}
