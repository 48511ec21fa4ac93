//! Turns the reports about one record into the lines of `explain`. It judges nothing itself.

use jiff::Timestamp;
use serde::Serialize;

use super::versions::describe;
use audit_judge::classify::{Actor, UserAction};
use audit_judge::enrich::{AttributedAction, KeyLookup, KeyLookups};
use audit_judge::fate::Audited;
use audit_judge::parse::record::Record;
use audit_judge::reference::{DeviceKey, PrincipalKey};
use audit_judge::trace::Trace;

/// What one stage found.
#[derive(Debug, Serialize)]
pub(super) struct StageFinding {
    pub stage: &'static str,
    pub found: String,
}

/// What the stages have found so far.
#[derive(Debug)]
pub(super) struct Findings {
    stages: Vec<StageFinding>,
    /// The next stage to report its result: if none follows, the record stops there.
    next: Option<&'static str>,
    /// Replaces the time of the action.
    at: Option<Timestamp>,
    lookups: Option<TableLookups>,
}

/// The look-ups in the tables, kept until it is known which versions decided.
#[derive(Debug)]
struct TableLookups {
    moment: Timestamp,
    principals: Vec<KeyLookup<PrincipalKey>>,
    device: Option<KeyLookup<DeviceKey>>,
}

impl Findings {
    /// Returns an empty list for a record that is judged as of `at`.
    pub(super) const fn of(at: Option<Timestamp>) -> Self {
        Findings { stages: Vec::new(), next: Some("parse"), at, lookups: None }
    }

    /// Returns all findings. `reason` says why the record was rejected, if it was.
    pub(super) fn finish(mut self, reason: &str) -> Vec<StageFinding> {
        self.flush_lookups();
        if let Some(stage) = self.next {
            self.found(stage, format!("stops here: {reason}"));
        }
        self.stages
    }

    fn found(&mut self, stage: &'static str, found: String) {
        self.stages.push(StageFinding { stage, found });
    }

    fn flush_lookups(&mut self) {
        let Some(TableLookups { moment, principals, device }) = self.lookups.take() else {
            return;
        };
        let principals = principals.iter().flat_map(|lookup| describe("principal", lookup, moment));
        let device = device.iter().flat_map(|lookup| describe("device", lookup, moment));
        for line in principals.chain(device) {
            self.found("enrich", line);
        }
    }
}

impl Trace for Findings {
    fn parsed(&mut self, record: &Record<'_>) {
        self.found("parse", record.to_string());
        self.next = Some("classify");
    }

    /// Explains a CloudEvent by its data.
    fn unwrapped(&mut self) {
        *self = Findings::of(self.at);
    }

    fn classified(&mut self, action: &UserAction<'_>) {
        self.found("classify", describe_action(action));
        if let Some(at) = self.at {
            self.found("classify", format!("judged as if it had happened at {at}"));
        }
        self.next = Some("enrich");
    }

    fn looked_up(&mut self, lookups: &KeyLookups<'_, '_>) {
        self.lookups = Some(TableLookups {
            moment: lookups.moment(),
            principals: lookups.principals(),
            device: lookups.device(),
        });
    }

    fn attributed(&mut self, action: &AttributedAction<'_>) {
        let principals = self.lookups.iter_mut().flat_map(|lookups| &mut lookups.principals);
        for lookup in principals {
            let mut identities = std::iter::once(&action.initiator).chain(&action.authenticated);
            let used = identities.find(|identity| identity.key == lookup.key);
            lookup.decides = used.map(|identity| identity.valid_from);
        }
        self.flush_lookups();
        self.found("enrich", describe_attribution(action));
        self.next = Some("route");
    }

    fn routed(&mut self, region: &str) {
        self.found("route", format!("region {region}"));
        self.next = Some("format");
    }

    fn formatted(&mut self, _: &Audited) {
        self.next = None;
    }
}

fn describe_action(action: &UserAction<'_>) -> String {
    let by = match action.actor {
        Actor::User => "a user",
        Actor::SystemOnBehalfOfUser => "the system on behalf of a user",
        Actor::Service => "the system under an IAM identity",
    };
    format!("{}, by {by}", action.action.name)
}

fn describe_attribution(attributed: &AttributedAction<'_>) -> String {
    format!(
        "initiator {} of account {}, with access; data center {}",
        attributed.initiator.iam_id, attributed.account, attributed.place.data_center
    )
}
