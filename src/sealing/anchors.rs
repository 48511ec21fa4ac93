//! Anchors: signed lists of the newest seals, kept outside the cluster. Who can rewrite the topics
//! can cut off the newest events with their seals; an anchor still knows them.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use audit_chain::anchor::{Anchor, Anchored, format_file};
use audit_chain::name::Set;
use audit_chain::note;
use audit_chain::time::Time;
use tracing::{info, warn};

use super::settings::SealingSettings;
use crate::lock::lock;

/// Where the anchors of a process go: to its log, and to a file if there is one.
#[derive(Debug, Default)]
pub struct AnchorSink {
    file: Option<PathBuf>,
    /// Held while the file is written: the workers share it.
    writing: Mutex<()>,
}

impl AnchorSink {
    /// Appends to this file as well.
    pub fn new(file: Option<PathBuf>) -> Self {
        AnchorSink { file, writing: Mutex::default() }
    }

    fn keep(&self, note: &str) {
        info!(anchor = note, "anchor of the newest seals");
        let Some(path) = &self.file else { return };
        let _writing = lock(&self.writing);
        let appended = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(format_file(&[note]).as_bytes()));
        if let Err(error) = appended {
            warn!(path = %path.display(), %error, "cannot write the anchor; it is in the log only");
        }
    }
}

/// Signs the newest seals of these sets and keeps them.
pub(super) fn anchor(seals: BTreeMap<Set, Anchored>, time: Time, settings: &SealingSettings) {
    let anchor = Anchor::new(settings.origin.clone(), time, seals);
    let Some(anchor) = anchor else { return };
    match note::sign(&anchor.to_string(), &[&settings.keys.current.signing]) {
        Ok(note) => settings.anchors.keep(&note),
        Err(error) => warn!(%error, "cannot sign an anchor"),
    }
}

#[cfg(test)]
mod tests {
    use audit_chain::anchor::split_file;

    use super::*;

    #[test]
    fn anchors_are_appended_to_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("anchors");
        let sink = AnchorSink::new(Some(path.clone()));
        for text in ["one\n", "two\n"] {
            let key =
                audit_chain::key::SigningKey::from_seed("a".parse().expect("a name"), &[1; 32]);
            sink.keep(&note::sign(text, &[&key]).expect("a note"));
        }
        let file = std::fs::read(path).expect("written");
        let notes = split_file(&file).expect("whole notes");
        let texts: Vec<_> = notes.iter().map(|note| note.text()).collect();
        assert_eq!(texts, ["one\n", "two\n"]);
    }
}
