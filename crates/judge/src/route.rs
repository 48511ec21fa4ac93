//! Fourth stage, *route*: picks the configured region that receives the event. The table of regions
//! is closed; nothing from a record ever becomes part of a topic's name.

use crate::fate::{Quarantine, QuarantineReason, RegionIndex};

/// The regions that have an output topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    regions: Vec<String>,
}

impl Routes {
    /// Creates a table of these regions, in this order.
    pub fn new(regions: impl IntoIterator<Item = String>) -> Self {
        Routes { regions: regions.into_iter().collect() }
    }

    /// Routes an event of a region.
    ///
    /// # Errors
    /// `unrouted_region` if the region has no output topic.
    pub(crate) fn route(&self, region: &str) -> Result<RegionIndex, Quarantine> {
        let position = self.regions.iter().position(|known| known == region);
        position.map(RegionIndex).ok_or_else(|| {
            Quarantine::new(
                QuarantineReason::UnroutedRegion,
                format_args!("region {region} is not among the configured output regions"),
            )
        })
    }

    /// Returns the regions, each at its index.
    pub fn regions(&self) -> &[String] {
        &self.regions
    }
}
