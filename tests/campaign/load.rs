//! Makes the records: numbered, device by device in order, each with a demand that the ledger is
//! told of before the brokers get it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::change::{self, Variant};
use crate::demand::{ACCOUNT, DEEDS, Demand, Device, Expected, Reason};
use crate::ledger::Ledger;
use crate::now_ms;
use crate::people::{self, People};
use crate::producer::Sender;
use audit_testkit::random::Random;

/// Devices in each partition of the input.
const DEVICES_OF_PARTITION: usize = 12;
/// Records are sent in portions.
const PORTION: Duration = Duration::from_millis(10);

/// What the faults can change of the load while it runs.
#[derive(Default)]
pub struct Controls {
    pub stop: AtomicBool,
    /// By how much the clock of those who act is wrong, in seconds.
    pub clock_shift_s: AtomicI64,
    /// Records that are too large, still to be sent.
    oversized: Mutex<usize>,
    /// Partitions of the input that have no devices yet.
    new_partitions: Mutex<Vec<i32>>,
    /// Held by who sends.
    sending: Mutex<()>,
}

impl Controls {
    /// As long as this is held, nothing is sent.
    pub fn rest(&self) -> MutexGuard<'_, ()> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn send_oversized(&self) {
        *self.oversized.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    pub fn settle_partitions(&self, partitions: impl Iterator<Item = i32>) {
        let mut new = self.new_partitions.lock();
        new.as_mut()
            .map_or_else(|poisoned| poisoned.get_mut().clear(), |new| new.extend(partitions));
    }
}

/// Sends until told to stop.
pub struct Load {
    pub ledger: Arc<Ledger>,
    pub people: Arc<People>,
    pub controls: Arc<Controls>,
    pub input: String,
    pub devices_topic: String,
    /// For the records, and for the devices' own topic.
    pub sender: Sender,
    pub devices_sender: Sender,
    pub per_second: u64,
    pub random: Random,
    devices: Vec<u32>,
}

impl Load {
    #[allow(clippy::too_many_arguments, reason = "one of each thing that a load is made of")]
    pub fn new(
        ledger: Arc<Ledger>,
        people: Arc<People>,
        controls: Arc<Controls>,
        topics: [&str; 2],
        senders: [Sender; 2],
        per_second: u64,
        seed: u64,
    ) -> Load {
        let [sender, devices_sender] = senders;
        Load {
            ledger,
            people,
            controls,
            input: topics[0].to_string(),
            devices_topic: topics[1].to_string(),
            sender,
            devices_sender,
            per_second,
            random: Random::new(seed ^ 0x10ad),
            devices: Vec::new(),
        }
    }

    /// Lets devices live in these partitions. The brokers know of them when this returns.
    pub fn settle(&mut self, partitions: impl Iterator<Item = i32>) -> anyhow::Result<()> {
        for partition in partitions {
            for _ in 0..DEVICES_OF_PARTITION {
                let (index, device) = self.ledger.add_device(partition);
                self.devices.push(index);
                self.register(&device)?;
            }
        }
        self.devices_sender.flush()
    }

    fn register(&self, device: &Device) -> anyhow::Result<()> {
        let key = device.id.to_string();
        let value = format!(
            "{{\"deviceId\":{key},\"accountId\":{ACCOUNT},\"datacenter\":\"{}\",\"validFrom\":\"2018-01-01T00:00:00Z\"}}",
            device.data_center()
        );
        let record = BaseRecord::with_opaque_to(&self.devices_topic, 0_usize);
        self.devices_sender.send(record.key(key.as_bytes()).payload(value.as_bytes()))
    }

    /// Sends, at an even pace, until told to stop; then everything is delivered.
    pub fn run(mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut sent = 0;
        let controls = Arc::clone(&self.controls);
        while !self.controls.stop.load(Ordering::Acquire) {
            let sending = controls.rest();
            self.obey()?;
            let due = begun.elapsed().as_millis() as u64 * self.per_second / 1_000;
            // What was missed while a broker was away is made up for, but not all at once.
            let until = due.min(sent + self.per_second / 20 + 1);
            while sent < until {
                let expected = self.make_up();
                self.send(expected)?;
                sent += 1;
            }
            drop(sending);
            std::thread::sleep(PORTION);
        }
        self.sender.flush()
    }

    /// Does what the faults ask for.
    fn obey(&mut self) -> anyhow::Result<()> {
        let new = self.controls.new_partitions.lock().map(|mut new| std::mem::take(&mut *new));
        self.settle(new.unwrap_or_default().into_iter())?;
        let oversized = self.controls.oversized.lock().map(|mut count| std::mem::take(&mut *count));
        for _ in 0..oversized.unwrap_or_default() {
            let mut expected = self.make_up();
            expected.variant = Variant::Oversized;
            expected.demand = Demand::Quarantined(Reason::Malformed);
            self.send(expected)?;
        }
        Ok(())
    }

    fn make_up(&mut self) -> Expected {
        let random = &self.random;
        let device = *random.one_of(&self.devices);
        let deed = random.below(DEEDS.len() as u64) as u8;
        let time_ms = now_ms() + self.controls.clock_shift_s.load(Ordering::Relaxed) * 1_000;
        let mut expected = Expected {
            demand: Demand::Audited,
            variant: Variant::User,
            device,
            deed,
            user: people::steady(random.below(people::STEADY)),
            time_ms,
            stamp_ms: time_ms,
        };
        match random.below(100) {
            0..=29 => {}
            30..=54 => {
                expected.variant = Variant::System;
                expected.demand = Demand::Skipped;
            }
            55..=64 => {
                expected.variant = Variant::Unlisted;
                expected.demand = Demand::Skipped;
            }
            65..=69 => {
                expected.user = people::without(random);
                expected.demand = Demand::Skipped;
            }
            70..=74 => {
                expected.variant = Variant::Truncated;
                expected.demand = Demand::Quarantined(Reason::Malformed);
            }
            75..=76 => {
                expected.user = people::stranger(random);
                expected.demand = Demand::Quarantined(Reason::UnknownPrincipal);
            }
            77 => {
                expected.variant = Variant::LostDevice;
                expected.demand = Demand::Quarantined(Reason::UnknownDevice);
            }
            78..=79 => {
                expected.variant = Variant::Nowhere;
                expected.demand = Demand::Quarantined(Reason::UnknownLocation);
            }
            80..=82 => expected.take(self.people.act_as_guest(random)),
            // Whose access changes has a history of its own, in which nobody's clock is wrong.
            _ => expected.take(self.people.act(random)),
        }
        expected
    }

    fn send(&mut self, expected: Expected) -> anyhow::Result<()> {
        let device = self.ledger.device(expected.device);
        let number = self.ledger.expect(expected);
        let value = change::value(number, &expected, &device);
        let key = device.id.to_string();
        let number_text = number.to_string();
        let header = Header { key: "number", value: Some(&number_text) };
        let record = BaseRecord::with_opaque_to(&self.input, number as usize)
            .partition(device.partition)
            .timestamp(expected.stamp_ms)
            .headers(OwnedHeaders::new().insert(header))
            .key(key.as_bytes())
            .payload(value.as_slice());
        self.sender.send(record)
    }
}
