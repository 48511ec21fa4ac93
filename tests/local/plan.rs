//! The structure of the code: which folder may need which, and what each leaves to others. The code
//! is parsed; tests beside it are left out.

use std::collections::{BTreeMap, BTreeSet};

use audit_cases::root;
use syn::visit::{self, Visit};
use syn::{ItemMod, ItemUse, UseTree};

use crate::sources::{Source, sources};

/// Which folder needs which, by their names.
type Needs = BTreeMap<String, BTreeSet<String>>;

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

    /// What a macro is given is not parsed: its tokens are text, from which paths are cut.
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

/// The modules from the root of a crate to one of its files.
fn module<'p>(path: &'p str, source: &str) -> Vec<&'p str> {
    let inside = path[source.len()..].trim_start_matches('/');
    let inside = inside.trim_end_matches(".rs").trim_end_matches("/mod");
    inside.split('/').collect()
}

/// The folder at the root of the crate that a path leads to, from a module so deep.
fn folder(path: &[String], depth: usize) -> Option<&String> {
    let parents = path.iter().take_while(|word| *word == "super").count();
    match path.first()?.as_str() {
        "crate" => path.get(1),
        "super" if parents == depth => path.get(parents),
        _ => None,
    }
}

fn needs(source: &str) -> Needs {
    let mut needs = Needs::new();
    for file in sources(source).iter().filter(|file| !file.is_test()) {
        let module = module(&file.path, source);
        let Paths(paths) = Paths::of(&file.text);
        let named = paths.iter().filter_map(|path| folder(path, module.len()));
        needs.entry(module[0].to_owned()).or_default().extend(named.cloned());
    }
    needs
}

/// A way from a folder back to itself by way of others, if there is one.
fn circle(needs: &Needs) -> Option<Vec<String>> {
    fn walk(needs: &Needs, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        let last = way.last().expect("never empty").clone();
        for next in needs.get(&last).into_iter().flatten() {
            if *next == last || done.contains(next) {
                continue;
            }
            let is_circle = way.contains(next);
            way.push(next.clone());
            if is_circle || walk(needs, way, done) {
                return true;
            }
            way.pop();
        }
        done.insert(last);
        false
    }
    let mut done = BTreeSet::new();
    needs.keys().find_map(|start| {
        let mut way = vec![start.clone()];
        walk(needs, &mut way, &mut done).then_some(way)
    })
}

#[test]
fn no_folder_needs_one_that_needs_it() {
    // Each with a need that is known, lest all of them are overlooked.
    for (source, from, to) in
        [("src", "kafka", "stream"), ("crates/judge/src", "enrich", "reference")]
    {
        let needs = needs(source);
        assert!(needs[from].contains(to), "{source}: {needs:?}");
        assert_eq!(circle(&needs), None, "{source}");
    }
}

/// A type that `mod.rs` re-exports counts as a need of `mod.rs`, which needs every file.
#[test]
fn no_file_of_the_configuration_needs_one_that_needs_it() {
    let files = sources("src/config");
    let mut needs = Needs::new();
    for file in files.iter().filter(|file| !file.is_test()) {
        let module = module(&file.path, "src/config")[0];
        let Paths(paths) = Paths::of(&file.text);
        let beside = paths.iter().filter(|path| path[0] == "super").filter_map(|path| path.get(1));
        let beside = beside.map(|name| match name.chars().all(|c| c == '_' || c.is_lowercase()) {
            true => name.clone(),
            false => "mod".to_owned(),
        });
        needs.entry("mod".to_owned()).or_default().insert(module.to_owned());
        needs.entry(module.to_owned()).or_default().extend(beside);
    }
    assert!(needs["settings"].contains("kind"), "{needs:?}");
    assert_eq!(circle(&needs), None);
}

#[test]
fn a_circle_is_found() {
    let needs = |pairs: &[(&str, &str)]| {
        let mut needs = Needs::new();
        for (from, to) in pairs {
            let from = needs.entry((*from).to_owned()).or_default();
            from.insert((*to).to_owned());
        }
        needs
    };
    let none = needs(&[("a", "b"), ("a", "c"), ("b", "c"), ("c", "c")]);
    assert_eq!(circle(&none), None);
    let way = circle(&needs(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]));
    let way = way.expect("a circle");
    assert_eq!(way.last(), Some(&String::from("b")), "{way:?}");
}

#[test]
fn the_loop_needs_no_other_folder() {
    let needs = needs("src");
    assert_eq!(needs["stream"].iter().filter(|to| *to != "stream").collect::<Vec<_>>(), [""; 0]);
}

/// The files of a folder that name what they must not: segments that follow each other in a path.
fn breaches(source: &str, files: impl Fn(&str) -> bool, forbidden: &[&str]) -> Vec<String> {
    let is_meant = |file: &Source| !file.is_test() && files(&file.path);
    breaches_in(sources(source).into_iter().filter(is_meant), forbidden)
}

fn breaches_in(files: impl Iterator<Item = Source>, forbidden: &[&str]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files {
        for path in Paths::of(&file.text).0 {
            let path = format!("::{}::", path.join("::"));
            let is_named = |name: &&&str| path.contains(&format!("::{name}::"));
            if let Some(name) = forbidden.iter().find(is_named) {
                breaches.push(format!("{} names {name}", file.path));
            }
        }
    }
    breaches
}

/// What a ledger shared with the relay, it could not judge. That the testkit names none of these,
/// its manifest sees to.
#[test]
fn ledgers_share_no_code_with_the_relay() {
    for folder in ["tests/broker/ledger", "tests/campaign", "crates/testkit/src"] {
        let found = |names: &[&str]| breaches_in(sources(folder).into_iter(), names);
        assert!(!found(&["std"]).is_empty(), "{folder}");
        assert_eq!(found(&["audit_relay", "audit_judge", "audit_cases"]), [""; 0], "{folder}");
    }
    let manifest = root().join("crates/testkit/Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).expect("the testkit's manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let needed = manifest["dependencies"].as_table().expect("dependencies");
    let ours: Vec<&String> = needed.keys().filter(|name| name.starts_with("audit-")).collect();
    assert!(!needed.is_empty() && ours.is_empty(), "{ours:?}");
}

#[test]
fn only_the_edge_names_the_kafka_client() {
    let is_edge = |path: &str| path.starts_with("src/kafka/");
    assert!(!breaches("src", is_edge, &["rdkafka"]).is_empty());
    assert_eq!(breaches("src", |path| !is_edge(path), &["rdkafka"]), [""; 0]);
}

/// What reaches beyond the arguments of a function.
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
fn the_core_depends_on_its_arguments_alone() {
    let core = "crates/judge/src";
    assert!(!breaches(core, |_| true, &["std"]).is_empty());
    assert_eq!(breaches(core, |_| true, &OUTSIDE), [""; 0]);
}

#[test]
fn the_loop_leaves_the_outside_to_its_broker() {
    let is_loop = |path: &str| path.starts_with("src/stream/");
    assert!(!breaches("src", is_loop, &["std"]).is_empty());
    assert_eq!(breaches("src", is_loop, &OUTSIDE), [""; 0]);
    let others = ["std::net", "tokio", "prometheus", "axum", "jiff"];
    assert_eq!(breaches("src", is_loop, &others), [""; 0]);
}

/// The core forbids it for itself.
#[test]
fn one_folder_allows_unsafe_code() {
    let files = sources("src").into_iter().filter(|file| file.text.contains("unsafe_code"));
    let files: Vec<String> = files.map(|file| file.path).collect();
    assert_eq!(files, ["src/kafka/native/mod.rs"]);
}
