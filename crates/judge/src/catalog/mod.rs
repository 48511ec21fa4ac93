//! The action catalogue: which upstream events are auditable actions, and what their audit events
//! say. The catalogue is data (`catalog/*.toml`, explained at the head of `bare-metal.toml`); here
//! are its types, the refusal of data that could not be judged by, and the look-up. It reads no
//! files: texts come in.
//!
//! `file.rs` reads one file into rows, `forms.rs` says how their words must look, `matching.rs`
//! what they match, `attributes.rs` knows what they name, `condition.rs` decides by it,
//! `switches.rs` turns rows on and off, `listing.rs` is the index that each record is looked up in,
//! `names.rs` makes spellings comparable.

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

/// How much an audit event matters; ordered, so that the highest of several wins by `max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Normal,
    Warning,
    Critical,
}

impl Severity {
    /// As published: `normal`, `warning`, `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// The severity with this published name, which is matched exactly.
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
    /// Which file the row stands in, e.g. `bare-metal`.
    pub family: String,
    /// What the event's message begins with, e.g. `Bare Metal Servers (Classic)`.
    pub display_name: String,
    /// The CRN's resource type, e.g. `bare-metal`.
    pub resource_type: String,
    /// `target.typeURI`, e.g. `audit-log/bare-metal/port`.
    pub target_type: String,
    /// Which kind of device the object is; see [`Action::device_kind`].
    pub device_kind: Option<DeviceKind>,
    /// Those of the classes whose objects are no devices all the same.
    pub deviceless_classes: Vec<String>,
    /// Of a success; failures and reason codes can only raise it.
    pub severity: Severity,
    /// The classic permission that allows the action, where one is known.
    pub permission: Option<String>,
    /// Whether the object comes into being by the action, so that no list of devices can hold it
    /// before.
    pub creates: bool,
    /// The metadata key that says in which data center the object came into being, for objects
    /// that no table knows yet.
    pub place: Option<String>,
    /// Metadata keys that may be copied into `requestData`, in the order in which they are
    /// written.
    pub request_data: Vec<String>,
    /// Metadata keys that may be copied into `responseData`, in the order in which they are
    /// written.
    pub response_data: Vec<String>,
    /// Set when the action changes one value from something to something.
    pub update: Option<Update>,
    /// After the configuration's switches.
    pub enabled: bool,
    /// Upstream classes, as written in the file.
    pub classes: Vec<String>,
    /// Upstream event names and keys that can mean the action, as written in the file, those with
    /// conditions included.
    pub events: Vec<String>,
}

impl Action {
    /// Which kind of device an object of a class is, in the device table and in principals' lists
    /// of devices; nothing if it is none, so that its id is looked up nowhere.
    pub fn device_kind(&self, class: &str) -> Option<DeviceKind> {
        let mut others = self.deviceless_classes.iter();
        let is_other = others.any(|other| normalise(other) == normalise(class));
        self.device_kind.filter(|_| !is_other)
    }

    /// The attributes of metadata that it copies, writes as the values of a change or locates its
    /// object by.
    fn attributes(&self) -> impl Iterator<Item = &str> {
        let copied = self.request_data.iter().chain(&self.response_data);
        let update = self.update.iter();
        let changed = update.flat_map(|update| [&update.initial_key, &update.new_key]);
        let read = copied.chain(changed).chain(&self.place);
        read.map(String::as_str)
    }
}

/// Where the values before and after a change stand in the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// `updateType`, e.g. `Name changed`.
    pub update_type: String,
    /// The metadata key whose value becomes `initialValue`.
    pub initial_key: String,
    /// The metadata key whose value becomes `newValue`.
    pub new_key: String,
}

/// One catalogue file: what to call it in messages, and its text.
#[derive(Debug, Clone, Copy)]
pub struct CatalogFile<'t> {
    pub name: &'t str,
    pub text: &'t str,
}

/// All known actions, and the index in which records are looked up.
#[derive(Debug)]
pub struct Catalog {
    actions: Vec<Arc<Action>>,
    index: Index,
}

impl Catalog {
    /// The catalogue shipped with the program.
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
    /// All problems at once: TOML that is not valid, unknown keys, values that are missing or out
    /// of range, a name given twice, a condition that can never hold, two rows (enabled or not)
    /// that could match the same record, switches that match nothing or contradict each other,
    /// and a catalogue without any enabled action.
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

    /// The enabled actions that a record can mean, by its class and its event key or, when the
    /// catalogue does not know the key, its event name. Spellings do not count, see
    /// [`normalise`].
    ///
    /// A key that is known decides even when its rows are disabled: the name is then only the key's
    /// display text.
    pub fn find(
        &self,
        class: &str,
        event_key: Option<&str>,
        event_name: Option<&str>,
    ) -> Found<'_> {
        self.index.find(class, event_key, event_name)
    }

    /// What [`find`](Self::find) lists, if it lists anything.
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

    /// Every action, enabled or not, in the order of the files.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.actions.iter().map(AsRef::as_ref)
    }
}
