//! Input at a fixed rate: records that are written when they are due, each with the time of sending
//! as its timestamp.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::producer::Producer;

use super::fixture::{DataSet, Fixture, PlanFile, partition_of, send};
use super::records::{Mix, Record, Records};
use audit_testkit::REQUEST_MAX;

/// The first seconds do not count: the process starts and joins the group meanwhile.
pub const WARM_UP_SECONDS: usize = 5;

/// The kind of records and how fast they come.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub mix: Mix,
    pub bytes: usize,
    pub partitions: i32,
    /// Records a second.
    pub rate: usize,
}

/// Records to send, and the plan of the raw copy's output.
pub struct Load {
    pace: Pace,
    records: Vec<Record>,
    plan: PlanFile,
}

impl Load {
    /// Generates this many records and their plan.
    pub fn new(fixture: &Fixture, pace: Pace, count: usize) -> anyhow::Result<Load> {
        let records: Vec<Record> = Records::new(pace.mix, pace.bytes).take(count).collect();
        let mut plan = fixture.new_plan(pace.partitions);
        for record in &records {
            let partition = partition_of(record, pace.partitions);
            plan.add(partition as usize, record, fixture.deployment())?;
        }
        let plan = fixture.keep_plan(&mut plan, &fixture.broker().unique("load"))?;
        Ok(Load { pace, records, plan })
    }

    /// Creates an empty topic, to which a run's records will be written.
    pub fn new_data_set(&self, fixture: &Fixture) -> DataSet {
        DataSet {
            topic: fixture.new_topic(self.pace.partitions),
            records: self.records.len(),
            plan: self.plan.clone(),
        }
    }

    /// Writes each record when it is due.
    pub fn write(&self, fixture: &Fixture, topic: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        let producer = fixture.producer("0")?;
        for (number, record) in self.records.iter().enumerate() {
            let due = Duration::from_secs_f64(number as f64 / self.pace.rate as f64);
            thread::sleep(due.saturating_sub(began.elapsed()));
            let partition = partition_of(record, self.pace.partitions);
            send(&producer, topic, partition, now_ms() as i64, record)?;
        }
        producer.flush(REQUEST_MAX)?;
        Ok(())
    }
}

/// Wall clock time in milliseconds since 1970, with fractions.
pub fn now_ms() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_micros() as f64 / 1e3
}
