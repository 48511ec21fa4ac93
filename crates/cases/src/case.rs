//! A case: a record, the settings and tables that judge it, and its expected outcome. It comes from
//! a folder of `schemas/examples` or from a table; tests treat both alike.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use serde_json::Value;

use crate::setup::Setup;
use crate::{examples, tables};

/// A parsed case.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    /// The purpose of the case.
    pub why: String,
    /// The exact value of the record.
    pub input: Vec<u8>,
    /// The expected outcome, in the format of `outcome.json`.
    pub outcome: Value,
    /// The settings that differ from the defaults.
    pub settings: toml::Table,
    /// The permissions file, if not the shipped one.
    pub permissions: Option<String>,
    /// The principals, one per line.
    pub principals: String,
    /// The devices, one per line.
    pub devices: String,
    /// The folder of an example.
    pub folder: Option<PathBuf>,
    /// The case from which a table row differs, if named.
    pub base: Option<String>,
}

impl Case {
    /// Returns the case from which a table row differs.
    pub fn base(&self) -> &'static Case {
        case(self.base.as_deref().unwrap_or(tables::BASE))
    }

    /// Returns whether the case is an example for producers.
    pub fn is_example(&self) -> bool {
        self.folder.is_some()
    }

    /// Returns the rules and tables of the case.
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

/// Returns all cases, sorted by name.
pub fn cases() -> &'static [Case] {
    &CASES
}

/// Returns the case with this name.
pub fn case(name: &str) -> &'static Case {
    let found = cases().iter().find(|case| case.name == name);
    found.unwrap_or_else(|| panic!("no case {name}"))
}
