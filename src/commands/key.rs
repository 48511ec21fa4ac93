//! `key`: makes and shows the keys that sign seals.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use audit_chain::key::SigningKey;
use audit_chain::name::Origin;
use zeroize::Zeroizing;

use super::print;
use crate::commands::arguments::{KeyCommand, OriginArgs};
use crate::deployment::read_key;

/// Makes or shows a key.
///
/// # Errors
/// Fails if a file exists that would be written, or cannot be read or written.
pub fn key(command: &KeyCommand) -> anyhow::Result<()> {
    match command {
        KeyCommand::New { origin: OriginArgs { origin }, file } => {
            let key = create(file, origin)?;
            print(format_args!(
                "{}\n\nA new key is in {}. Give the line above to the auditors, as their trust file, by a way that you both trust. Keep the file secret, and keep a copy: anyone who has it can write the trail's history. To seal, set in [integrity]:\n\n    origin = \"{origin}\"\n    key = {}",
                key.public(),
                file.display(),
                quoted(file)
            ))
        }
        KeyCommand::Show { origin: OriginArgs { origin }, file } => {
            print(read("key", file, origin)?.public())
        }
        KeyCommand::Rotate { origin: OriginArgs { origin }, old, new } => {
            let before = read("old key", old, origin)?;
            let key = create(new, origin)?;
            print(format_args!(
                "{}\n\nA new key is in {}. Set in [integrity] of all relays, and restart them:\n\n    key = {}\n    previous_key = {}\n\nThe next seal of each partition, signed by the old key {}, announces the new one, and the seal after it is signed by both. Auditors need nothing new for what has begun: the announcement is in the trail. A partition that is added later begins with the new key, so give them the line above as well. When every partition has two seals since the restart, which takes about two minutes, and `audit-relay quarantine replay --all --limit 0` has run with these settings, if quarantined records were ever replayed, take previous_key away, restart once more, and destroy the old key: nobody can then sign the past again.",
                key.public(),
                new.display(),
                quoted(new),
                quoted(old),
                before.public().id()
            ))
        }
    }
    .context("write the answer")
}

/// Returns a path as TOML's text.
fn quoted(path: &Path) -> String {
    toml::Value::from(path.display().to_string()).to_string()
}

fn create(file: &Path, origin: &Origin) -> anyhow::Result<SigningKey> {
    let mut seed = Zeroizing::new([0; 32]);
    if let Err(error) = getrandom::fill(&mut *seed) {
        bail!("the system has no randomness for a key: {error}");
    }
    let key = SigningKey::from_seed(origin.clone(), &seed);
    let pem = key.to_pem()?;
    write(file, pem.as_bytes())
        .with_context(|| format!("write {}: a key is never overwritten", file.display()))?;
    Ok(key)
}

/// Writes a new file that its owner alone can read.
fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut created = options.open(file)?;
    created.write_all(bytes)?;
    created.sync_all()
}

fn read(name: &str, file: &Path, origin: &Origin) -> anyhow::Result<SigningKey> {
    read_key(name, file, origin).map_err(|problems| anyhow!(problems.join("; ")))
}
