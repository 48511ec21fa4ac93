//! The action catalogue: which upstream events are auditable actions, and the content of their
//! audit events. The catalogue is data (`catalog/*.toml`, explained in the header of
//! `bare-metal.toml`). This module refuses unusable data and looks actions up. It reads no files:
//! callers pass their text.
//!
//! `action.rs` has the types of an action. `file.rs` reads one file into rows, `forms.rs` checks
//! the form of their values, `matching.rs` has what they match, `attributes.rs` the attributes that
//! they name, and `condition.rs` the tests on those. `switches.rs` turns rows on and off, and
//! `listing.rs` is the index for looking up records. `text/names.rs` makes spellings comparable.

mod action;
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

pub use self::action::{Action, Severity, Update};
pub use self::attributes::{Attribute, Attributes, Keys};
pub use self::file::CatalogFile;
use self::listing::Index;
pub use self::listing::{Found, Listing};
pub use self::switches::Switches;
pub use crate::data_file::Problem;
pub use crate::text::names::{NAME_BYTES_MAX, normalise};

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
