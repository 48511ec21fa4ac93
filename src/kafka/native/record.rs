//! The entries of a record queue: records, partition EOFs, errors of partitions. All of them borrow
//! from librdkafka.

use std::ffi::CStr;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use rdkafka::bindings::{
    rd_kafka_header_get_all, rd_kafka_message_headers, rd_kafka_message_leader_epoch,
    rd_kafka_message_t, rd_kafka_message_timestamp, rd_kafka_timestamp_type_t,
};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::types::RDKafkaRespErr;

use super::error_number::{NO_ERROR, code_text, known_code};
use super::partition_list::known_epoch;
use crate::stream::{OwnedHeaders, SourceHeaders};

const PARTITION_END: i32 = RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF as i32;

/// An entry of a record queue.
#[derive(Debug)]
pub(crate) enum QueueItem<'a> {
    /// A record.
    Record(NativeRecord<'a>),
    /// Partition EOF: the partition has nothing more to read before this offset. With
    /// `read_committed` that is its last stable offset.
    End(i32, i64),
    /// A partition could not be read. The client retries by itself.
    Error(ReadError),
}

/// Why a partition could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadError {
    /// The partition.
    pub partition: i32,
    /// The offset, as librdkafka reports it; negative if it has none to report.
    pub offset: i64,
    /// The error code: librdkafka's own if negative, otherwise the broker's.
    pub code: i32,
    /// librdkafka's message. It contains no record data.
    pub text: String,
}

impl ReadError {
    /// Returns the code, if rust-rdkafka has a name for it.
    pub(crate) fn known(&self) -> Option<RDKafkaErrorCode> {
        known_code(self.code)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {}", self.partition)?;
        if self.offset >= 0 {
            write!(f, " at offset {}", self.offset)?;
        }
        write!(f, ": {} (error {})", self.text, self.code)
    }
}

/// Classifies a message.
///
/// # Safety
/// The message must come from a librdkafka consumer, and stay alive and unchanged for `'a`.
pub(super) unsafe fn queue_item<'a>(message: NonNull<rd_kafka_message_t>) -> QueueItem<'a> {
    let message = message.as_ptr();
    // SAFETY: by the contract of this function the fields can be read. They are read through the
    // pointer, since a reference to a message whose code is not in the enumeration would itself be
    // undefined behavior.
    let (code, partition, offset) = unsafe {
        let code = ptr::addr_of!((*message).err).cast::<i32>().read();
        (code, (*message).partition, (*message).offset)
    };
    match code {
        NO_ERROR => QueueItem::Record(NativeRecord { message, lifetime: PhantomData }),
        PARTITION_END => QueueItem::End(partition, offset),
        code => QueueItem::Error(ReadError {
            partition,
            offset,
            code,
            // SAFETY: as above, and the message is an error.
            text: unsafe { error_text(message) }.unwrap_or_else(|| code_text(code)),
        }),
    }
}

/// Returns librdkafka's message for an error, which is the payload of the error event.
///
/// # Safety
/// The message must be a librdkafka error message, and alive.
unsafe fn error_text(message: *const rd_kafka_message_t) -> Option<String> {
    // SAFETY: by the contract of this function, `len` bytes are at the payload.
    let text = unsafe { bytes((*message).payload.cast(), (*message).len) }?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
}

/// A record that was read, borrowed from librdkafka.
pub(crate) struct NativeRecord<'a> {
    /// A message without an error code, so that a reference to it is sound.
    message: *const rd_kafka_message_t,
    lifetime: PhantomData<&'a rd_kafka_message_t>,
}

impl<'a> NativeRecord<'a> {
    fn message(&self) -> &'a rd_kafka_message_t {
        // SAFETY: the message lives for `'a` and does not change, and its code was read and is in
        // the enumeration.
        unsafe { &*self.message }
    }

    /// Returns the partition it was read from.
    pub(crate) fn partition(&self) -> i32 {
        self.message().partition
    }

    /// Returns its offset.
    pub(crate) fn offset(&self) -> i64 {
        self.message().offset
    }

    /// Returns the epoch of the leader that wrote it, if the broker reported it.
    pub(crate) fn leader_epoch(&self) -> Option<i32> {
        // SAFETY: the message is alive.
        known_epoch(unsafe { rd_kafka_message_leader_epoch(self.message) })
    }

    /// Returns its key.
    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: `key_len` bytes are there for as long as the message lives.
        unsafe { bytes(message.key.cast(), message.key_len) }
    }

    /// Returns its value.
    pub(crate) fn payload(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: as for the key.
        unsafe { bytes(message.payload.cast(), message.len) }
    }

    /// Returns its timestamp in milliseconds since 1970, if it has one.
    pub(crate) fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive. librdkafka derives the kind from one bit, so it is in the
        // enumeration.
        let time = unsafe { rd_kafka_message_timestamp(self.message, &mut kind) };
        (kind != rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && time != -1)
            .then_some(time)
    }
}

