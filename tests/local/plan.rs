//! The plan of the house: no folder needs another one that needs it, however many lie between. What code says is read by a parser of
//! Rust; tests beside the code may reach further.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{ItemMod, ItemUse, UseTree};

use crate::sources::root;

/// Which folder needs which, by their names.
type Needs = BTreeMap<String, BTreeSet<String>>;

/// Collects the folders that a file names by a path from the root of its crate, or through its parents.
struct Named {
    /// The modules from the root of the crate to this file.
    here: Vec<String>,
    folders: BTreeSet<String>,
}

impl Named {
    fn path(&mut self, segments: &[String]) {
        let parents = segments.iter().take_while(|word| *word == "super").count();
        let folder = match segments.first().map(String::as_str) {
            Some("crate") => segments.get(1),
            Some("super") if parents == self.here.len() => segments.get(parents),
            _ => None,
        };
        self.folders.extend(folder.cloned());
    }

    fn tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            UseTree::Name(name) => self.path(&with(&name.ident)),
            UseTree::Rename(name) => self.path(&with(&name.ident)),
            UseTree::Glob(_) => self.path(before),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before, tree)),
        }
    }
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path
            .segments
            .iter()
            .map(|it| it.ident.to_string())
            .collect();
        self.path(&segments);
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let is_test = module.attrs.iter().any(|it| it.path().is_ident("cfg"));
        if !is_test {
            visit::visit_item_mod(self, module);
        }
    }
}

/// Reads all files below a folder that are not tests.
fn read(folder: &Path, here: &[String], needs: &mut Needs) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if name == "tests" {
            continue;
        }
        let inside = [here, std::slice::from_ref(&name)].concat();
        if path.is_dir() {
            read(&path, &inside, needs);
            continue;
        }
        let here = if name == "mod" { here } else { &inside };
        let Some(top) = here.first() else { continue };
        let text = std::fs::read_to_string(&path).expect("a file");
        let file = syn::parse_file(&text).expect("Rust");
        let mut named = Named {
            here: here.to_vec(),
            folders: BTreeSet::new(),
        };
        named.visit_file(&file);
        needs.entry(top.clone()).or_default().extend(named.folders);
    }
}

/// A folder that needs itself by way of others, with the way.
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

#[track_caller]
fn has_no_circle(source: &str, known: (&str, &str)) {
    let mut needs = Needs::new();
    read(&root().join(source), &[], &mut needs);
    // Lest everything is overlooked.
    let (folder, other) = known;
    assert!(needs[folder].contains(other), "{source}: {needs:?}");
    assert_eq!(circle(&needs), None, "{source}");
}

#[test]
fn no_folder_needs_one_that_needs_it() {
    has_no_circle("src", ("kafka", "stream"));
    has_no_circle("crates/judge/src", ("enrich", "reference"));
}

#[test]
fn a_circle_is_found() {
    let needs = |pairs: &[(&str, &str)]| {
        let mut needs = Needs::new();
        for (from, to) in pairs {
            needs
                .entry((*from).to_string())
                .or_default()
                .insert((*to).to_string());
        }
        needs
    };
    assert_eq!(
        circle(&needs(&[("a", "b"), ("a", "c"), ("b", "c"), ("c", "c")])),
        None
    );
    let way = circle(&needs(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]));
    let way = way.expect("a circle");
    assert_eq!(way.last(), Some(&String::from("b")), "{way:?}");
}
