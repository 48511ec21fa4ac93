//! Runs the known inputs of the fuzz targets through their functions, so that the targets keep up
//! with the code and what was once found stays found. Looking for more is `cargo fuzz`'s business;
//! see docs/fuzzing.md.

#[path = "../../fuzz/properties.rs"]
mod properties;
#[path = "../../fuzz/configuration.rs"]
mod property_of_configuration;

use std::path::Path;

use crate::sources::root;

/// Gives every file below a folder to a function; returns how many there were.
fn feed(folder: &Path, function: fn(&[u8])) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let fed = entries.map(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return feed(&path, function);
        }
        // Captured, and shown if the function fails.
        println!("{}", path.display());
        function(&std::fs::read(&path).expect("a file"));
        1
    });
    fed.sum()
}

#[track_caller]
fn hold_for(folders: &[&str], least: usize, function: fn(&[u8])) {
    let fed: usize = folders.iter().map(|folder| feed(&root().join(folder), function)).sum();
    assert!(fed >= least, "only {fed} inputs in {folders:?}");
}

#[test]
fn records() {
    hold_for(&["fuzz/corpus/record", "schemas/examples"], 100, properties::record);
}

#[test]
fn catalogues() {
    hold_for(&["fuzz/corpus/catalogue", "catalog"], 5, properties::catalogue);
}

#[test]
fn configurations() {
    hold_for(&["fuzz/corpus/configuration", "deploy"], 6, property_of_configuration::configuration);
}

#[test]
fn table_records() {
    hold_for(&["fuzz/corpus/table_record"], 9, properties::table_record);
}

#[test]
fn locations() {
    hold_for(&["fuzz/corpus/locations", "catalog"], 5, properties::locations);
}

#[test]
fn permissions() {
    hold_for(&["fuzz/corpus/permissions", "catalog"], 6, properties::permissions);
}

/// The targets are those of the functions, and each has a corpus.
#[test]
fn every_function_has_a_target_and_a_corpus() {
    let file = |name| std::fs::read_to_string(root().join("fuzz").join(name)).expect("read");
    let functions = file("properties.rs") + &file("configuration.rs");
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("read");
    let names = functions.lines().filter_map(|line| line.strip_prefix("pub fn "));
    let names: Vec<&str> = names.filter_map(|rest| rest.split('(').next()).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(root().join(format!("fuzz/fuzz_targets/{name}.rs")).is_file(), "{name}");
        assert!(root().join(format!("fuzz/corpus/{name}")).is_dir(), "{name}");
    }
}
