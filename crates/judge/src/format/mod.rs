//! Last stage, *format*: writes the event with its id, within the size limit.

mod activity_tracker;
mod address;
mod event_id;
mod request_data;

use crate::enrich::AttributedAction;
use crate::fate::{Audited, Envelope, Quarantine, QuarantineReason, RegionIndex};
use crate::json::write::Json;
use crate::parse::field::Id;
use crate::rules::Rules;

use activity_tracker::{AuditEvent, Extent};
use event_id::event_id;

/// Writes the event of an action for a region.
///
/// # Errors
/// `too_large` if the event exceeds the limit even without request data and with its texts cut.
pub(crate) fn format(
    attributed: &AttributedAction<'_>,
    region: RegionIndex,
    rules: &Rules,
) -> Result<Audited, Quarantine> {
    let id = event_id(&attributed.user_action, &attributed.account);
    let event = AuditEvent { attributed, id, crns: &rules.crns };
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
        ));
    }
    let envelope = Envelope {
        region,
        device: attributed.user_action.change.object.clone(),
        account: attributed.account.clone(),
        location: Id::from(attributed.place.data_center),
        id,
    };
    Ok(Audited { envelope, event: json.into_bytes(), awaits_tables: attributed.awaits_tables })
}
