//! What is known from outside the cluster: anchors, and the seals that an earlier verification saw.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use audit_chain::anchor::{Anchor, split_file};
use audit_chain::name::Set;
use audit_chain::trust::Trust;
use audit_verify::{LastSeal, Remembered};

/// The file in the folder of `--state`.
const STATE_FILE: &str = "seals";

/// Reads the anchors of these files. An anchor that no trusted key has signed is an error: it is
/// what the trail is compared with.
pub(super) fn anchors(files: &[PathBuf], trust: &Trust) -> anyhow::Result<Vec<Remembered>> {
    let mut remembered = Vec::new();
    for path in files {
        let file =
            std::fs::read(path).with_context(|| format!("read the anchors {}", path.display()))?;
        let notes = split_file(&file).with_context(|| format!("anchors {}", path.display()))?;
        for (number, note) in (1..).zip(notes) {
            let place = || format!("anchors {}: note {number}", path.display());
            let signers = note.verify(trust.keys()).with_context(place)?;
            ensure!(
                signers.iter().any(|key| trust.is_signer(key)),
                "{}: no key of the trail has signed it",
                place()
            );
            let anchor: Anchor = note.text().parse().with_context(place)?;
            ensure!(
                anchor.origin() == trust.origin(),
                "{}: it is of the trail {}",
                place(),
                anchor.origin()
            );
            let by = format!("the anchor of {}", anchor.time());
            remembered.extend(anchor.seals().iter().map(|(set, anchored)| Remembered {
                set: set.clone(),
                seal: anchored.seal.get(),
                digest: anchored.digest,
                by: by.clone(),
            }));
        }
    }
    Ok(remembered)
}

/// Reads the seals that an earlier verification saw; none if there was no earlier one.
pub(super) fn recall(folder: &Path) -> anyhow::Result<Vec<Remembered>> {
    let path = folder.join(STATE_FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.with_context(|| format!("read the state {}", path.display()))?,
    };
    let line = |(number, line): (usize, &str)| {
        let place = || format!("state {} line {number}: expected SET SEAL HASH", path.display());
        let mut words = line.split(' ');
        let mut word = || words.next().with_context(place);
        anyhow::Ok(Remembered {
            set: word()?.parse().with_context(place)?,
            seal: word()?.parse().with_context(place)?,
            digest: word()?.parse().with_context(place)?,
            by: "an earlier verification".to_string(),
        })
    };
    (1..).zip(text.lines()).map(line).collect()
}

/// Remembers the last seal of each set, for the next verification. The file is replaced whole, so
/// that there is always one.
pub(super) fn remember(folder: &Path, seals: &BTreeMap<Set, LastSeal>) -> anyhow::Result<()> {
    let mut text = String::new();
    for (set, last) in seals {
        // Writing to a string cannot fail.
        _ = writeln!(text, "{set} {} {}", last.seal, last.digest);
    }
    let write = || {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(folder.join(STATE_FILE))?;
        anyhow::Ok(())
    };
    write().with_context(|| format!("write the state into {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use audit_chain::Digest;

    use audit_verify::Totals;

    use super::*;

    #[test]
    fn what_is_remembered_is_recalled() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("state");
        assert!(recall(&folder).expect("nothing yet").is_empty());
        let set: Set = "changes/3#1".parse().expect("a set");
        let digest = Digest::of(b"seal");
        let (totals, is_replay) = (Totals::default(), false);
        let last =
            LastSeal { seal: 17, digest, input_end: 9, time_ms: 5, is_replay, audited: 2, totals };
        remember(&folder, &BTreeMap::from([(set.clone(), last)])).expect("written");
        let recalled = recall(&folder).expect("read");
        let by = "an earlier verification".to_string();
        assert_eq!(recalled, [Remembered { set, seal: 17, digest, by }]);
        std::fs::write(folder.join(STATE_FILE), "changes/3#1 17\n").expect("written");
        let error = recall(&folder).expect_err("no hash").to_string();
        assert!(error.contains("line 1: expected SET SEAL HASH"), "{error}");
    }
}
