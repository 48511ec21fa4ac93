//! A trail in files: one for each partition of each topic, `<topic>.<partition>.jsonl`. The first
//! line has the bounds of the partition, each other line a record, in order; bytes are Base64.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Receive, TrailSource};
use crate::kafka::Ranges;
use crate::kafka::trail_reader::{LogBounds, TrailRecord};

/// The end of the files' names.
const EXTENSION: &str = ".jsonl";

/// The first line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// The version of this form.
    audit_export: u32,
    topic: String,
    partition: i32,
    low: i64,
    stable_end: i64,
    end: i64,
}

/// A record. Missing parts are null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    offset: i64,
    timestamp: i64,
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

/// The version of the form.
const VERSION: u32 = 1;

/// A folder with the files of an export.
#[derive(Debug)]
pub(in crate::commands) struct ExportedTrail {
    /// The file of each partition of each topic, with its first line.
    files: BTreeMap<String, BTreeMap<i32, (PathBuf, LogBounds)>>,
}

impl ExportedTrail {
    /// Reads the first line of each file.
    pub(in crate::commands) fn open(folder: &Path) -> anyhow::Result<Self> {
        let place = || format!("read the export in {}", folder.display());
        let mut files = BTreeMap::<String, BTreeMap<_, _>>::new();
        for entry in folder.read_dir().with_context(place)? {
            let path = entry.with_context(place)?.path();
            if !path.to_string_lossy().ends_with(EXTENSION) {
                continue;
            }
            let mut first = String::new();
            let head: Head = open(&path)?
                .read_line(&mut first)
                .map_err(anyhow::Error::from)
                .and_then(|_| Ok(serde_json::from_str(&first)?))
                .with_context(|| format!("{}: the first line", path.display()))?;
            ensure!(
                head.audit_export == VERSION,
                "{}: version {} of the export is not known",
                path.display(),
                head.audit_export
            );
            let Head { topic, partition, low, stable_end, end, .. } = head;
            let bounds = LogBounds { low, stable_end, end };
            let of_topic = files.entry(topic).or_default();
            if let Some((other, _)) = of_topic.insert(partition, (path.clone(), bounds)) {
                bail!("{} and {} are of one partition", other.display(), path.display());
            }
        }
        Ok(ExportedTrail { files })
    }

    fn of(&self, topic: &str) -> anyhow::Result<&BTreeMap<i32, (PathBuf, LogBounds)>> {
        self.files.get(topic).with_context(|| format!("the export has no topic {topic:?}"))
    }
}

