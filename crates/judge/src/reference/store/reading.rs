//! What a store must be told about its values, which it treats as plain bytes.

/// What the owner of a store knows about its values.
pub(crate) trait Reading {
    /// Returns how many bytes of a value to keep when its entry moves. Zero removes the key.
    fn kept(&self, value: &[u8]) -> usize;

    /// Adds the hashes of the aliases of an entry.
    fn aliases(&self, key: &[u8], value: &[u8], hashes: &mut Vec<u64>);
}

impl<R: Reading> Reading for &R {
    fn kept(&self, value: &[u8]) -> usize {
        (*self).kept(value)
    }

    fn aliases(&self, key: &[u8], value: &[u8], hashes: &mut Vec<u64>) {
        (*self).aliases(key, value, hashes);
    }
}
