//! Checks the known inputs of the fuzz targets, so that the targets compile with the code and fixed
//! findings stay fixed. `cargo fuzz` searches for new ones; see docs/fuzzing.md.
//! `WRITE_INPUTS=folder cargo test -p audit-judge corpus` writes the records of all cases to a
//! folder, one file each, as seeds for the fuzzer.

use std::path::Path;

use audit_cases::{cases, properties, read, root};

/// Calls a function with every file below a folder. Returns the number of files.
fn feed(folder: &Path, function: fn(&[u8])) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let fed = entries.map(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return feed(&path, function);
        }
        // The test harness shows this only on failure.
        println!("{}", path.display());
        function(&std::fs::read(&path).expect("a file"));
        1
    });
    fed.sum()
}

#[track_caller]
fn check_inputs(folders: &[&str], least: usize, function: fn(&[u8])) {
    let fed: usize = folders.iter().map(|folder| feed(&root().join(folder), function)).sum();
    assert!(fed >= least, "only {fed} inputs in {folders:?}");
}

#[test]
fn records() {
    check_inputs(&["fuzz/corpus/record", "schemas/examples"], 70, properties::record);
    for case in cases() {
        println!("{}", case.name);
        let outcome = case.outcome.to_string();
        let texts = [&outcome, &case.principals, &case.devices].map(String::as_bytes);
        for bytes in texts.into_iter().chain([case.input.as_slice()]) {
            properties::record(bytes);
        }
    }
}

#[test]
fn records_of_all_cases_can_be_written() {
    let own = tempfile::tempdir().expect("a folder");
    let folder = match std::env::var_os("WRITE_INPUTS") {
        // Relative to the repository: cargo runs tests in the folder of their package.
        Some(folder) => root().join(folder),
        None => own.path().to_owned(),
    };
    std::fs::create_dir_all(&folder).expect("a folder");
    for case in cases() {
        std::fs::write(folder.join(&case.name), &case.input).expect("written");
    }
    assert_eq!(feed(&folder, properties::record), cases().len());
}

#[test]
fn catalogues() {
    check_inputs(&["fuzz/corpus/catalogue", "catalog"], 5, properties::catalogue);
}

#[test]
fn table_records() {
    check_inputs(&["fuzz/corpus/table_record"], 9, properties::table_record);
}

#[test]
fn locations() {
    check_inputs(&["fuzz/corpus/locations", "catalog"], 5, properties::locations);
}

#[test]
fn permissions() {
    check_inputs(&["fuzz/corpus/permissions", "catalog"], 6, properties::permissions);
}

/// Each property function has a fuzz target and a corpus.
#[test]
fn every_property_has_a_target_and_a_corpus() {
    let functions = read("crates/cases/src/properties.rs");
    let manifest = read("fuzz/Cargo.toml");
    let names = functions.lines().filter_map(|line| line.strip_prefix("pub fn "));
    let names: Vec<&str> = names.filter_map(|rest| rest.split('(').next()).collect();
    assert_eq!(names.len(), 6, "{names:?}");
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        assert!(root().join(format!("fuzz/fuzz_targets/{name}.rs")).is_file(), "{name}");
        assert!(root().join(format!("fuzz/corpus/{name}")).is_dir(), "{name}");
    }
}
