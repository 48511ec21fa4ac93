//! How the process ends: the codes, what each means, and which one an error has. The numbers above
//! 2 are those of `sysexits.h`.

use std::fmt;
use std::process::ExitCode;

use crate::relay::preflight::Unmet;

/// The end of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Fine,
    /// The answer of the command is no, or something failed.
    Failed,
    /// The command line cannot be used; the parser of the command line ends the process by itself.
    Usage,
    /// The cluster is not as `run` needs it.
    Cluster,
    /// The configuration cannot be used.
    Configuration,
}

impl Exit {
    /// All of them, by their codes.
    pub const ALL: [Exit; 5] =
        [Exit::Fine, Exit::Failed, Exit::Usage, Exit::Cluster, Exit::Configuration];

    /// How an error ends the process.
    pub fn of(error: &anyhow::Error) -> Self {
        if error.is::<Unusable>() {
            Exit::Configuration
        } else if error.is::<Unmet>() {
            Exit::Cluster
        } else {
            Exit::Failed
        }
    }

    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Cluster => 69,
            Exit::Configuration => 78,
        }
    }

    /// What it means, and what to do.
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Fine => "The command has done what it was asked; `run` was asked to stop.",
            Exit::Failed => {
                "The command's own answer is no (`check` found a problem, `table get` no such key), or it failed. After `run`, a restart may help."
            }
            Exit::Usage => "The command line cannot be used.",
            Exit::Cluster => {
                "`run` found that the cluster lacks what the relay needs: topics, settings of topics, or rights. Change these first."
            }
            Exit::Configuration => {
                "The configuration, or a file that it names, cannot be used. Correct it first."
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// The codes, for `--help`.
pub fn exits_help() -> String {
    let lines = Exit::ALL.map(|exit| format!("  {:<3} {}", exit.code(), exit.meaning()));
    format!("Exit codes:\n{}", lines.join("\n"))
}

/// The table for the README.
pub fn exits_markdown() -> String {
    let rows = Exit::ALL.map(|exit| format!("| {} | {} |\n", exit.code(), exit.meaning()));
    format!("| code | meaning |\n|---|---|\n{}", rows.concat())
}

/// A configuration that cannot be used: all that is wrong with it, and with the files that it
/// names.
#[derive(Debug, thiserror::Error)]
pub struct Unusable {
    /// One problem each, with the remedy.
    pub problems: Vec<String>,
    /// Whether there was a file; else everything had to come from the environment.
    had_file: bool,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(f, "the configuration cannot be used; 1 problem:")?,
            count => write!(f, "the configuration cannot be used; {count} problems:")?,
        }
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        if !self.had_file {
            write!(
                f,
                "\nno configuration file was given: name one by --config FILE or AUDIT_RELAY_CONFIG (`audit-relay config` prints an example)"
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
    fn an_error_is_known_under_what_is_said_of_it() {
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