impl fmt::Debug for NativeRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of partition {}", self.offset(), self.partition())
    }
}

/// Reads the headers on demand.
impl SourceHeaders for NativeRecord<'_> {
    fn read(&self) -> OwnedHeaders {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is alive and owns the headers. The code is librdkafka's own, not a
        // broker's.
        let found = unsafe { rd_kafka_message_headers(self.message, &mut headers) };
        if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Vec::new();
        }
        let header = |number| {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers live as long as the message. The name is a C string (librdkafka
            // does not expose its length, so a name ends at its first NUL). `value` is null, or
            // points to `size` bytes. The code is librdkafka's own.
            unsafe {
                let found =
                    rd_kafka_header_get_all(headers, number, &mut name, &mut value, &mut size);
                (found == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| {
                    let name = CStr::from_ptr(name).to_bytes();
                    (name.to_vec(), bytes(value.cast(), size).map(Vec::from))
                })
            }
        };
        (0..).map_while(header).collect()
    }
}

/// # Safety
/// Unless `start` is null, the `length` bytes there must stay unchanged for `'a`.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> Option<&'a [u8]> {
    // SAFETY: by the contract of this function.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, length) })
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;

    /// Returns the queue item of a message with this code and payload.
    fn read(code: i32, payload: Option<&'static [u8]>) -> QueueItem<'static> {
        let message = Box::leak(Box::new(MaybeUninit::<rd_kafka_message_t>::zeroed()));
        let message = NonNull::from(message).cast::<rd_kafka_message_t>();
        let raw = message.as_ptr();
        // SAFETY: the memory is leaked and never freed. Each field is written through the pointer
        // with a value of its type; the code is written as a number.
        unsafe {
            ptr::addr_of_mut!((*raw).err).cast::<i32>().write(code);
            (*raw).partition = 3;
            (*raw).offset = 17;
            (*raw).len = payload.map_or(0, <[u8]>::len);
            (*raw).payload = payload.map_or(ptr::null(), <[u8]>::as_ptr).cast_mut().cast();
        }
        // SAFETY: the message has all its fields, and lives forever.
        unsafe { queue_item(message) }
    }

    #[track_caller]
    fn error(item: QueueItem<'_>) -> ReadError {
        match item {
            QueueItem::Error(error) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_unknown_code_stays_a_number() {
        for code in [115, 999, 32_767] {
            let error = error(read(code, Some(b"Fetch from broker 1 failed")));
            assert_eq!((error.code, error.known()), (code, None));
            assert_eq!(
                error.to_string(),
                format!("partition 3 at offset 17: Fetch from broker 1 failed (error {code})")
            );
        }
    }

    #[test]
    fn a_known_code_has_its_name() {
        let error = error(read(-199, Some(b"CRC mismatch")));
        assert_eq!(error.known(), Some(RDKafkaErrorCode::BadMessage));
        assert_eq!((error.partition, error.offset), (3, 17));
        assert_eq!(error.text, "CRC mismatch");
    }

    #[test]
    fn an_error_without_a_message_is_described_by_its_code() {
        for payload in [None, Some(b"".as_slice())] {
            assert_eq!(error(read(999, payload)).text, code_text(999));
        }
    }

    #[test]
    fn records_and_partition_eofs_are_not_errors() {
        assert!(matches!(read(PARTITION_END, None), QueueItem::End(3, 17)));
        match read(NO_ERROR, Some(b"{}")) {
            QueueItem::Record(record) => assert_eq!(
                (record.partition(), record.offset(), record.payload(), record.key()),
                (3, 17, Some(b"{}".as_slice()), None)
            ),
            other => panic!("{other:?}"),
        }
    }
}
