//! What the catalogue's tests share: the shipped files, and the question the pipeline asks.

mod refused;
mod shipped;
mod switches;

use serde_json::Value;

use super::*;

fn load(switches: &Switches) -> Result<Catalog, Vec<CatalogProblem>> {
    Catalog::load(&Catalog::embedded_files(), switches)
}

fn shipped() -> Catalog {
    load(&Switches::default()).unwrap()
}

fn everything() -> Catalog {
    load(&switches(&["audit-log.*"], &[])).unwrap()
}

fn switches(enable: &[&str], disable: &[&str]) -> Switches {
    let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    Switches {
        enable: owned(enable),
        disable: owned(disable),
    }
}

/// The action of a record, as the pipeline would ask for it.
fn action<'c>(
    catalog: &'c Catalog,
    class: &str,
    key: Option<&str>,
    name: Option<&str>,
    metadata: &Value,
) -> Option<&'c str> {
    let listing = catalog.listed(class, key, name)?;
    let action = listing.choose(|attribute| metadata.get(attribute))?;
    Some(&action.name)
}

#[test]
fn severities_are_ordered() {
    assert!(Severity::Normal < Severity::Warning && Severity::Warning < Severity::Critical);
    for name in ["normal", "warning", "critical"] {
        assert_eq!(Severity::from_name(name).unwrap().as_str(), name);
    }
}
