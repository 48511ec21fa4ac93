//! A case: a record, what it is judged by, and what must become of it. Where it is written, in a
//! folder of `schemas/examples` or in a table, makes no difference to those who judge it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;

use crate::setup::Setup;
use crate::{examples, tables};

/// A case, read.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    /// Why there is this case.
    pub why: String,
    /// The value of the record, byte by byte.
    pub input: Vec<u8>,
    /// What must become of it, in the words of `outcome.json`.
    pub outcome: Value,
    /// What differs from the default settings.
    pub settings: toml::Table,
    /// A file of permissions, if not the shipped one.
    pub permissions: Option<String>,
    /// The principals, one a line.
    pub principals: String,
    /// The devices, one a line.
    pub devices: String,
    /// The folder of an example.
    pub folder: Option<PathBuf>,
    /// By the difference from which case a table tells it.
    pub base: Option<String>,
}

impl Case {
    /// The case from which a table tells the difference.
    pub fn base(&self) -> &'static Case {
        case(self.base.as_deref().unwrap_or(tables::BASE))
    }

    /// Whether it is an example, for people who write state changes.
    pub fn is_example(&self) -> bool {
        self.folder.is_some()
    }

    /// The rules and tables of the case.
    pub fn setup(&self) -> Setup {
        let settings = toml::to_string(&self.settings).expect("settings are TOML");
        let permissions = self.permissions.as_deref();
        Setup::of(&settings, permissions, &self.principals, &self.devices)
            .unwrap_or_else(|problem| panic!("{}: {problem}", self.name))
    }
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let examples = examples::read();
    assert!(examples.len() >= 30, "only {} examples", examples.len());
    let by_name = |case: Case| (case.name.clone(), case);
    let mut all: BTreeMap<String, Case> = examples.into_iter().map(by_name).collect();
    tables::read_into(&mut all);
    assert!(all.len() >= 286, "only {} cases", all.len());
    all.into_values().collect()
});

/// All cases, sorted by name.
pub fn cases() -> &'static [Case] {
    &CASES
}

/// The case of this name.
pub fn case(name: &str) -> &'static Case {
    let found = cases().iter().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("no case {name}"))
}
