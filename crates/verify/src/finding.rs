//! What a verifier finds. Each kind has a label, and each label an exit code.

use std::collections::BTreeMap;
use std::fmt;

use audit_chain::name;

use crate::record::Place;

/// Findings of a label that are kept as texts; the others are counted.
const TEXTS_MAX: usize = 1_000;

/// Declares the labels, each with its text and its exit code.
macro_rules! labels {
    ($($label:ident = $text:literal, $exit:ident, $meaning:literal;)+) => {
        /// A kind of finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Label { $(#[doc = $meaning] $label,)+ }

        impl Label {
            /// All labels, in the order in which they are printed.
            pub const ALL: &'static [Label] = &[$(Label::$label,)+];

            /// Returns its text.
            pub const fn text(self) -> &'static str {
                match self { $(Label::$label => $text,)+ }
            }

            /// Returns what it means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Label::$label => $meaning,)+ }
            }

            /// Returns the exit code that it leads to.
            pub const fn exit(self) -> Exit {
                match self { $(Label::$label => Exit::$exit,)+ }
            }
        }
    };
}

labels! {
    Altered = "ALTERED", Evidence, "a record is there, and the signed head does not lead to it";
    Missing = "MISSING", Evidence, "a record that was signed is not there";
    Truncated = "TRUNCATED", Evidence, "the last records that were signed are not there";
    Inserted = "INSERTED", Evidence, "a record is not on the signed chain";
    Unsealed = "UNSEALED", Evidence, "a record is beyond the last seal, or the last seal was removed";
    Reordered = "REORDERED", Evidence, "a confirmed record or seal stands in another place";
    Duplicate = "DUPLICATE", Evidence, "the same record or seal stands twice";
    Unconfirmed = "UNCONFIRMED", Evidence, "a damaged record stands between this one and the signature";
    Forked = "FORKED", Evidence, "two signatures contradict each other";
    RolledBack = "ROLLED_BACK", Evidence, "a seal that was remembered elsewhere is not there";
    BadSeal = "BAD_SEAL", Evidence, "a record of the checkpoints topic is no seal of a trusted key";
    SealMissing = "SEAL_MISSING", Evidence, "a seal is not there";
    SealChain = "SEAL_CHAIN", Evidence, "a seal does not follow from the one before it";
    SealTwice = "SEAL_TWICE", Evidence, "two different seals have the same number";
    SealCounts = "SEAL_COUNTS", Evidence, "the counts of a seal do not agree with its events";
    Replayed = "REPLAYED", Evidence, "a part of the input was processed twice";
    Skipped = "SKIPPED", Evidence, "a part of the input was not processed";
    StreamAbsent = "STREAM_ABSENT", Evidence, "an input partition, or an epoch of it, has no seal";
    Expired = "EXPIRED", Unproven, "retention removed the records before the oldest ones";
    StreamNew = "STREAM_NEW", Unproven, "an input partition was added a moment ago, and has no seal yet";
    Stale = "STALE", Unproven, "the newest seal is older than asked for";
    NoAnchor = "NO_ANCHOR", Unproven, "nothing outside the cluster was given to compare with";
    NothingFound = "NOTHING_FOUND", Unproven, "there is neither a seal nor an event";
    TopicConfig = "TOPIC_CONFIG", Unproven, "a topic's settings may remove records";
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// How a verification ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All that was asked for is proven.
    Proven,
    /// Nothing wrong was seen, but not all that was asked for can be proven.
    Unproven,
    /// Evidence of tampering or inconsistency.
    Evidence,
}

impl Exit {
    /// Returns the exit code of the program.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Proven => 0,
            Exit::Evidence => 1,
            Exit::Unproven => 4,
        }
    }
}

/// Names the numbers from `start` to the one before `end`: `seal 3`, or `seals 3 to 5`.
pub(crate) fn range(what: &str, start: u64, end: u64) -> String {
    match end - start {
        1 => format!("{what} {start}"),
        _ => format!("{what}s {start} to {}", end - 1),
    }
}

/// Findings by label, with a limit on how many are kept as texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(BTreeMap<Label, Texts>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Texts {
    kept: Vec<String>,
    count: u64,
}

impl Findings {
    /// Adds a finding.
    pub fn add(&mut self, label: Label, text: impl fmt::Display) {
        let texts = self.0.entry(label).or_default();
        texts.count += 1;
        if texts.kept.len() < TEXTS_MAX {
            texts.kept.push(text.to_string());
        }
    }

    /// Adds a finding about one event of a stream, and where its record stands.
    pub(crate) fn add_event(
        &mut self,
        label: Label,
        stream: &name::Stream,
        number: u64,
        place: &Place,
    ) {
        self.add(label, format_args!("{stream} event {number} ({place})"));
    }

    /// Adds the findings of others.
    pub fn append(&mut self, others: Findings) {
        for (label, Texts { kept, count }) in others.0 {
            let texts = self.0.entry(label).or_default();
            texts.count += count;
            let room = TEXTS_MAX.saturating_sub(texts.kept.len());
            texts.kept.extend(kept.into_iter().take(room));
        }
    }

    /// Returns the findings of a label only.
    #[must_use]
    pub fn of(&self, label: Label) -> Findings {
        Findings(self.0.get(&label).map(|texts| (label, texts.clone())).into_iter().collect())
    }

    /// Removes the findings of a label, and returns whether there were any.
    pub fn remove(&mut self, label: Label) -> bool {
        self.0.remove(&label).is_some()
    }

    /// Iterates over labels with the texts that were kept, and the number of findings.
    pub fn iter(&self) -> impl Iterator<Item = (Label, &[String], u64)> {
        self.0.iter().map(|(label, texts)| (*label, texts.kept.as_slice(), texts.count))
    }

    /// Returns how a verification with these findings ends.
    pub fn exit(&self) -> Exit {
        self.0.keys().map(|label| label.exit()).max().unwrap_or(Exit::Proven)
    }
}
