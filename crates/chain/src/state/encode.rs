//! Writes a state.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{
    HEAD_BYTES, MAX_CHARACTERS, MetadataKey, NEXT_KEY_ANNOUNCED, PREFIX, SIZE_MAX, State,
    TAG_BYTES, VERSION, hashes,
};
use crate::name::{Origin, Set};

/// A state that cannot be committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The text would be longer than [`MAX_CHARACTERS`].
    #[error(
        "the state of {given} streams is longer than {MAX_CHARACTERS} characters: {fitting} of them fit"
    )]
    TooManyStreams {
        /// How many streams the state has.
        given: usize,
        /// How many of them fit, counted in their order.
        fitting: usize,
    },
    /// A stream's size is 0 or above 2^48 - 1.
    #[error("the size of the stream {0} is not from 1 to 281474976710655")]
    Size(String),
}

impl State {
    /// Returns the text for a set of a trail, tagged with a key.
    ///
    /// # Errors
    ///
    /// If it would be too long, or a stream's size is out of range.
    pub fn encode(
        &self,
        origin: &Origin,
        set: &Set,
        key: &MetadataKey,
    ) -> Result<String, EncodeError> {
        let streams = self.streams()?;
        let mut bytes = vec![VERSION, u8::from(self.next_key_announced) * NEXT_KEY_ANNOUNCED];
        bytes.extend(hashes(origin, set).as_flattened());
        for number in [set.epoch(), self.next_offset, self.next_seal] {
            bytes.extend(number.get().to_be_bytes());
        }
        bytes.extend(self.last_seal.as_bytes());
        bytes.extend(self.sealed_at.epoch_ms().to_be_bytes());
        bytes.extend(key.id().0);
        // The limit of characters is far below that of the count.
        bytes.extend((self.streams.len() as u16).to_be_bytes());
        bytes.extend(streams);
        bytes.extend(key.tag(&bytes));
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn streams(&self) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::new();
        let mut fitting = 0;
        for (name, chain) in &self.streams {
            let size = chain.size.get();
            if !(1..=SIZE_MAX).contains(&size) {
                return Err(EncodeError::Size(name.to_string()));
            }
            let name = name.as_str();
            // Names have at most 249 characters.
            bytes.push(name.len() as u8);
            bytes.extend(name.as_bytes());
            let [_, _, size @ ..] = size.to_be_bytes();
            bytes.extend(size);
            bytes.extend(chain.head.as_bytes());
            fitting += usize::from(characters(bytes.len()) <= MAX_CHARACTERS);
        }
        let given = self.streams.len();
        if fitting < given {
            return Err(EncodeError::TooManyStreams { given, fitting });
        }
        Ok(bytes)
    }
}

/// Returns the length of the text of a state with so many bytes of streams.
fn characters(streams: usize) -> usize {
    let bytes = HEAD_BYTES + streams + TAG_BYTES;
    PREFIX.len() + (bytes * 4).div_ceil(3)
}
