//! The streams that seals name: their blocks, by the partition that holds them, and their last
//! heads.

use std::collections::{BTreeMap, HashMap};
use std::io;

use audit_chain::hash::genesis;
use audit_chain::name::{self, Origin};

use crate::block::{Block, Head};
use crate::spill::{List, Spill};

/// Heads of a stream that contradict the main chain or repeat it, at most.
const ALTERNATES_MAX: usize = 10_000;

/// All streams, by their texts.
#[derive(Debug, Default)]
pub(crate) struct Streams(HashMap<Box<str>, Stream>);

/// A stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) name: name::Stream,
    /// Whether its set is that of a replay: its events come from any offsets.
    pub(crate) is_replay: bool,
    /// The head in the newest seal that names the stream.
    pub(crate) head: Head,
    /// How many events are not verified, since verification begins behind them.
    pub(crate) begin: u64,
    /// The blocks that each output partition holds, in order.
    pub(crate) blocks: BTreeMap<u32, List<Block>>,
    /// The partition of the last block.
    last_partition: Option<u32>,
    /// The newest seal that names the stream.
    pub(crate) named_by: Option<u64>,
    /// Heads that seals of a number that was there already sign.
    pub(crate) alternates: Vec<Head>,
}

impl Streams {
    pub(crate) fn get(&self, text: &str) -> Option<&Stream> {
        self.0.get(text)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.0.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.0.values_mut()
    }

    /// Returns a stream; a new one begins with its genesis.
    pub(crate) fn entry(&mut self, origin: &Origin, name: &name::Stream) -> &mut Stream {
        self.0.entry(name.as_str().into()).or_insert_with(|| Stream {
            name: name.clone(),
            is_replay: false,
            head: Head { size: 0, digest: genesis(origin, name) },
            begin: 0,
            blocks: BTreeMap::new(),
            last_partition: None,
            named_by: None,
            alternates: Vec::new(),
        })
    }
}

impl Stream {
    /// Adds a block behind the last head. Its partition is the one that the seal names, or that of
    /// the block before, if the seal that named it is missing.
    pub(crate) fn extend(
        &mut self,
        end: Head,
        partition: Option<u32>,
        input: [u64; 2],
        spill: &mut Spill,
    ) -> io::Result<()> {
        let partition = partition.or(self.last_partition);
        let block = Block { start: self.head, end, input };
        self.head = end;
        self.last_partition = partition;
        self.blocks.entry(partition.unwrap_or_default()).or_default().push(&block, spill)
    }

    /// Moves the beginning of verification to a head.
    pub(crate) fn begin_at(&mut self, head: Head, partition: Option<u32>) {
        self.head = head;
        self.begin = head.size;
        self.last_partition = partition.or(self.last_partition);
    }

    /// Moves the beginning of verification to the last head.
    pub(crate) fn begin_behind(&mut self) {
        self.begin = self.head.size;
        self.blocks.clear();
        self.alternates.clear();
    }

    pub(crate) fn add_alternate(&mut self, head: Head) {
        if self.alternates.len() < ALTERNATES_MAX {
            self.alternates.push(head);
        }
    }

    /// Returns which partition's list has the block of an event, and where in the list.
    pub(crate) fn locate(&self, number: u64, spill: &Spill) -> io::Result<Option<(u32, u64)>> {
        for (partition, list) in &self.blocks {
            if let Some(index) = find(list, number, spill)? {
                return Ok(Some((*partition, index)));
            }
        }
        Ok(None)
    }
}

/// Returns the index of the block that has an event.
pub(crate) fn find(list: &List<Block>, number: u64, spill: &Spill) -> io::Result<Option<u64>> {
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = low + (high - low) / 2;
        match list.get(middle, spill)? {
            Some(block) if block.end.size <= number => low = middle + 1,
            Some(block) if block.contains(number) => return Ok(Some(middle)),
            _ => high = middle,
        }
    }
    Ok(None)
}
