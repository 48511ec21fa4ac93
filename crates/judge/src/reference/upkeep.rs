//! Tells a table's store about the versions of a key: how much of them is still needed, and the
//! aliases of the key.

use std::marker::PhantomData;

use super::packing::Packed;
use super::store::{Reading, StoreKey};
use crate::reference::versions::{Horizon, writing};

/// How the store reads the versions of a key.
pub(super) struct Upkeep<V> {
    horizon: Horizon,
    values: PhantomData<fn() -> V>,
}

impl<V> Upkeep<V> {
    /// Drops what is older than the horizon.
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
            // A key usually keeps its alias from version to version.
            hashes.extend(hash.filter(|hash| hashes.last() != Some(hash)));
        }
    }
}
