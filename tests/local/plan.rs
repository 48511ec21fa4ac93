//! The structure of the code: the allowed dependencies between folders, and what each folder must
//! not use. Parses the code and ignores its unit tests.

use std::collections::{BTreeMap, BTreeSet};

use audit_cases::root;
use syn::visit::{self, Visit};
use syn::{ItemMod, ItemUse, UseTree};

use crate::sources::{Source, sources};

/// The dependencies of each folder, by name.
type Dependencies = BTreeMap<String, BTreeSet<String>>;

/// The paths that a file names, segment by segment.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl Paths {
    fn of(text: &str) -> Self {
        let mut paths = Paths::default();
        paths.visit_file(&syn::parse_file(text).expect("Rust"));
        paths
    }

    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) => self.0.push(with(&name.ident)),
            UseTree::Rename(name) => self.0.push(with(&name.ident)),
            UseTree::Glob(_) => self.0.push(before.to_vec()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(before, tree);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|it| it.ident.to_string());
        self.0.push(segments.collect());
        visit::visit_path(self, path);
    }

    /// Macro arguments are not parsed: paths are extracted from their tokens as text.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let tokens = call.tokens.to_string().replace(" :: ", "::");
        let is_outside = |c: char| !c.is_alphanumeric() && c != '_' && c != ':';
        let paths = tokens.split(is_outside).filter(|path| !path.is_empty());
        let segments = paths.map(|path| path.split("::").map(str::to_owned).collect());
        self.0.extend(segments);
        visit::visit_macro(self, call);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let is_test = module.attrs.iter().any(|it| it.path().is_ident("cfg"));
        if !is_test {
            visit::visit_item_mod(self, module);
        }
    }
}

/// Returns the modules from the root of a crate to one of its files.
fn module<'p>(path: &'p str, source: &str) -> Vec<&'p str> {
    let inside = path[source.len()..].trim_start_matches('/');
    let inside = inside.trim_end_matches(".rs").trim_end_matches("/mod");
    inside.split('/').collect()
}

/// Returns the top-level folder that a path leads to from a module at this depth.
fn folder(path: &[String], depth: usize) -> Option<&String> {
    let parents = path.iter().take_while(|word| *word == "super").count();
    match path.first()?.as_str() {
        "crate" => path.get(1),
        "super" if parents == depth => path.get(parents),
        _ => None,
    }
}

fn dependencies(source: &str) -> Dependencies {
    let mut dependencies = Dependencies::new();
    for file in sources(source).iter().filter(|file| !file.is_test()) {
        let module = module(&file.path, source);
        let Paths(paths) = Paths::of(&file.text);
        let named = paths.iter().filter_map(|path| folder(path, module.len()));
        dependencies.entry(module[0].to_owned()).or_default().extend(named.cloned());
    }
    dependencies
}

/// Returns a cycle of folders that depend on each other, if there is one.
fn find_cycle(dependencies: &Dependencies) -> Option<Vec<String>> {
    fn walk(
        dependencies: &Dependencies,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        let last = path.last().expect("never empty").clone();
        for next in dependencies.get(&last).into_iter().flatten() {
            if *next == last || done.contains(next) {
                continue;
            }
            let is_cycle = path.contains(next);
            path.push(next.clone());
            if is_cycle || walk(dependencies, path, done) {
                return true;
            }
            path.pop();
        }
        done.insert(last);
        false
    }
    let mut done = BTreeSet::new();
    dependencies.keys().find_map(|start| {
        let mut path = vec![start.clone()];
        walk(dependencies, &mut path, &mut done).then_some(path)
    })
}

#[test]
fn folders_have_no_circular_dependencies() {
    // Each with a known dependency, to check that dependencies are found at all.
    for (source, from, to) in
        [("src", "kafka", "stream"), ("crates/judge/src", "enrich", "reference")]
    {
        let dependencies = dependencies(source);
        assert!(dependencies[from].contains(to), "{source}: {dependencies:?}");
        assert_eq!(find_cycle(&dependencies), None, "{source}");
    }
}

/// A re-export from `mod.rs` counts as a dependency on `mod.rs`, which depends on every file.
#[test]
fn configuration_files_have_no_circular_dependencies() {
    let files = sources("src/config");
    let mut dependencies = Dependencies::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        let module = module(&file.path, "src/config")[0];
        let Paths(paths) = Paths::of(&file.text);
        let beside = paths.iter().filter(|path| path[0] == "super").filter_map(|path| path.get(1));
        let beside = beside.map(|name| match name.chars().all(|c| c == '_' || c.is_lowercase()) {
            true => name.clone(),
            false => "mod".to_owned(),
        });
        dependencies.entry("mod".to_owned()).or_default().insert(module.to_owned());
        dependencies.entry(module.to_owned()).or_default().extend(beside);
    }
    assert!(dependencies["settings"].contains("kind"), "{dependencies:?}");
    assert_eq!(find_cycle(&dependencies), None);
}

