//! Poll only, for input with almost no audited records: a consumer with the frozen settings
//! that polls and commits its offsets as often as a raw copy. No transactions, no output.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::bail;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::revocations::Revocations;
use super::settings::{Settings, configuration};
use super::{POLL_MAX, RECORDS_PER_CLOCK_CHECK};

/// Polls until the process is terminated.
pub fn run(config: &Path, regions: &[&str]) -> anyhow::Result<()> {
    let settings = Settings::new(&configuration(config)?, regions, 0);
    let consumer: BaseConsumer<Revocations> =
        settings.consumer.create_with_context(Revocations::default())?;
    let topic = &settings.topics.input;
    consumer.subscribe(&[topic])?;
    let mut polling = Polling { consumer, next_offsets: Vec::new() };
    loop {
        let began = Instant::now();
        let mut records = 0;
        while records < settings.limits.max_records && began.elapsed() < settings.limits.max_age {
            records += polling.some()?;
        }
        polling.commit(topic)?;
    }
}

struct Polling {
    consumer: BaseConsumer<Revocations>,
    next_offsets: Vec<Option<i64>>,
}

impl Polling {
    /// Polls some records without reading the clock. Waits for one if none is available.
    fn some(&mut self) -> anyhow::Result<usize> {
        for number in 0..RECORDS_PER_CLOCK_CHECK {
            if !self.poll(Duration::ZERO)? {
                return Ok(number + usize::from(self.poll(POLL_MAX)?));
            }
        }
        Ok(RECORDS_PER_CLOCK_CHECK)
    }

    fn poll(&mut self, wait: Duration) -> anyhow::Result<bool> {
        let polled = self.consumer.poll(wait);
        for partition in self.consumer.context().take().unwrap_or_default() {
            if let Some(offset) = self.next_offsets.get_mut(partition as usize) {
                *offset = None;
            }
        }
        match polled {
            None | Some(Err(KafkaError::PartitionEOF(_))) => Ok(false),
            Some(Err(error)) => bail!("poll: {error}"),
            Some(Ok(message)) => {
                let partition = message.partition() as usize;
                if self.next_offsets.len() <= partition {
                    self.next_offsets.resize(partition + 1, None);
                }
                self.next_offsets[partition] = Some(message.offset() + 1);
                Ok(true)
            }
        }
    }

    fn commit(&mut self, topic: &str) -> anyhow::Result<()> {
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in self.next_offsets.iter_mut().enumerate() {
            if let Some(offset) = offset.take() {
                offsets.add_partition_offset(topic, partition as i32, Offset::Offset(offset))?;
            }
        }
        if offsets.count() > 0 {
            self.consumer.commit(&offsets, CommitMode::Sync)?;
        }
        Ok(())
    }
}
