//! The meaning of classic permission names: which ones are about Infrastructure at all, and which
//! cover every device of a family. The names are data (`catalog/permissions.toml`, which documents
//! itself); `access` decides who must hold which. Case, spaces, hyphens and underscores do not
//! matter.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::catalog::{CatalogFile, Problem};
use crate::data_file;
use crate::data_file::{Report, is_slug};
use crate::reference::{KNOWN_PERMISSIONS, PackedName, Permissions};
use crate::text::names::normalise;

const KEYS: &[&str] = &["infrastructure", "other", "all_devices"];

/// The permissions known to a deployment.
#[derive(Debug)]
pub struct PermissionNames {
    infrastructure: NameSet,
    other: NameSet,
    /// By catalogue family.
    all_devices: BTreeMap<String, NameSet>,
}

#[derive(Deserialize)]
struct Lists {
    infrastructure: Vec<String>,
    #[serde(default)]
    other: Vec<String>,
    #[serde(default)]
    all_devices: BTreeMap<String, Vec<String>>,
}

impl PermissionNames {
    /// The file shipped with the program.
    pub const EMBEDDED: CatalogFile<'static> = CatalogFile {
        name: "catalog/permissions.toml",
        text: include_str!("../../../../catalog/permissions.toml"),
    };

    /// Loads a file.
    ///
    /// # Errors
    /// All problems of the file.
    pub fn load(file: CatalogFile<'_>) -> Result<Self, Vec<Problem>> {
        let mut report = Report::of(file.name);
        let lists = read(file.text, &mut report);
        match lists.filter(|_| report.problems.is_empty()) {
            Some(lists) => Ok(Self::of(&lists)),
            None => Err(report.problems),
        }
    }

    fn of(lists: &Lists) -> Self {
        let families = lists.all_devices.iter();
        PermissionNames {
            infrastructure: NameSet::of(&lists.infrastructure),
            other: NameSet::of(&lists.other),
            all_devices: families
                .map(|(family, names)| (family.clone(), NameSet::of(names)))
                .collect(),
        }
    }

    /// Returns whether any of the permissions is about Infrastructure. An unknown one is not.
    pub fn any_infrastructure(&self, permissions: Permissions<'_>) -> bool {
        self.infrastructure.holds_any(permissions)
    }

    /// Returns whether any of the permissions covers all devices of a family.
    pub fn covers_family(&self, permissions: Permissions<'_>, family: &str) -> bool {
        let covering = self.all_devices.get(family);
        covering.is_some_and(|covering| covering.holds_any(permissions))
    }

    /// Returns whether a name is in the file at all. Any other name is a typo or missing from the
    /// file, and grants no access.
    pub fn is_known(&self, name: &str) -> bool {
        let name = normalise(name);
        self.infrastructure.names.contains(&*name) || self.other.names.contains(&*name)
    }
}

/// Returns whether two names are spellings of the same permission.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || letters(one).eq(letters(other))
}

fn letters(name: &str) -> impl Iterator<Item = u8> {
    let kept = name.trim_ascii().bytes();
    let kept = kept.filter(|byte| !matches!(byte, b' ' | b'-' | b'_'));
    kept.map(|byte| byte.to_ascii_lowercase())
}

/// A set of names.
#[derive(Debug, Default)]
struct NameSet {
    /// A bit for each of [`KNOWN_PERMISSIONS`], which most names in a table are. They need no text
    /// comparison.
    known: u32,
    /// All names of the set, in their comparable form.
    names: BTreeSet<String>,
}

impl NameSet {
    fn of(names: &[String]) -> Self {
        let known = KNOWN_PERMISSIONS.iter().zip(0u32..);
        let known = known.filter(|(known, _)| names.iter().any(|name| is_same(name, known)));
        NameSet {
            known: known.fold(0, |set, (_, bit)| set | 1 << bit),
            names: names.iter().map(|name| normalise(name).into_owned()).collect(),
        }
    }

    fn holds(&self, name: PackedName<'_>) -> bool {
        match name {
            PackedName::Known(known) => self.known >> known & 1 != 0,
            PackedName::Other(name) => self.names.contains(&*normalise(name)),
        }
    }

    fn holds_any(&self, permissions: Permissions<'_>) -> bool {
        permissions.packed_names().any(|name| self.holds(name))
    }
}

