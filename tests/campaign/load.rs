//! Produces the load: numbered records, in order for each device. The ledger gets the expected fate
//! of each record before the brokers get the record.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use crate::change::{self, Variant};
use crate::expected::{ACCOUNT, ACTION_KINDS, Device, ExpectedFate, ExpectedRecord, Reason};
use crate::ledger::Ledger;
use crate::now_ms;
use crate::principals::{self, Principals};
use crate::producer::Sender;
use audit_testkit::random::Random;

/// Number of devices in each partition of the input.
const DEVICES_OF_PARTITION: usize = 12;
/// Pause between two portions of records.
const PORTION: Duration = Duration::from_millis(10);

/// What faults can change in the load while it runs.
#[derive(Default)]
pub struct Controls {
    pub stop: AtomicBool,
    /// Error of the clock that stamps the actions, in seconds.
    pub clock_shift_s: AtomicI64,
    /// Number of oversized records still to be sent.
    oversized: Mutex<usize>,
    /// Partitions of the input that have no devices yet.
    new_partitions: Mutex<Vec<i32>>,
    /// Held while records are sent.
    sending: Mutex<()>,
}

impl Controls {
    /// Pauses the load while the guard is held.
    pub fn pause(&self) -> MutexGuard<'_, ()> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn send_oversized(&self) {
        *self.oversized.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    pub fn add_partitions_with_devices(&self, partitions: impl Iterator<Item = i32>) {
        let mut new = self.new_partitions.lock();
        new.as_mut()
            .map_or_else(|poisoned| poisoned.get_mut().clear(), |new| new.extend(partitions));
    }
}

/// Sends records until it is stopped.
pub struct Load {
    pub ledger: Arc<Ledger>,
    pub principals: Arc<Principals>,
    pub controls: Arc<Controls>,
    pub input: String,
    pub devices_topic: String,
    /// The producers of the records and of the devices' topic.
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
        principals: Arc<Principals>,
        controls: Arc<Controls>,
        topics: [&str; 2],
        senders: [Sender; 2],
        per_second: u64,
        seed: u64,
    ) -> Load {
        let [sender, devices_sender] = senders;
        Load {
            ledger,
            principals,
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

    /// Adds devices to these partitions, and waits until the brokers have their entries.
    pub fn add_devices(&mut self, partitions: impl Iterator<Item = i32>) -> anyhow::Result<()> {
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

    /// Sends at an even pace until it is stopped, then waits until everything is delivered.
    pub fn run(mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let mut sent = 0;
        let controls = Arc::clone(&self.controls);
        while !self.controls.stop.load(Ordering::Acquire) {
            let sending = controls.pause();
            self.apply_controls()?;
            let due = begun.elapsed().as_millis() as u64 * self.per_second / 1_000;
            // Catch up gradually on what was missed while a broker was down.
            let until = due.min(sent + self.per_second / 20 + 1);
            while sent < until {
                let expected = self.draw_record();
                self.send(expected)?;
                sent += 1;
            }
            drop(sending);
            std::thread::sleep(PORTION);
        }
        self.sender.flush()
    }

    /// Applies what faults have requested.
    fn apply_controls(&mut self) -> anyhow::Result<()> {
        let new = self.controls.new_partitions.lock().map(|mut new| std::mem::take(&mut *new));
        self.add_devices(new.unwrap_or_default().into_iter())?;
        let oversized = self.controls.oversized.lock().map(|mut count| std::mem::take(&mut *count));
        for _ in 0..oversized.unwrap_or_default() {
            let mut expected = self.draw_record();
            expected.variant = Variant::Oversized;
            expected.fate = ExpectedFate::Quarantined(Reason::Malformed);
            self.send(expected)?;
        }
        Ok(())
    }

    fn draw_record(&mut self) -> ExpectedRecord {
        let random = &self.random;
        let device = *random.one_of(&self.devices);
        let action_kind = random.below(ACTION_KINDS.len() as u64) as u8;
        let time_ms = now_ms() + self.controls.clock_shift_s.load(Ordering::Relaxed) * 1_000;
        let mut expected = ExpectedRecord {
            fate: ExpectedFate::Audited,
            variant: Variant::User,
            device,
            action_kind,
            user: principals::steady(random.below(principals::STEADY)),
            time_ms,
            stamp_ms: time_ms,
        };
        match random.below(100) {
            0..=29 => {}
            30..=54 => {
                expected.variant = Variant::System;
                expected.fate = ExpectedFate::Skipped;
            }
            55..=64 => {
                expected.variant = Variant::Unlisted;
                expected.fate = ExpectedFate::Skipped;
            }
            65..=69 => {
                expected.user = principals::without_access(random);
                expected.fate = ExpectedFate::Skipped;
            }
            70..=74 => {
                expected.variant = Variant::Truncated;
                expected.fate = ExpectedFate::Quarantined(Reason::Malformed);
            }
            75..=76 => {
                expected.user = principals::unknown_user(random);
                expected.fate = ExpectedFate::Quarantined(Reason::UnknownPrincipal);
            }
            77 => {
                expected.variant = Variant::LostDevice;
                expected.fate = ExpectedFate::Quarantined(Reason::UnknownDevice);
            }
            78..=79 => {
                expected.variant = Variant::Nowhere;
                expected.fate = ExpectedFate::Quarantined(Reason::UnknownLocation);
            }
            80..=82 => expected.set_action(self.principals.action_of_guest(random)),
            // Users whose access changes have their own history, with a correct clock.
            _ => expected.set_action(self.principals.action_of_changing(random)),
        }
        expected
    }

    fn send(&mut self, expected: ExpectedRecord) -> anyhow::Result<()> {
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
