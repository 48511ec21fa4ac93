//! Maps a data center to the region whose topic receives its events, by a dated table
//! (`catalog/locations.toml`, explained in its header). It guesses nothing: a data center that is
//! not in the table at the time of the event has no region. It does not know which regions have
//! topics.

mod file;
mod names;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use self::names::Names;
use crate::data_file;
pub use crate::data_file::Problem;
use crate::data_file::Report;

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
    periods: HashMap<String, Vec<Period>>,
    regions: BTreeSet<String>,
    names: Names,
}

/// A region that applies from `from`, inclusive, to `to`, exclusive. An absent bound is unbounded.
#[derive(Debug)]
struct Period {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    region: String,
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
const CODE_BYTES_MAX: usize = 32;

impl Locations {
    /// Loads the table shipped with the program.
    ///
    /// # Errors
    ///
    /// If the table does not define the profile.
    pub fn embedded(profile: &str) -> Result<Self, Vec<Problem>> {
        let text = include_str!("../../../../catalog/locations.toml");
        Self::load("catalog/locations.toml", text, profile)
    }

    /// Loads a table; messages refer to it as `name`.
    ///
    /// # Errors
    ///
    /// All problems at once, including those of other profiles: invalid TOML, unknown keys, an
    /// unknown profile, codes or regions that are not `[a-z0-9-]+`, an entry that ends before it
    /// begins, two entries of one data center that apply at the same time, and names that two data
    /// centers share or that belong to none.
    pub fn load(name: &str, text: &str, profile: &str) -> Result<Self, Vec<Problem>> {
        let mut report = Report::of(name);
        let locations = report
            .accept(data_file::parse(text))
            .map(|table| file::read_table(table, profile, &mut report));
        match locations {
            Some(locations) if report.problems.is_empty() => Ok(locations),
            _ => Err(report.problems),
        }
    }

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

    fn add(&mut self, code: &str, period: Period) -> Result<(), String> {
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

/// Returns a code or name without the pod that may follow it.
fn without_suffix(written: &str) -> &str {
    written.split_once('.').map_or(written, |(code, _)| code)
}
