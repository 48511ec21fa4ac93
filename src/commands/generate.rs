//! `generate`: writes what packages install beside the program, from the same description of the
//! command line as `--help`: man pages and completions for shells.

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;

use crate::commands::arguments::{Cli, GenerateArgs};

/// The shells, each with the name of its file.
const COMPLETIONS: [(Shell, &str); 3] =
    [(Shell::Bash, "audit-relay"), (Shell::Fish, "audit-relay.fish"), (Shell::Zsh, "_audit-relay")];

/// Writes the man pages into `man1`, and the completions into `completions`, of a folder.
///
/// # Errors
/// Fails if a file cannot be written.
pub fn generate(arguments: &GenerateArgs) -> anyhow::Result<()> {
    let folder = |name: &str| {
        let path = arguments.folder.join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        anyhow::Ok(path)
    };
    man_pages(&folder("man1")?)?;
    completions(&folder("completions")?)
}

fn man_pages(folder: &Path) -> anyhow::Result<()> {
    let context = || format!("write man pages into {}", folder.display());
    clap_mangen::generate_to(Cli::command(), folder).with_context(context)
}

fn completions(folder: &Path) -> anyhow::Result<()> {
    for (shell, file) in COMPLETIONS {
        let path = folder.join(file);
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "audit-relay", &mut script);
        std::fs::write(&path, script).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
