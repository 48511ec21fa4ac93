//! What a table lets its store know of the versions of a key: how much of them is needed, and by
//! which other names the key is to be found.

use std::marker::PhantomData;

use super::packing::Packed;
use super::store::{Reading, StoreKey};
use crate::reference::versions::{Horizon, writing};

/// How the store is to read the versions of a key.
pub(super) struct Upkeep<V> {
    horizon: Horizon,
    values: PhantomData<fn() -> V>,
}

impl<V> Upkeep<V> {
    /// Whatever is older than the horizon is not needed.
    pub(super) const fn until(horizon: Horizon) -> Self {
        Upkeep { horizon, values: PhantomData }
    }
}

impl<V: Packed> Reading for Upkeep<V> {
    fn kept(&self, value: &[u8]) -> usize {
        writing::kept(value, self.horizon)
    }

    fn aliases(&self, key: &[u8], value: &[u8], hashes: &mut Vec<u64>) {
        if !V::HAS_ALIASES {
            return;
        }
        for name in writing::values(value).filter_map(V::alias) {
            let hash = StoreKey::alias(key, name).map(StoreKey::hash);
            // A key mostly keeps its other name from version to version.
            hashes.extend(hash.filter(|hash| hashes.last() != Some(hash)));
        }
    }
}
