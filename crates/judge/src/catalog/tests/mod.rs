//! Shared by the catalogue's tests: the shipped files, and look-ups like the pipeline's.

mod refused;
mod shipped;
mod switches;

use super::*;
use crate::classify::meta_data::MetaData;
use crate::json::Raw;

fn load(switches: &Switches) -> Result<Catalog, Vec<Problem>> {
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
    Switches { enable: owned(enable), disable: owned(disable) }
}

/// Returns the action of a record, as the pipeline would look it up.
fn action<'c>(
    catalog: &'c Catalog,
    class: &str,
    key: Option<&str>,
    name: Option<&str>,
    metadata: &str,
) -> Option<&'c str> {
    decide(catalog, class, key, name, metadata).expect("is decided")
}

/// Returns the action of a record, or why it cannot be determined.
fn decide<'c>(
    catalog: &'c Catalog,
    class: &str,
    key: Option<&str>,
    name: Option<&str>,
    metadata: &str,
) -> Result<Option<&'c str>, String> {
    let Some(listing) = catalog.listed(class, key, name) else {
        return Ok(None);
    };
    let meta_data = MetaData::new(Some(Raw(metadata)));
    let attributes = meta_data.attributes(listing.keys()).expect("an object");
    let action = listing.choose(&attributes)?;
    Ok(action.map(|action| action.name.as_str()))
}

#[test]
fn severities_are_ordered() {
    assert!(Severity::Normal < Severity::Warning && Severity::Warning < Severity::Critical);
    for name in ["normal", "warning", "critical"] {
        assert_eq!(Severity::from_name(name).unwrap().as_str(), name);
    }
}
