//! The output of the demo: one line per audit event, then a summary.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::Deserialize;

use crate::commands::{print, visible};
use crate::kafka::demo_broker::DemoOutput;
use crate::kafka::topics::TopicNames;
use crate::metrics::Metrics;
use audit_judge::fate::FateKind;

/// Prints a line. Errors are ignored: the reader may close the pipe early, and the demo ends by
/// itself.
macro_rules! line {
    ($($text:tt)*) => {
        let _ = print(format_args!($($text)*));
    };
}

/// The next commands for a new user.
const NEXT: [(&str, &str); 3] = [
    ("audit-relay config > relay.toml", "write an example with every key; set brokers and tables"),
    ("audit-relay check --config relay.toml --connect", "check the configuration and the cluster"),
    (
        "audit-relay explain --config relay.toml message.json",
        "explain why a message is audited or not",
    ),
];

/// Prints the outputs and counts them.
pub(super) struct Screen {
    quarantine: String,
    address: SocketAddr,
    topics: BTreeMap<String, u64>,
    actions: BTreeSet<String>,
}

/// The part of an audit event that fits into a line.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "eventTime")]
    event_time: String,
    action: String,
    outcome: String,
    initiator: Named,
    target: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Screen {
    /// A screen that has printed nothing.
    pub(super) fn new(names: &TopicNames, address: SocketAddr) -> Self {
        Screen {
            quarantine: names.quarantine.clone(),
            address,
            topics: names.outputs().map(|topic| (topic.to_string(), 0)).collect(),
            actions: BTreeSet::new(),
        }
    }

    /// Prints what the demo will do.
    pub(super) fn opening(&self, records: u32, broker: &str) {
        line!(
            "audit-relay demo: {records} state changes through the real relay, on an embedded broker"
        );
        line!("broker          {broker}");
        line!("status          http://{}/", self.address);
        line!("metrics         http://{}/metrics", self.address);
        line!("joining the consumer group; audit events appear below as they are committed\n");
    }

    /// Shows a record of an output topic.
    pub(super) fn show(&mut self, written: DemoOutput<'_>) {
        let DemoOutput { topic, value, reason, detail } = written;
        *self.topics.entry(topic.to_string()).or_default() += 1;
        if topic == self.quarantine {
            let shown = |text: Option<&str>| visible(text.unwrap_or("missing"));
            line!("{topic:<24}  {}: {}", shown(reason), shown(detail));
            return;
        }
        match serde_json::from_slice::<Line>(value) {
            Ok(line) => {
                let time = line.event_time.get(11..22).unwrap_or_default();
                line!(
                    "{topic:<24}  {time}  {:<38} {:<8} {} by {}",
                    line.action,
                    line.outcome,
                    line.target.name,
                    line.initiator.name
                );
                self.actions.insert(line.action);
            }
            Err(error) => {
                line!("{topic:<24}  not an audit event: {error}");
            }
        }
    }

    /// Returns the number of records that were shown.
    pub(super) fn seen(&self) -> u64 {
        self.topics.values().sum()
    }

    /// Prints the summary.
    pub(super) fn summary(&self, metrics: &Metrics) {
        line!("\nwritten to");
        for (topic, count) in &self.topics {
            line!("  {topic:<36} {count:>7}");
        }
        line!("  {} different actions", self.actions.len());
        line!("fates");
        let counts = metrics.counts();
        for kind in FateKind::all() {
            let count = counts.fate(kind);
            if count > 0 {
                let name = format!("{} {}", kind.fate(), kind.reason());
                line!("  {name:<36} {count:>7}");
            }
        }
        let (audited, skipped, quarantined) =
            (counts.audited(), counts.skipped(), counts.quarantined());
        line!(
            "accounted       read {} = audited {} + skipped {} + quarantined {}{}",
            counts.read,
            audited,
            skipped,
            quarantined,
            if counts.read == audited + skipped + quarantined { "" } else { "   NOT EQUAL" }
        );
        line!("status was at http://{}/ (--keep keeps it running)", self.address);
        line!("\nnext");
        for (command, what) in NEXT {
            line!("  {command:<50} # {what}");
        }
    }
}
