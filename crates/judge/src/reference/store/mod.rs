//! A map from keys to packed values, with one writer and many readers. Readers use snapshots, which
//! later changes do not affect. It treats values as plain bytes.
//!
//! Values are appended to a log, and an index holds the place of each key's newest value (`log`,
//! `slots`). A snapshot shares both, and the writer never changes what a snapshot shares. It
//! continues in the index and the last log segment that the snapshot before shared, once no reader
//! holds that snapshot, and first applies the few words that changed since. A change therefore
//! usually copies no more than itself, and a look-up waits for memory twice: for the slot and for
//! the entry.
//!
//! An entry may have aliases besides its key, and several entries can share one. A second index
//! leads from aliases to keys (`aliases`); it holds only the aliases of the current values.

mod aliases;
mod index;
mod key;
mod log;
mod reading;
mod slots;
mod snapshot;
#[cfg(test)]
mod tests;
mod writer;

pub use key::StoreKey;
pub(super) use reading::Reading;
pub(super) use snapshot::Store;
pub(super) use writer::StoreWriter;
pub use writer::TableFull;