#[test]
fn a_cycle_is_found() {
    let dependencies = |pairs: &[(&str, &str)]| {
        let mut dependencies = Dependencies::new();
        for (from, to) in pairs {
            let from = dependencies.entry((*from).to_owned()).or_default();
            from.insert((*to).to_owned());
        }
        dependencies
    };
    let none = dependencies(&[("a", "b"), ("a", "c"), ("b", "c"), ("c", "c")]);
    assert_eq!(find_cycle(&none), None);
    let path = find_cycle(&dependencies(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]));
    let path = path.expect("a cycle");
    assert_eq!(path.last(), Some(&String::from("b")), "{path:?}");
}

#[test]
fn stream_depends_on_no_other_folder() {
    let dependencies = dependencies("src");
    assert_eq!(
        dependencies["stream"].iter().filter(|to| *to != "stream").collect::<Vec<_>>(),
        [""; 0]
    );
}

/// Returns the files of a folder that use a forbidden path: consecutive segments of a path.
fn violations(source: &str, files: impl Fn(&str) -> bool, forbidden: &[&str]) -> Vec<String> {
    let is_meant = |file: &Source| !file.is_test() && files(&file.path);
    violations_in(sources(source).into_iter().filter(is_meant), forbidden)
}

fn violations_in(files: impl Iterator<Item = Source>, forbidden: &[&str]) -> Vec<String> {
    let mut violations = Vec::new();
    for file in files {
        for path in Paths::of(&file.text).0 {
            let path = format!("::{}::", path.join("::"));
            let is_named = |name: &&&str| path.contains(&format!("::{name}::"));
            if let Some(name) = forbidden.iter().find(is_named) {
                violations.push(format!("{} names {name}", file.path));
            }
        }
    }
    violations
}

/// A ledger cannot judge code that it shares with the relay. The manifest ensures that the testkit
/// does not use it.
#[test]
fn ledgers_share_no_code_with_the_relay() {
    for folder in ["tests/broker/ledger", "tests/campaign", "crates/testkit/src"] {
        let found = |names: &[&str]| violations_in(sources(folder).into_iter(), names);
        assert!(!found(&["std"]).is_empty(), "{folder}");
        assert_eq!(found(&["audit_relay", "audit_judge", "audit_cases"]), [""; 0], "{folder}");
    }
    let manifest = root().join("crates/testkit/Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).expect("the testkit's manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let dependencies = manifest["dependencies"].as_table().expect("dependencies");
    let ours: Vec<&String> =
        dependencies.keys().filter(|name| name.starts_with("audit-")).collect();
    assert!(!dependencies.is_empty() && ours.is_empty(), "{ours:?}");
}

#[test]
fn only_the_kafka_folder_uses_the_kafka_client() {
    let is_edge = |path: &str| path.starts_with("src/kafka/");
    assert!(!violations("src", is_edge, &["rdkafka"]).is_empty());
    assert_eq!(violations("src", |path| !is_edge(path), &["rdkafka"]), [""; 0]);
}

/// Names that access anything other than a function's arguments.
const OUTSIDE: [&str; 12] = [
    "fs",
    "env",
    "std::io",
    "std::process",
    "thread",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "Instant",
    "SystemTime",
    "new_v4",
    "now_v7",
];

#[test]
fn the_core_and_the_formats_depend_only_on_their_arguments() {
    for pure in ["crates/judge/src", "crates/chain/src"] {
        assert!(!violations(pure, |_| true, &["std"]).is_empty());
        assert_eq!(violations(pure, |_| true, &OUTSIDE), [""; 0]);
    }
}

/// What grows with a trail lies in a temporary file, whose errors the verifier passes on.
#[test]
fn the_verifier_touches_nothing_but_its_temporary_file() {
    let verifier = "crates/verify/src";
    let others = |path: &str| !path.ends_with("/spill.rs");
    let io = ["fs", "std::io"];
    assert!(!violations(verifier, |_| true, &io).is_empty());
    assert_eq!(violations(verifier, others, &["fs"]), [""; 0]);
    let outside: Vec<&str> = OUTSIDE.into_iter().filter(|name| !io.contains(name)).collect();
    assert_eq!(violations(verifier, |_| true, &outside), [""; 0]);
}

#[test]
fn stream_does_no_io() {
    let is_loop = |path: &str| path.starts_with("src/stream/");
    assert!(!violations("src", is_loop, &["std"]).is_empty());
    assert_eq!(violations("src", is_loop, &OUTSIDE), [""; 0]);
    let others = ["std::net", "tokio", "prometheus", "axum", "jiff"];
    assert_eq!(violations("src", is_loop, &others), [""; 0]);
}

/// The simulation runs it as it is.
#[test]
fn the_protocol_of_replays_does_no_io() {
    let is_protocol = |path: &str| path == "src/quarantine/closing.rs";
    assert!(!violations("src", is_protocol, &["std"]).is_empty());
    assert_eq!(violations("src", is_protocol, &OUTSIDE), [""; 0]);
}

/// The core crate forbids unsafe code itself.
#[test]
fn only_one_folder_allows_unsafe_code() {
    let files = sources("src").into_iter().filter(|file| file.text.contains("unsafe_code"));
    let files: Vec<String> = files.map(|file| file.path).collect();
    assert_eq!(files, ["src/kafka/native/mod.rs"]);
}