fn read(text: &str, report: &mut Report<'_>) -> Option<Lists> {
    let mut table = report.accept(data_file::parse(text))?;
    report.say_all(data_file::take_unknown(&mut table, KEYS));
    let lists: Lists = report.accept(data_file::read(table))?;
    report.require(!lists.infrastructure.is_empty(), || {
        "`infrastructure` is empty: no permission would give access".to_owned()
    });
    check_names(&lists, report);
    for (family, covering) in &lists.all_devices {
        report.require(is_slug(family), || {
            format!("`all_devices.{family}` is not a family: write one or more of a-z, 0-9 and -")
        });
        for name in covering {
            let is_known = lists.infrastructure.iter().any(|known| is_same(known, name));
            report.require(is_known, || {
                format!("`all_devices.{family}` names \"{name}\", which is not among `infrastructure`: add it there")
            });
        }
    }
    Some(lists)
}

fn check_names(lists: &Lists, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for name in lists.infrastructure.iter().chain(&lists.other) {
        let normal = normalise(name).into_owned();
        report.require(!normal.is_empty(), || "a name is blank: remove it".to_owned());
        report
            .require(seen.insert(normal), || format!("\"{name}\" is listed twice: leave out one"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{Principal, PrincipalKey, Table, read_principals};

    fn load(text: &str) -> Result<PermissionNames, Vec<String>> {
        let file = CatalogFile { name: "p", text };
        PermissionNames::load(file)
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    fn table(permissions: &[&str]) -> Table<PrincipalKey, Principal> {
        let line = |(user, list): (usize, &&str)| {
            format!(
                "{{\"accountId\":1,\"userId\":{user},\"permissions\":[{list}],\"validFrom\":\"2020-01-01T00:00:00Z\"}}\n"
            )
        };
        let lines: String = permissions.iter().enumerate().map(line).collect();
        read_principals("principals", &lines).expect("reads")
    }

    #[test]
    fn only_what_is_listed_gives_access_however_it_is_spelled() {
        let names = PermissionNames::load(PermissionNames::EMBEDDED).expect("is good");
        let cases = [
            (r#""HARDWARE_VIEW""#, true),
            (r#""REMOTE_MANAGEMENT","TICKET_VIEW""#, true),
            (r#""remote_management""#, true),
            (r#""Remote Management""#, true),
            (r#""VIRTUAL_GUEST_VIEW""#, true),
            (r#""TICKET_VIEW""#, false),
            (r#""USER_MANAGE""#, false),
            (r#""HARDWARE_VEIW""#, false),
            (r#""""#, false),
            ("", false),
        ];
        for (list, expected) in cases {
            let table = table(&[list]);
            let (_, versions) = table.iter().next().expect("one");
            let principal = versions.iter().next().and_then(|version| version.value);
            let permissions = principal.expect("exists").permissions;
            assert_eq!(names.any_infrastructure(permissions), expected, "{list}");
        }
    }

    #[test]
    fn names_of_both_lists_are_known_however_they_are_spelled() {
        let names = PermissionNames::load(PermissionNames::EMBEDDED).expect("is good");
        for known in ["HARDWARE_VIEW", "ticket view", "User-Manage"] {
            assert!(names.is_known(known), "{known}");
        }
        for unknown in ["", " ", "HARDWARE_VEIW"] {
            assert!(!names.is_known(unknown), "{unknown:?}");
        }
    }

    #[test]
    fn bad_files_are_refused() {
        let cases = [
            ("infrastructure = []", "is empty"),
            ("infrastructur = ['A']", "did you mean `infrastructure`"),
            ("infrastructure = ['A', ' ']", "blank"),
            ("infrastructure = ['A_B']\nother = ['a b']", "twice"),
            (
                "infrastructure = ['A']\nall_devices = { bare-metal = ['B'] }",
                "not among `infrastructure`",
            ),
            ("infrastructure = ['A']\nall_devices = { \"Bare Metal\" = ['A'] }", "not a family"),
            ("infrastructure = 'A'", "invalid type"),
        ];
        for (text, expected) in cases {
            let problems = load(text).expect_err("must be refused").join("\n");
            assert!(problems.contains(expected), "{text}: {problems}");
        }
    }
}
