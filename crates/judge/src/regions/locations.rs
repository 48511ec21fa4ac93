//! The location table: each data center's regions, by time, and the look-up of a place. It does not
//! read the file.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::names::{Names, without_suffix};

/// Where an event happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'t> {
    /// The canonical code: lower case, without suffix, e.g. `dal10`.
    pub data_center: &'t str,
    /// The region, e.g. `us-south`.
    pub region: &'t str,
}

/// The location table of one profile.
#[derive(Debug)]
pub struct Locations {
    pub(super) periods: HashMap<String, Vec<Period>>,
    pub(super) regions: BTreeSet<String>,
    pub(super) names: Names,
}

/// A region that applies from `from`, inclusive, to `to`, exclusive. An absent bound is unbounded.
#[derive(Debug)]
pub(super) struct Period {
    pub(super) from: Option<Timestamp>,
    pub(super) to: Option<Timestamp>,
    pub(super) region: String,
}

impl Period {
    fn contains(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at < to)
    }

    fn overlaps(&self, other: &Self) -> bool {
        let starts_before_end = |one: &Self, other: &Self| match (one.from, other.to) {
            (Some(from), Some(to)) => from < to,
            _ => true,
        };
        starts_before_end(self, other) && starts_before_end(other, self)
    }
}

/// Longest code of a data center, in bytes. Current codes have five.
pub(super) const CODE_BYTES_MAX: usize = 32;

impl Locations {
    /// Returns the place of a data center at a time, by its code or another of its names, in any
    /// spelling. Anything from the first dot on is ignored: `DAL10`, `dal10.pod01`, `DALLAS10` and
    /// `Dallas 10` are `dal10`. `None` if the table has no entry for it at that time.
    pub fn locate(&self, data_center: &str, at: Timestamp) -> Option<Place<'_>> {
        let (data_center, periods) = self.find(data_center)?;
        let period = periods.iter().find(|period| period.contains(at))?;
        Some(Place { data_center, region: &period.region })
    }

    /// Tries the code first, which most records use, and names only if it is not found.
    fn find(&self, written: &str) -> Option<(&String, &Vec<Period>)> {
        let mut buffer = [0; CODE_BYTES_MAX];
        let code = canonical(written, &mut buffer);
        let found = code.and_then(|code| self.periods.get_key_value(code));
        found.or_else(|| self.find_by_name(written))
    }

    #[cold]
    fn find_by_name(&self, written: &str) -> Option<(&String, &Vec<Period>)> {
        self.periods.get_key_value(self.names.code(written)?)
    }

    /// Iterates over every region that the profile can yield at any time, sorted.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.regions.iter().map(String::as_str)
    }

    pub(super) fn add(&mut self, code: &str, period: Period) -> Result<(), String> {
        let periods = self.periods.entry(code.to_owned()).or_default();
        if periods.iter().any(|other| other.overlaps(&period)) {
            return Err(format!(
                "`{code}` has another entry that holds at the same time: end one by `valid_to` where the other begins"
            ));
        }
        self.regions.insert(period.region.clone());
        periods.push(period);
        Ok(())
    }
}

/// Writes the canonical form of a code to `buffer`; `None` if it is longer than any code.
fn canonical<'b>(data_center: &str, buffer: &'b mut [u8; CODE_BYTES_MAX]) -> Option<&'b str> {
    let code = without_suffix(data_center.trim_ascii());
    let target = buffer.get_mut(..code.len())?;
    target.copy_from_slice(code.as_bytes());
    target.make_ascii_lowercase();
    std::str::from_utf8(target).ok()
}
