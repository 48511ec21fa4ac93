//! The action catalogue: which upstream events are auditable actions, and the content of their
//! audit events. The catalogue is data (`catalog/*.toml`, explained in the header of
//! `bare-metal.toml`). This module has its types, refuses unusable data, and looks actions up. It
//! reads no files: callers pass their text.
//!
//! `file.rs` reads one file into rows, `forms.rs` checks the form of their values, `matching.rs`
//! has what they match, `attributes.rs` the attributes that they name, and `condition.rs` the tests
//! on those. `switches.rs` turns rows on and off, `listing.rs` is the index for looking up records,
//! and `names.rs` makes spellings comparable.

mod attributes;
mod condition;
mod file;
mod forms;
mod listing;
mod matching;
mod switches;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::attributes::{Attribute, Attributes, Keys};
use self::listing::Index;
pub use self::listing::{Found, Listing};
pub use self::switches::Switches;
pub use crate::data_file::Problem;
use crate::reference::DeviceKind;
pub use crate::text::names::{NAME_BYTES_MAX, normalise};

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
    fn attributes(&self) -> impl Iterator<Item = &str> {
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

/// One catalogue file: its name in messages, and its text.
#[derive(Debug, Clone, Copy)]
pub struct CatalogFile<'t> {
    pub name: &'t str,
    pub text: &'t str,
}

/// All known actions, and the index that records are looked up in.
#[derive(Debug)]
pub struct Catalog {
    actions: Vec<Arc<Action>>,
    index: Index,
}

impl Catalog {
    /// Returns the catalogue shipped with the program.
    pub fn embedded_files() -> [CatalogFile<'static>; 3] {
        [
            CatalogFile {
                name: "catalog/bare-metal.toml",
                text: include_str!("../../../../catalog/bare-metal.toml"),
            },
            CatalogFile {
                name: "catalog/virtual-server.toml",
                text: include_str!("../../../../catalog/virtual-server.toml"),
            },
            CatalogFile {
                name: "catalog/user.toml",
                text: include_str!("../../../../catalog/user.toml"),
            },
        ]
    }

    /// Reads the files and applies the switches.
    ///
    /// # Errors
    ///
    /// All problems at once: invalid TOML, unknown keys, values that are missing or out of range, a
    /// duplicate name, a condition that can never hold, two rows (enabled or not) that could match
    /// the same record, switches that match nothing or contradict each other, and a catalogue
    /// without any enabled action.
    pub fn load(files: &[CatalogFile<'_>], switches: &Switches) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut rows = Vec::new();
        for file in files {
            file::read(file, &mut rows, &mut problems);
        }
        file::refuse_repeated_names(&mut rows, &mut problems);
        problems.extend(listing::ambiguities(&rows));
        problems.extend(switches::apply(&mut rows, switches));
        if problems.is_empty() && !rows.iter().any(|row| row.action.enabled) {
            let message =
                "no action is enabled, so nothing would be audited: enable some by catalog.enable";
            problems.push(Problem {
                file: "catalog".to_owned(),
                row: None,
                message: message.to_owned(),
            });
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let actions: Vec<_> = rows.iter().map(|row| Arc::new(row.action.clone())).collect();
        let index = Index::build(&rows, &actions);
        Ok(Self { actions, index })
    }

    /// Returns the enabled actions that a record can mean, by its class and its event key or, if
    /// the catalogue does not know the key, its event name. Spelling does not matter, see
    /// [`normalise`].
    ///
    /// A known key decides even if its rows are disabled: the name is then only the key's display
    /// text.
    pub fn find(
        &self,
        class: &str,
        event_key: Option<&str>,
        event_name: Option<&str>,
    ) -> Found<'_> {
        self.index.find(class, event_key, event_name)
    }

    /// Returns what [`find`](Self::find) lists, if anything.
    pub fn listed(
        &self,
        class: &str,
        event_key: Option<&str>,
        event_name: Option<&str>,
    ) -> Option<&Listing> {
        match self.find(class, event_key, event_name) {
            Found::Listed(listing) => Some(listing),
            Found::UnknownName | Found::Nothing => None,
        }
    }

    /// Iterates over every action, enabled or not, in the order of the files.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.actions.iter().map(AsRef::as_ref)
    }
}
