//! Last stage, *route*: to which of the configured regions does the event go, and does it fit? The
//! table of regions is closed; nothing from a record ever becomes part of a topic's name.

use super::Rules;
use super::audit_event::{AuditEvent, Extent};
use super::enrich::AttributedAction;
use super::event_id::event_id;
use super::fate::{Audited, Envelope, Quarantine, QuarantineReason, RegionIndex};
use super::field::Id;
use super::json::Json;

/// The regions that have an output topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    regions: Vec<String>,
}

impl Routes {
    /// A table of these regions, in this order.
    pub fn new(regions: impl IntoIterator<Item = String>) -> Self {
        Routes {
            regions: regions.into_iter().collect(),
        }
    }

    /// Where a region stands in the table, if it is there.
    pub fn find(&self, region: &str) -> Option<RegionIndex> {
        let position = self.regions.iter().position(|known| known == region)?;
        Some(RegionIndex(position))
    }

    /// The regions, each at its index.
    pub fn regions(&self) -> &[String] {
        &self.regions
    }
}

/// Routes an action and writes its event.
///
/// # Errors
/// `unrouted_region`, or `too_large` if the event exceeds the limit even without request data and with its texts cut.
pub fn route(attributed: &AttributedAction<'_>, rules: &Rules) -> Result<Audited, Quarantine> {
    let region = attributed.place.region;
    let awaits_tables = attributed.awaits_tables;
    let index = rules.routes.find(region).ok_or_else(|| {
        Quarantine::new(
            QuarantineReason::UnroutedRegion,
            format_args!("region {region} is not among the configured output regions"),
        )
        .awaiting_tables(awaits_tables)
    })?;
    let id = event_id(&attributed.user_action, &attributed.account);
    let event = AuditEvent {
        attributed,
        id,
        crns: &rules.crns,
    };
    let limit = rules.max_event_bytes;
    let mut json = Json::default();
    event.write(Extent::Whole, &mut json);
    for extent in Extent::SMALLER {
        if json.len() <= limit {
            break;
        }
        json.clear();
        event.write(extent, &mut json);
    }
    if json.len() > limit {
        return Err(Quarantine::new(
            QuarantineReason::TooLarge,
            format_args!(
                "the audit event has {} bytes without its request data and with its texts cut; the limit is {limit}",
                json.len()
            ),
        )
        .awaiting_tables(awaits_tables));
    }
    let envelope = Envelope {
        region: index,
        device: attributed.user_action.change.object.clone(),
        account: attributed.account.clone(),
        location: Id::from(attributed.place.data_center),
        id,
    };
    Ok(Audited {
        envelope,
        event: json.into_bytes(),
        awaits_tables,
    })
}
