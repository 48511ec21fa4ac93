//! The seam between the loop and what proves its output: the trait [`Sealer`], what it asks of the
//! cluster ([`SealLog`]), and what it adds to a transaction ([`Proof`]).

use std::fmt::{Display, Write as _};
use std::time::Duration;

use super::batch::Batch;
use super::broker::{Failure, ResumePoint};
use super::fault::PartitionFault;
use super::outputs::{Output, Outputs};
use super::record::{Partition, Position};

/// Adds to each transaction what proves its records later.
pub trait Sealer {
    /// Takes note of where a partition resumes. Whatever was known of it does not count any more.
    fn placed(&mut self, partition: Partition, place: &ResumePoint);

    /// Returns the partitions that must be committed even if nothing was read of them.
    fn due(&self, now: Duration) -> Vec<Partition>;

    /// Proves a batch. It begins at what was committed last, so it may be called again after some
    /// partitions were dropped from the batch.
    ///
    /// # Errors
    /// If the cluster cannot be asked, or the batch can never be proved.
    fn seal(
        &mut self,
        batch: &Batch,
        log: Option<&mut dyn SealLog>,
    ) -> Result<SealedBatch, Failure>;

    /// Returns what the last [`Sealer::seal`] adds to the transaction; `None` if nothing is sealed.
    fn proof(&self) -> Option<&Proof>;

    /// The transaction that was sealed last is committed.
    fn committed(&mut self, now: Duration);
}

/// What became of a batch that was to be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealedBatch {
    /// The positions to commit, with their metadata.
    Positions(Vec<Position>),
    /// Nothing, because these partitions must not be continued.
    Refused(Vec<(Partition, PartitionFault)>),
}

/// What sealing asks of the cluster. Every call is bounded in time.
pub trait SealLog {
    /// Reads what the partitions' seals are among, and hands over key and value of each record, in
    /// the order of each partition of that topic.
    ///
    /// # Errors
    /// [`Failure::Held`] if it cannot be read to its end now.
    fn read(
        &mut self,
        searches: &[SealSearch],
        receive: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<(), Failure>;

    /// Returns how many partitions the input topic has.
    ///
    /// # Errors
    /// [`Failure::Held`] if no broker says so now.
    fn input_partitions(&mut self) -> Result<i32, Failure>;

    /// Returns the partition that an output is written to. `None` if its topic is not known.
    fn output_partition(&self, output: &Output<'_>) -> Option<i32>;

    /// Returns the time, in milliseconds since 1970.
    fn time_ms(&self) -> u64;
}

/// Where the seals of an input partition are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealSearch {
    /// The partition.
    pub partition: Partition,
    /// Records before this time need not be read, in milliseconds since 1970; 0 for all.
    pub since_ms: u64,
}

/// Everything that one transaction writes and commits.
#[derive(Debug, Clone, Copy)]
pub struct Transaction<'a> {
    /// The records to write.
    pub outputs: &'a Outputs,
    /// What proves them, if the trail is sealed.
    pub proof: Option<&'a Proof>,
    /// The positions to commit.
    pub positions: &'a [Position],
}

impl<'a> Transaction<'a> {
    /// Returns the transaction of a batch that is not sealed.
    pub fn unsealed(batch: &'a Batch, positions: &'a [Position]) -> Self {
        Transaction { outputs: batch.outputs(), proof: None, positions }
    }
}

/// What proves the records of a transaction: a header for each, and the seals.
#[derive(Debug, Default)]
pub struct Proof {
    headers: String,
    ends: Vec<usize>,
    seals: Vec<SealRecord>,
    time_ms: i64,
}

/// A seal, to be written in the transaction that it seals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealRecord {
    /// The input partition that it seals.
    pub partition: Partition,
    /// The key of the record.
    pub key: String,
    /// Its value, a signed note.
    pub note: String,
    /// Its timestamp, in milliseconds since 1970.
    pub timestamp_ms: i64,
}

impl Proof {
    /// Returns the value of the chain's header for the output with this number, counted from 0 in
    /// their order.
    pub fn header(&self, output: usize) -> Option<&str> {
        let start = match output.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.headers.get(start..*self.ends.get(output)?)
    }

    /// Returns the time of the seals, in milliseconds since 1970: the timestamp of records whose
    /// input had none.
    pub fn time_ms(&self) -> i64 {
        self.time_ms
    }

    /// Returns the seals.
    pub fn seals(&self) -> &[SealRecord] {
        &self.seals
    }

    /// Begins the proof of another transaction, sealed at this time; keeps the memory.
    pub fn begin(&mut self, time_ms: i64) {
        self.headers.clear();
        self.ends.clear();
        self.seals.clear();
        self.time_ms = time_ms;
    }

    /// Adds the header of the next output.
    pub fn push_header(&mut self, header: impl Display) {
        // Writing to a string cannot fail.
        _ = write!(self.headers, "{header}");
        self.ends.push(self.headers.len());
    }

    /// Adds a seal.
    pub fn push_seal(&mut self, seal: SealRecord) {
        self.seals.push(seal);
    }
}

/// Seals nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unsealed;

impl Sealer for Unsealed {
    fn placed(&mut self, _: Partition, _: &ResumePoint) {}

    fn due(&self, _: Duration) -> Vec<Partition> {
        Vec::new()
    }

    fn seal(&mut self, batch: &Batch, _: Option<&mut dyn SealLog>) -> Result<SealedBatch, Failure> {
        Ok(SealedBatch::Positions(batch.positions()))
    }

    fn proof(&self) -> Option<&Proof> {
        None
    }

    fn committed(&mut self, _: Duration) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_output_has_its_own_header() {
        let mut proof = Proof::default();
        assert_eq!(proof.header(0), None);
        proof.push_header("one");
        proof.push_header("");
        proof.push_header(2);
        let headers: Vec<_> = (0..4).map(|output| proof.header(output)).collect();
        assert_eq!(headers, [Some("one"), Some(""), Some("2"), None]);
        proof.begin(7);
        assert_eq!((proof.header(0), proof.time_ms()), (None, 7));
    }

    #[test]
    fn a_proof_has_the_seals_of_one_transaction() {
        let (key, note) = ("changes/3".to_string(), "a note".to_string());
        let seal = SealRecord { partition: Partition(3), key, note, timestamp_ms: 7 };
        let mut proof = Proof::default();
        proof.push_seal(seal.clone());
        assert_eq!(proof.seals(), [seal]);
        proof.begin(7);
        assert_eq!(proof.seals(), []);
        assert!(Unsealed.proof().is_none());
    }
}
