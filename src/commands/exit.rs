//! The exit codes of the process, their meaning, and the code of each error. Codes above 63 are
//! from `sysexits.h`.

use std::fmt;
use std::process::ExitCode;

use crate::commands::replay::Different;
use crate::quarantine::tally::StillOpen;
use crate::relay::preflight::Unmet;

/// The result of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command succeeded.
    Success,
    /// The answer of the command is negative, or it failed.
    Failed,
    /// The command did its work, and not all is well: records that were to be closed are still
    /// open, or what was compared differs.
    Findings,
    /// The command line is invalid. The parser of the command line exits with this code itself.
    Usage,
    /// The cluster does not meet the requirements of `run`.
    Cluster,
    /// The configuration is invalid.
    Configuration,
}

impl Exit {
    /// All results, in the order of their codes.
    pub const ALL: [Exit; 6] = [
        Exit::Success,
        Exit::Failed,
        Exit::Usage,
        Exit::Findings,
        Exit::Cluster,
        Exit::Configuration,
    ];

    /// Returns the result for an error.
    pub fn of(error: &anyhow::Error) -> Self {
        if error.is::<Unusable>() {
            Exit::Configuration
        } else if error.is::<Unmet>() {
            Exit::Cluster
        } else if error.is::<StillOpen>() || error.is::<Different>() {
            Exit::Findings
        } else {
            Exit::Failed
        }
    }

    /// Returns the exit code.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Findings => 3,
            Exit::Cluster => 69,
            Exit::Configuration => 78,
        }
    }

    /// Returns what the code means and what to do.
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Success => "The command succeeded. For `run`: it was asked to stop.",
            Exit::Failed => {
                "The command failed, or its answer is negative (`check` found a problem, `table get` found no such key). After `run`, a restart may help."
            }
            Exit::Usage => "The command line is invalid.",
            Exit::Findings => {
                "`quarantine`: some of the selected records are still open. `replay --compare`: there are differences."
            }
            Exit::Cluster => {
                "The cluster does not meet the requirements of `run`: topics, topic settings, or ACLs. Fix the cluster before a restart."
            }
            Exit::Configuration => {
                "The configuration, or a file that it names, is invalid. Fix it before a restart."
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Returns the list of codes for `--help`.
pub fn exits_help() -> String {
    let lines = Exit::ALL.map(|exit| format!("  {:<3} {}", exit.code(), exit.meaning()));
    format!("Exit codes:\n{}", lines.join("\n"))
}

/// Returns the table for the documentation.
pub fn exits_markdown() -> String {
    let rows = Exit::ALL.map(|exit| format!("| {} | {} |\n", exit.code(), exit.meaning()));
    format!("| code | meaning |\n|---|---|\n{}", rows.concat())
}

/// An invalid configuration: all of its problems, and those of the files that it names.
#[derive(Debug, thiserror::Error)]
pub struct Unusable {
    /// The problems, each with its remedy.
    pub problems: Vec<String>,
    /// Whether a file was given. Otherwise everything comes from the environment.
    had_file: bool,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(f, "the configuration is invalid; 1 problem:")?,
            count => write!(f, "the configuration is invalid; {count} problems:")?,
        }
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        if !self.had_file {
            write!(
                f,
                "\nno configuration file was given: pass one with --config FILE or AUDIT_RELAY_CONFIG (`audit-relay config` prints an example)"
            )?;
        }
        Ok(())
    }
}

impl Unusable {
    pub(super) fn new(had_file: bool, problems: Vec<String>) -> Self {
        Unusable { problems, had_file }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_code_under_added_context() {
        let unusable = || anyhow::Error::from(Unusable::new(false, vec![String::from("x")]));
        for (error, exit) in [
            (unusable(), Exit::Configuration),
            (unusable().context("read the tables"), Exit::Configuration),
            (anyhow::anyhow!("the disk is full"), Exit::Failed),
        ] {
            assert_eq!(Exit::of(&error), exit, "{error:#}");
        }
    }
}
