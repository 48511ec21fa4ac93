//! Names: of the trail (*origin*), of what one writer reads (*set*), of one chain of events
//! (*stream*), and of the place in the input that an event comes from (*source*). All are printable
//! ASCII without spaces and without `+`, so that they can stand in any line of any format.

mod origin;
mod set;
mod source;
mod stream;

pub use self::origin::Origin;
pub use self::set::Set;
pub use self::source::Source;
pub use self::stream::{Region, Stream, StreamName};

/// Longest name of a topic, in characters (Kafka's `Topic.validate`). A region's name is part of
/// one.
pub(crate) const TOPIC_CHARACTERS_MAX: usize = 249;
