//! An action of the catalogue: what one row says about it, and how severe it is.

use crate::reference::DeviceKind;
use crate::text::names::normalise;

/// How much an audit event matters. Ordered, so that `max` picks the highest of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Normal,
    Warning,
    Critical,
}

impl Severity {
    /// Returns the published name: `normal`, `warning`, `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Returns the severity with exactly this published name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Normal, Self::Warning, Self::Critical];
        all.into_iter().find(|severity| severity.as_str() == name)
    }
}

/// One auditable action: a row of the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// `service.object.verb`, e.g. `audit-log.bare-metal-port.disable`.
    pub name: String,
    /// The name up to its first dot; the CRN's service.
    pub service: String,
    /// The name between its dots.
    pub object: String,
    /// The name after its second dot.
    pub verb: String,
    /// The file of the row, e.g. `bare-metal`.
    pub family: String,
    /// The beginning of the event's message, e.g. `Bare Metal Servers (Classic)`.
    pub display_name: String,
    /// The CRN's resource type, e.g. `bare-metal`.
    pub resource_type: String,
    /// `target.typeURI`, e.g. `audit-log/bare-metal/port`.
    pub target_type: String,
    /// The kind of device of the object; see [`Action::device_kind`].
    pub device_kind: Option<DeviceKind>,
    /// Those of the classes whose objects are not devices, despite `device_kind`.
    pub deviceless_classes: Vec<String>,
    /// The severity of a success. Failures and reason codes can only raise it.
    pub severity: Severity,
    /// The classic permission that allows the action, if known.
    pub permission: Option<String>,
    /// Whether the action creates the object, so that no list of devices can contain it yet.
    pub creates: bool,
    /// The metadata key with the data center of a new object, for objects that no table lists yet.
    pub place: Option<String>,
    /// Metadata keys that may be copied into `requestData`, in the order in which they are
    /// written.
    pub request_data: Vec<String>,
    /// Metadata keys that may be copied into `responseData`, in the order in which they are
    /// written.
    pub response_data: Vec<String>,
    /// Set if the action changes one value to another.
    pub update: Option<Update>,
    /// Whether the action is audited, after the configuration's switches.
    pub enabled: bool,
    /// Upstream classes, as written in the file.
    pub classes: Vec<String>,
    /// Upstream event names and keys that can mean the action, as written in the file, including
    /// those with conditions.
    pub events: Vec<String>,
}

impl Action {
    /// Returns the kind of device of a class, in the device table and in principals' device lists.
    /// `None` if its objects are not devices; their ids are then not looked up.
    pub fn device_kind(&self, class: &str) -> Option<DeviceKind> {
        let mut others = self.deviceless_classes.iter();
        let is_other = others.any(|other| normalise(other) == normalise(class));
        self.device_kind.filter(|_| !is_other)
    }

    /// Iterates over the metadata attributes that it copies, writes as the values of a change, or
    /// locates its object by.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        let copied = self.request_data.iter().chain(&self.response_data);
        let update = self.update.iter();
        let changed = update.flat_map(|update| [&update.initial_key, &update.new_key]);
        let read = copied.chain(changed).chain(&self.place);
        read.map(String::as_str)
    }
}

/// The metadata keys of the values before and after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// `updateType`, e.g. `Name changed`.
    pub update_type: String,
    /// The metadata key whose value becomes `initialValue`.
    pub initial_key: String,
    /// The metadata key whose value becomes `newValue`.
    pub new_key: String,
}
