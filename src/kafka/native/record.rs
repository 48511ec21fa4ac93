//! What a record queue brings: records, ends of partitions, errors of partitions. All of it is
//! borrowed from librdkafka.

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
    /// This partition has nothing more to read before this offset. With `read_committed` that is
    /// its last stable offset.
    End(i32, i64),
    /// A partition could not be read; the client goes on by itself.
    Error(ReadError),
}

/// Why a partition could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReadError {
    /// The partition.
    pub partition: i32,
    /// The offset, as librdkafka reports it; negative if it has none to report.
    pub offset: i64,
    /// The error code: librdkafka's own if negative, else the broker's.
    pub code: i32,
    /// librdkafka's message. It contains nothing of a record.
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

/// Returns what a message is.
///
/// # Safety
/// The message must be librdkafka's, from a consumer, and live unchanged for `'a`.
pub(super) unsafe fn queue_item<'a>(message: NonNull<rd_kafka_message_t>) -> QueueItem<'a> {
    let message = message.as_ptr();
    // SAFETY: by the contract of this function the fields can be read. They are read through the
    // pointer, since a reference to a message whose code the enumeration does not have would be
    // undefined behavior in itself.
    let (code, partition, offset) = unsafe {
        let code = ptr::addr_of!((*message).err).cast::<i32>().read();
        (code, (*message).partition, (*message).offset)
    };
    match code {
        NO_ERROR => QueueItem::Record(NativeRecord { message, lives: PhantomData }),
        PARTITION_END => QueueItem::End(partition, offset),
        code => QueueItem::Error(ReadError {
            partition,
            offset,
            code,
            // SAFETY: as above; it is a message of an error.
            text: unsafe { error_text(message) }.unwrap_or_else(|| code_text(code)),
        }),
    }
}

/// Returns what librdkafka says of an error: an event of an error has that for its payload.
///
/// # Safety
/// The message must be librdkafka's, of an error, and alive.
unsafe fn error_text(message: *const rd_kafka_message_t) -> Option<String> {
    // SAFETY: by the contract of this function; so many bytes are at the payload.
    let text = unsafe { bytes((*message).payload.cast(), (*message).len) }?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
}

/// A record that was read, borrowed from librdkafka.
pub(crate) struct NativeRecord<'a> {
    /// A message without an error, by which a reference to it is sound.
    message: *const rd_kafka_message_t,
    lives: PhantomData<&'a rd_kafka_message_t>,
}

impl<'a> NativeRecord<'a> {
    fn message(&self) -> &'a rd_kafka_message_t {
        // SAFETY: the message lives for `'a`, nobody changes it, and its code was read and is one
        // of the enumeration's.
        unsafe { &*self.message }
    }

    /// The partition it was read from.
    pub(crate) fn partition(&self) -> i32 {
        self.message().partition
    }

    /// Its offset there.
    pub(crate) fn offset(&self) -> i64 {
        self.message().offset
    }

    /// The epoch of the leader that wrote it, if the broker told it.
    pub(crate) fn leader_epoch(&self) -> Option<i32> {
        // SAFETY: the message lives.
        known_epoch(unsafe { rd_kafka_message_leader_epoch(self.message) })
    }

    /// Its key.
    pub(crate) fn key(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: librdkafka says that so many bytes are there, for as long as the message.
        unsafe { bytes(message.key.cast(), message.key_len) }
    }

    /// Its value.
    pub(crate) fn payload(&self) -> Option<&'a [u8]> {
        let message = self.message();
        // SAFETY: as for the key.
        unsafe { bytes(message.payload.cast(), message.len) }
    }

    /// Milliseconds since 1970, if the record has a time.
    pub(crate) fn timestamp_ms(&self) -> Option<i64> {
        let mut kind = rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives. The kind is librdkafka's own: it makes it from one bit.
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

/// The client reads headers when they are asked for.
impl SourceHeaders for NativeRecord<'_> {
    fn read(&self) -> OwnedHeaders {
        let mut headers = ptr::null_mut();
        // SAFETY: the message lives; the headers are its own. The code is librdkafka's, no
        // broker's.
        let found = unsafe { rd_kafka_message_headers(self.message, &mut headers) };
        if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Vec::new();
        }
        let header = |number| {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers live as long as the message; the name is a C string (librdkafka
            // keeps its length to itself, so a name ends at its first NUL), and at the
            // value are `size` bytes, or none where it is null. The code is librdkafka'
            // s.
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
/// At `start`, unless it is null, `length` bytes must stay unchanged for `'a`.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> Option<&'a [u8]> {
    // SAFETY: by the contract of this function.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, length) })
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use super::*;

    /// What comes of a message with this code and payload.
    fn read(code: i32, payload: Option<&'static [u8]>) -> QueueItem<'static> {
        let message = Box::leak(Box::new(MaybeUninit::<rd_kafka_message_t>::zeroed()));
        let message = NonNull::from(message).cast::<rd_kafka_message_t>();
        let raw = message.as_ptr();
        // SAFETY: the memory is ours and is never freed; each field is written through the pointer
        // with a value of its type, the code but as a number.
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
    fn a_code_that_nobody_knows_stays_a_number() {
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
    fn records_and_ends_are_no_errors() {
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
