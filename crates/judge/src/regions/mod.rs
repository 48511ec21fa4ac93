//! Maps a data center to the region whose topic receives its events, by a dated table
//! (`catalog/locations.toml`, explained in its header). It guesses nothing: a data center that is
//! not in the table at the time of the event has no region. It does not know which regions have
//! topics.

mod file;
mod locations;
mod names;
#[cfg(test)]
mod tests;

pub use self::locations::{Locations, Place};
use crate::data_file;
pub use crate::data_file::Problem;
use crate::data_file::Report;

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
}
