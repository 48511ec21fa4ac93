//! The index from what a record calls its event to the possible actions. It is built once from rows
//! that are known not to overlap. A look-up allocates nothing and cannot fail.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::Action;
use super::attributes::{AttributeTexts, Attributes, Keys};
use super::condition::Condition;
use super::file::Row;
use crate::data_file::Problem;
use crate::text::names::{NameTable, normalise};

/// The enabled actions that one event name or event key of one class can mean.
#[derive(Debug)]
pub struct Listing {
    alternatives: Vec<Alternative>,
    keys: Keys,
}

#[derive(Debug)]
struct Alternative {
    condition: Condition,
    action: Arc<Action>,
}

impl Listing {
    /// Returns whether [`choose`](Self::choose) examines any attribute. If not, the record's
    /// metadata need not be parsed for it.
    pub fn needs_attributes(&self) -> bool {
        let mut alternatives = self.alternatives.iter();
        alternatives.any(|alternative| !alternative.condition.is_always())
    }

    /// Returns the metadata attributes that any of the actions names.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Returns the action of a record with these attributes; `None` if no enabled row matches.
    ///
    /// # Errors
    /// If the action cannot be determined.
    pub fn choose(&self, attributes: &Attributes<'_>) -> Result<Option<&Action>, String> {
        let mut undecided = Ok(None);
        for Alternative { condition, action } in &self.alternatives {
            match condition.holds(attributes) {
                Ok(true) => return Ok(Some(action)),
                Ok(false) => {}
                Err(why) => undecided = Err(why),
            }
        }
        undecided
    }
}

/// What the catalogue lists for a record's event.
#[derive(Debug, Clone, Copy)]
pub enum Found<'c> {
    /// The enabled actions that the event can mean.
    Listed(&'c Listing),
    /// The name is unknown, though events of this class are audited.
    UnknownName,
    /// Nothing is audited: the class or the event has no enabled action.
    Nothing,
}

/// All names in the catalogue, by class.
#[derive(Debug)]
pub(super) struct Index(NameTable<Class>);

#[derive(Debug)]
struct Class {
    events: NameTable<Listing>,
    /// Whether any event of the class can be audited.
    is_audited: bool,
}

impl Index {
    pub(super) fn find(
        &self,
        class: &str,
        event_key: Option<&str>,
        event_name: Option<&str>,
    ) -> Found<'_> {
        let Some(Class { events, is_audited }) = self.0.get(class) else {
            return Found::Nothing;
        };
        let by_key = event_key.and_then(|key| events.get(key));
        let listing = by_key.or_else(|| event_name.and_then(|name| events.get(name)));
        match listing {
            // A name of disabled rows only is still known, so the key decides, but it lists
            // nothing.
            Some(listing) if listing.alternatives.is_empty() => Found::Nothing,
            Some(listing) => Found::Listed(listing),
            None if *is_audited => Found::UnknownName,
            None => Found::Nothing,
        }
    }

    pub(super) fn build(rows: &[Row], actions: &[Arc<Action>]) -> Self {
        let mut classes: Spelled<Spelled<Listing>> = BTreeMap::new();
        for claim in claims(rows) {
            let names = spelled(&mut classes, claim.class, BTreeMap::new);
            let listing = spelled(names, claim.name, || Listing {
                alternatives: Vec::new(),
                keys: Keys::default(),
            });
            if let Some(action) = actions.get(claim.row).filter(|action| action.enabled) {
                for name in claim.condition.attributes().chain(action.attributes()) {
                    listing.keys.add(name, claim.attributes);
                }
                listing.alternatives.push(Alternative {
                    condition: claim.condition.clone(),
                    action: Arc::clone(action),
                });
            }
        }
        let tables = classes.into_values();
        Self(tables.map(|(class, names)| (class, Class::of(names))).collect())
    }
}

impl Class {
    fn of(names: Spelled<Listing>) -> Self {
        let mut listings = names.values().map(|(_, listing)| listing);
        Class {
            is_audited: listings.any(|listing| !listing.alternatives.is_empty()),
            events: names.into_values().collect(),
        }
    }
}

/// Values by normalised name, each with the spelling that was found first.
type Spelled<T> = BTreeMap<String, (String, T)>;

fn spelled<'m, T>(map: &'m mut Spelled<T>, written: &str, new: impl FnOnce() -> T) -> &'m mut T {
    let entry = map.entry(normalise(written).into_owned());
    let (_, value) = entry.or_insert_with(|| (written.to_owned(), new()));
    value
}

/// One row's claim to one name of one class, both as written.
struct Claim<'r> {
    class: &'r str,
    name: &'r str,
    row: usize,
    condition: &'r Condition,
    attributes: &'r AttributeTexts,
}

fn claims(rows: &[Row]) -> impl Iterator<Item = Claim<'_>> {
    rows.iter().enumerate().flat_map(|(row, described)| {
        let classes = described.action.classes.iter();
        classes.flat_map(move |class| {
            described.matches.iter().flat_map(move |matched| {
                matched.events.iter().map(move |event| Claim {
                    class,
                    name: event,
                    row,
                    condition: &matched.condition,
                    attributes: &described.attributes,
                })
            })
        })
    })
}

/// The rows that claim one name, and their conditions.
type Claimants<'r> = Vec<(usize, &'r Condition)>;

/// Returns a problem for every pair of rows, enabled or not, that one record could satisfy:
/// enabling a row must never change the meaning of another.
pub(super) fn ambiguities(rows: &[Row]) -> Vec<Problem> {
    let mut by_name: BTreeMap<(Cow<str>, Cow<str>), Claimants<'_>> = BTreeMap::new();
    for claim in claims(rows) {
        let key = (normalise(claim.class), normalise(claim.name));
        by_name.entry(key).or_default().push((claim.row, claim.condition));
    }
    let mut shared: BTreeMap<(usize, usize), Vec<String>> = BTreeMap::new();
    for ((class, name), claimants) in &by_name {
        for pair in overlapping(claimants) {
            let names = shared.entry(pair).or_default();
            names.push(format!("`{name}` of class `{class}`"));
        }
    }
    shared
        .into_iter()
        .filter_map(|((one, other), names)| {
            Some(ambiguity(rows.get(one)?, rows.get(other)?, names))
        })
        .collect()
}

fn overlapping(claimants: &[(usize, &Condition)]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (position, (one, condition)) in claimants.iter().enumerate() {
        for (other, opposite) in claimants.iter().skip(position + 1) {
            let pair = (*one, *other);
            if one != other && !condition.is_disjoint(opposite) && !pairs.contains(&pair) {
                pairs.push(pair);
            }
        }
    }
    pairs
}

fn ambiguity(one: &Row, other: &Row, names: Vec<String>) -> Problem {
    let message = format!(
        "could match the same record as `{}` of {}, by {}: give each event to one of them, or tell them apart by `when`",
        one.action.name,
        one.file,
        names.join(", ")
    );
    Problem::of_row(&other.file, &other.action.name, message)
}