impl TrailSource for ExportedTrail {
    fn topics(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        Ok(self.files.keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    fn bounds(&self, topic: &str) -> anyhow::Result<BTreeMap<i32, LogBounds>> {
        let files = self.of(topic)?.iter();
        Ok(files.map(|(partition, (_, bounds))| (*partition, *bounds)).collect())
    }

    fn read(&self, topic: &str, ranges: &Ranges, receive: &mut Receive<'_>) -> anyhow::Result<()> {
        for (partition, (path, _)) in self.of(topic)? {
            let Some((start, end)) = ranges.get(partition) else { continue };
            let mut last = None;
            for (number, line) in (2..).zip(open(path)?.lines().skip(1)) {
                let place = || format!("{} line {number}", path.display());
                let line: Line =
                    serde_json::from_str(&line.with_context(place)?).with_context(place)?;
                ensure!(
                    last < Some(line.offset),
                    "{}: the offset {} does not follow the one before",
                    place(),
                    line.offset
                );
                last = Some(line.offset);
                if (*start..*end).contains(&line.offset) {
                    hand_over(*partition, &line, receive).with_context(place)?;
                }
            }
        }
        Ok(())
    }
}

fn open(path: &Path) -> anyhow::Result<BufReader<File>> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    Ok(BufReader::new(file))
}

fn hand_over(partition: i32, line: &Line, receive: &mut Receive<'_>) -> anyhow::Result<()> {
    let decode = |text: &String| STANDARD.decode(text);
    let (key, value) =
        (line.key.as_ref().map(decode).transpose()?, line.value.as_ref().map(decode).transpose()?);
    let header = |(name, value): &(String, Option<String>)| {
        anyhow::Ok((decode(name)?, value.as_ref().map(decode).transpose()?))
    };
    receive(&TrailRecord {
        partition,
        offset: line.offset,
        timestamp_ms: line.timestamp,
        key: key.as_deref(),
        value: value.as_deref(),
        headers: line.headers.iter().map(header).collect::<anyhow::Result<_>>()?,
    })
}

/// A file of an export, while it is written.
pub(in crate::commands) struct PartitionFile(BufWriter<File>);

/// Begins the file of a partition. It must not exist.
pub(in crate::commands) fn write_partition(
    folder: &Path,
    topic: &str,
    partition: i32,
    bounds: LogBounds,
) -> anyhow::Result<PartitionFile> {
    let path = folder.join(format!("{topic}.{partition}{EXTENSION}"));
    let file = File::create_new(&path).with_context(|| format!("create {}", path.display()))?;
    let mut file = PartitionFile(BufWriter::new(file));
    let LogBounds { low, stable_end, end } = bounds;
    let topic = topic.to_string();
    file.line(&Head { audit_export: VERSION, topic, partition, low, stable_end, end })?;
    Ok(file)
}

impl PartitionFile {
    /// Adds the next record.
    pub(in crate::commands) fn add(&mut self, record: &TrailRecord<'_>) -> anyhow::Result<()> {
        let encode = |bytes: &[u8]| STANDARD.encode(bytes);
        let headers = record.headers.iter();
        let headers =
            headers.map(|(name, value)| (encode(name), value.as_deref().map(encode))).collect();
        self.line(&Line {
            offset: record.offset,
            timestamp: record.timestamp_ms,
            key: record.key.map(encode),
            value: record.value.map(encode),
            headers,
        })
    }

    fn line(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.0, line)?;
        Ok(self.0.write_all(b"\n")?)
    }

    /// Writes what is left.
    pub(in crate::commands) fn finish(mut self) -> anyhow::Result<()> {
        self.0.flush()?;
        Ok(self.0.get_ref().sync_all()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let bounds = LogBounds { low: 2, stable_end: 8, end: 9 };
        let records = [
            TrailRecord {
                partition: 3,
                offset: 2,
                timestamp_ms: 17,
                key: Some(b"\xff"),
                value: None,
                headers: vec![(b"\xfe".to_vec(), None), (b"b".to_vec(), Some(Vec::new()))],
            },
            TrailRecord {
                partition: 3,
                offset: 7,
                timestamp_ms: -1,
                key: None,
                value: Some(b""),
                headers: Vec::new(),
            },
        ];
        let mut file = write_partition(folder.path(), "a.eu-de", 3, bounds).expect("created");
        records.iter().for_each(|record| file.add(record).expect("written"));
        file.finish().expect("written");
        assert!(write_partition(folder.path(), "a.eu-de", 3, bounds).is_err(), "it exists");

        let trail = ExportedTrail::open(folder.path()).expect("an export");
        assert_eq!(trail.topics("a.").expect("topics"), ["a.eu-de"]);
        assert_eq!(trail.bounds("a.eu-de").expect("bounds"), BTreeMap::from([(3, bounds)]));
        let read = |end| {
            let mut seen = Vec::new();
            let ranges = BTreeMap::from([(3, (2, end))]);
            let taken = trail.read("a.eu-de", &ranges, &mut |record| {
                seen.push(format!("{record:?}"));
                Ok(())
            });
            taken.expect("read");
            seen
        };
        assert_eq!(read(9), records.each_ref().map(|record| format!("{record:?}")));
        assert_eq!(read(7).len(), 1);
        assert!(trail.bounds("a.us").is_err());
    }

    #[test]
    fn a_file_of_something_else_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("x.0.jsonl"), "{}\n").expect("written");
        let error = ExportedTrail::open(folder.path()).expect_err("no head");
        assert!(format!("{error:#}").contains("x.0.jsonl: the first line"), "{error:#}");
    }
}
