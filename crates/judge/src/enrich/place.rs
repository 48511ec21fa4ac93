//! Determines where it happened: from the record, else from the device table, else, for a new
//! object, from the metadata.

use std::fmt;

use super::device::FoundDevice;
use super::lookup::Lookup;
use crate::catalog::Attribute;
use crate::fate::{Quarantine, QuarantineReason};
use crate::regions::Place;

impl<'a> Lookup<'_, 'a> {
    #[inline]
    pub(super) fn place(&self, device: FoundDevice<'a>) -> Result<Place<'a>, Quarantine> {
        let change = &self.action.change;
        let data_center = match (change.data_center.as_deref(), device) {
            (Some(data_center), _) => data_center,
            (None, FoundDevice::Known(entry)) => entry.data_center.ok_or_else(|| {
                let id = &change.object;
                unknown(&format_args!("device {id} has no data center in the device table"))
            })?,
            // The table's entry takes precedence, even if it cannot be read or used.
            (None, FoundDevice::Unreadable(_) | FoundDevice::Foreign) => {
                return Err(self.unknown_device("datacenter", device));
            }
            (None, FoundDevice::Unknown) => self
                .place_of_new_object()?
                .ok_or_else(|| self.unknown_device("datacenter", device))?,
        };
        let place = self.rules.locations.locate(data_center, change.time);
        place.ok_or_else(|| {
            unknown(&format_args!(
                "data center {data_center:?} is not in the location table at {}",
                change.time
            ))
        })
    }

    /// Returns the data center that the metadata names for an object that the action created. The
    /// tables may be older than the object.
    fn place_of_new_object(&self) -> Result<Option<&str>, Quarantine> {
        let key = self.action.action.place.as_deref();
        let stated = key.and_then(|key| Some((key, self.action.attributes.get(key)?)));
        match stated {
            None => Ok(None),
            Some((_, Attribute::Plain { text, .. })) => Ok(Some(text)),
            Some((key, Attribute::Nested)) => Err(unknown(&format_args!(
                "datacenter is missing, and {key} in metaData is a list or an object: write a data center's name"
            ))),
        }
    }
}

fn unknown(detail: &dyn fmt::Display) -> Quarantine {
    Quarantine::new(QuarantineReason::UnknownLocation, detail)
}
