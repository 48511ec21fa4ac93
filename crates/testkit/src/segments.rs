//! Damages the files of a partition as a bad disk or a power failure would, which needs a broker
//! that is stopped and partitions of one segment each, as they are in tests. Measures the files.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::cluster::Cluster;
use crate::kafka::KafkaBroker;
use crate::or_fail;

/// Size of a batch header in the format that brokers have written since 2017.
const HEADER_BYTES: u64 = 61;
/// The part of the header that the batch length does not include.
const UNCOUNTED_BYTES: u64 = 12;

/// A record batch in a segment file.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// The offsets of its records.
    pub offsets: Range<i64>,
    /// The number of its codec in the format: 0 is none, 3 is LZ4.
    pub codec: u8,
    /// Its position in the file.
    place: Range<u64>,
}

impl KafkaBroker {
    /// Returns the batches of a partition, in order.
    #[track_caller]
    pub fn stored_batches(&self, topic: &str, partition: i32) -> Vec<StoredBatch> {
        let batches = self.segment(topic, partition).and_then(|path| batches(&path));
        or_fail(batches, format_args!("batches of partition {partition} of {topic}"))
    }

    /// Flips one bit in the middle of the batch that contains this offset. Returns the offsets of
    /// that batch.
    #[track_caller]
    pub fn damage(&self, topic: &str, partition: i32, offset: i64) -> Range<i64> {
        let damaged = self
            .segment(topic, partition)
            .and_then(|path| flip_bit(&path, &batch_of(&path, offset)?));
        or_fail(damaged, format_args!("damage partition {partition} of {topic}"))
    }

    /// Truncates the log before the batch that contains this offset. Only works after a kill: after
    /// a clean shutdown a broker does not check its files when it starts. Returns the new end
    /// offset.
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
        or_fail(cut(), format_args!("cut partition {partition} of {topic}"))
    }

    /// Returns the sizes of a topic's segments, in bytes. A segment that is deleted meanwhile may
    /// be missing.
    pub fn segment_sizes(&self, topic: &str) -> anyhow::Result<BTreeMap<PathBuf, u64>> {
        let mut sizes = BTreeMap::new();
        for partition in self.end_offsets(topic).into_keys() {
            for segment in files(&self.partition_directory(topic, partition)?, &["log"])? {
                if let Ok(file) = fs::metadata(&segment) {
                    sizes.insert(segment, file.len());
                }
            }
        }
        Ok(sizes)
    }

    fn segment(&self, topic: &str, partition: i32) -> anyhow::Result<PathBuf> {
        only_segment(&self.partition_directory(topic, partition)?)
    }
}

impl Cluster {
    /// Flips one bit in a stopped broker's replica: in the middle one of the batches that start at
    /// or after this offset. Returns the offsets of that batch.
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
        let middle =
            middle.with_context(|| format!("no batch starts at or after offset {from}"))?;
        flip_bit(&path, middle)
    }
}

fn only_segment(directory: &Path) -> anyhow::Result<PathBuf> {
    let segments = files(directory, &["log"])?;
    ensure!(segments.len() == 1, "expected one segment, found {segments:?}");
    Ok(segments.into_iter().next().unwrap_or_default())
}

/// Flips one bit in the middle of the batch's records.
fn flip_bit(path: &Path, batch: &StoredBatch) -> anyhow::Result<Range<i64>> {
    let records = batch.place.start + HEADER_BYTES..batch.place.end;
    let middle = records.start + (records.end - records.start) / 2;
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle)?;
    file.write_all_at(&[byte[0] ^ 1], middle)?;
    Ok(batch.offsets.clone())
}

/// Returns the files of a folder with these extensions.
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

/// Removes the indexes, which the broker recreates.
fn remove_indexes(segment: &Path) -> anyhow::Result<()> {
    let directory = segment.parent().context("the segment has no parent folder")?;
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
    ensure!(magic == 2, "batch at {start}: unsupported version {magic}");
    let [_, attributes] = field(bytes, at + 21)?;
    let last = i32::from_be_bytes(field(bytes, at + 23)?);
    let end = start + UNCOUNTED_BYTES + u64::from(length);
    ensure!(end <= bytes.len() as u64, "the batch at {start} is truncated");
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
