//! The one table of configuration keys: kind and range, default, meaning.
//!
//! The reader's checks and messages, the defaults, the environment variables, the reference's table
//! are derived from it; tests compare the example file with it.

use super::kind::Kind;
use super::names::{NAME_MAX, STEM_MAX};

/// The default of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// There is none; the key must be given.
    Required,
    /// A value, as it would be written in the file.
    Value(&'static str),
    /// A value that is computed at start, described in words.
    Computed(&'static str),
}

/// One key.
#[derive(Debug, Clone)]
pub struct Setting {
    /// `section.key`; a key of the top level has no section. A trailing `*` stands for any
    /// librdkafka property.
    pub key: &'static str,
    /// What a value must be.
    pub kind: Kind,
    /// The value that is used if the key is not given.
    pub default: DefaultValue,
    /// One line, without the range.
    pub meaning: &'static str,
}

use DefaultValue::{Computed, Required, Value};
use Kind::{
    Action, Address, Boolean, Crn, List, Name, Number, Offsets, Origin, Path, Property, Text,
    Topic, Url, Word,
};

const fn setting(
    key: &'static str,
    kind: Kind,
    default: DefaultValue,
    meaning: &'static str,
) -> Setting {
    Setting { key, kind, default, meaning }
}

/// More workers share one process's memory and metrics without gain; start another process.
pub(super) const WORKERS_MAX: usize = 64;
/// What becomes of an action.
const FATES: Kind = Word(&["skip", "quarantine"]);

/// The keys, in the order in which they are documented.
#[rustfmt::skip] // one key a line reads as the table that it is
pub const SETTINGS: &[Setting] = &[
    setting("instance", Name("an instance name", STEM_MAX), Computed("host name"), "names this process in transactional ids; unique, and the same after a restart"),
    setting("membership", Word(&["dynamic", "static"]), Value("\"dynamic\""), "whether a relay that stops leaves the consumer group at once, or keeps its partitions until session.timeout.ms, so that a restart moves none"),
    setting("workers", Number(1..=WORKERS_MAX as u64), Computed("one per core"), "threads, each with its own consumer and transactional producer; never more than the input has partitions"),
    setting("kafka.bootstrap.servers", Property, Required, "bootstrap brokers: host:port, comma separated"),
    setting("kafka.*", Property, Computed("librdkafka's"), "any librdkafka property for both clients, except those that the promises depend on"),
    setting("kafka.consumer.*", Property, Computed("librdkafka's"), "a property of the consumers only; overrides [kafka]"),
    setting("kafka.producer.*", Property, Computed("librdkafka's"), "a property of the producers only; overrides [kafka]"),
    setting("input.topic", Topic, Value("\"infrastructure.state-changes\""), "topic with the state changes"),
    setting("input.group", Name("a group name", NAME_MAX), Value("\"audit-relay\""), "consumer group; holds the committed offsets"),
    setting("input.pass_over", List(&Offsets), Value("[]"), "offsets that can never be read, to be skipped: \"PARTITION:FIRST-LAST\", both ends included; counted and logged"),
    setting("batch.max_records", Number(1..=100_000), Value("50000"), "input records in one transaction at most"),
    setting("batch.max_bytes", Number(65_536..=268_435_456), Value("16777216"), "bytes written in one transaction at most"),
    setting("batch.max_age_ms", Number(1..=10_000), Value("100"), "milliseconds from a batch's first record to its commit at most"),
    setting("output.topic_prefix", Name("a topic prefix", STEM_MAX), Value("\"audit.events.\""), "prefix of output topics, followed by the region"),
    setting("output.quarantine_topic", Topic, Value("\"audit.quarantine\""), "topic for records that could not be judged"),
    setting("output.regions", List(&Text), Value("[]"), "regions that have an output topic; empty: all of the location profile"),
    setting("output.headers", Boolean, Value("true"), "whether audit events carry the headers type, account, region, location, id"),
    setting("output.max_message_bytes", Number(1_000..=10_485_760), Value("1000000"), "maximum size of an audit event, in bytes"),
    setting("policy.access", List(&Word(&["permission", "device"])), Value("[]"), "further conditions of Infrastructure access"),
    setting("policy.system_on_behalf_of_user", Boolean, Value("false"), "whether system actions on behalf of a user are user-initiated"),
    setting("policy.service_initiators", Boolean, Value("true"), "whether system actions under the iamId of a service, application, profile or certificate in the tables are audited"),
    setting("policy.no_infrastructure_access", FATES, Value("\"skip\""), "fate of an action without Infrastructure access"),
    setting("policy.unknown_principal", FATES, Value("\"quarantine\""), "fate of an action of an unknown principal"),
    setting("policy.clock_skew_ms", Number(0..=3_600_000), Value("5000"), "milliseconds by which the clocks of actions and tables may disagree, either way"),
    setting("catalog.files", List(&Path), Value("[]"), "action catalogue files; empty: the built-in catalogue"),
    setting("catalog.enable", List(&Action), Value("[]"), "actions to enable: names, or a prefix ending in .*"),
    setting("catalog.disable", List(&Action), Value("[]"), "actions to disable: names, or a prefix ending in .*"),
    setting("catalog.permissions", Path, Computed("built in"), "file with the names of permissions and what they mean"),
    setting("locations.file", Path, Computed("built in"), "file with the data centers and their regions"),
    setting("locations.profile", Text, Value("\"six\""), "how data centers map to regions: a profile of the location table; the built-in one has \"six\" and \"all\""),
    setting("crn.target", Crn, Value("\"crn:v1:bluemix:public:{service}:{location}:a/{account}::{resource_type}:{id}\""), "template of target.id"),
    setting("crn.log_source", Crn, Value("\"crn:v1:bluemix:public:{service}:{location}:a/{account}:::\""), "template of logSourceCRN"),
    setting("principals.file", Path, Computed("none"), "file with the principals, one JSON object a line; this or `principals.topic` must be given"),
    setting("principals.topic", Topic, Computed("none"), "compacted topic with the principals, keyed `accountId/userId` or `accountId/iamId`"),
    setting("devices.file", Path, Computed("none"), "file with the devices, one JSON object a line; may be left out"),
    setting("devices.topic", Topic, Computed("none"), "compacted topic with the devices, keyed by device id (`virtualGuest/<id>` for virtual guests), instead of a file"),
    setting("tables.history_hours", Number(1..=87_600), Value("168"), "hours for which superseded versions of tables from topics are kept"),
    setting("tables.staleness_limit_ms", Number(1_000..=3_600_000), Value("60000"), "milliseconds without contact to a table's topic until the relay holds"),
    setting("tables.barrier_limit_ms", Number(10..=600_000), Value("10000"), "milliseconds that a batch waits for the tables to catch up, before it is held and tried again"),
    setting("tables.publish_interval_ms", Number(1..=60_000), Value("20"), "milliseconds between two snapshots of a table at least, unless a batch waits for it"),
    setting("tables.reload_loss_limit_percent", Number(0..=100), Value("50"), "share of a table's keys that may be missing in its file when it is read again; more, and the old table stays"),
    setting("integrity.origin", Origin, Computed("none"), "name of the trail, unique among all trails of an auditor; with `integrity.key` it turns chains and seals on"),
    setting("integrity.key", Path, Computed("none"), "private key that signs the seals, as `audit-relay key new` writes it"),
    setting("integrity.previous_key", Path, Computed("none"), "the private key that signed before, while it is being replaced"),
    setting("integrity.anchor_file", Path, Computed("none"), "file that the newest seals are appended to each minute, besides the log; copies belong outside the cluster"),
    setting("integrity.anchor_url", Url, Computed("none"), "endpoint outside the cluster that the newest seals are sent to each minute, by POST"),
    setting("admin.listen", Address, Value("\"127.0.0.1:9464\""), "address of metrics and health: IP address and port"),
    setting("shutdown.deadline_ms", Number(1_000..=600_000), Value("20000"), "milliseconds to finish after a signal"),
    setting("log.format", Word(&["auto", "text", "json"]), Value("\"auto\""), "how log lines look; auto is text on a terminal, else json"),
    setting("log.level", Word(&["error", "warn", "info", "debug", "trace"]), Value("\"info\""), "the least severe lines that are logged"),
];

/// Returns the row of a key.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// Returns the keys that can be written literally: all of [`SETTINGS`] but the `*` rows.
pub(super) fn literal_keys() -> impl Iterator<Item = &'static str> + Clone {
    SETTINGS.iter().map(|setting| setting.key).filter(|key| !key.ends_with('*'))
}

/// Returns the sections, such as `input`, once for each of their keys.
pub(super) fn sections() -> impl Iterator<Item = &'static str> + Clone {
    SETTINGS.iter().filter_map(|setting| setting.key.split_once('.')).map(|(section, _)| section)
}

/// Returns [`SETTINGS`] as the reference's table: key, default, environment variable, meaning.
pub fn settings_markdown() -> String {
    let mut table = String::from("| key | default | environment | meaning |\n|---|---|---|---|\n");
    for setting in SETTINGS {
        table.push_str(&row(setting));
    }
    table
}

fn row(setting: &Setting) -> String {
    let default = match setting.default {
        Required => "required".to_owned(),
        Value(value) => format!("`{value}`"),
        Computed(words) => words.to_owned(),
    };
    let variable = variable_of(setting.key);
    let range = setting.kind.range().map(|range| format!("; {range}")).unwrap_or_default();
    format!("| `{}` | {default} | `{variable}` | {}{range} |\n", setting.key, setting.meaning)
}

/// The prefix of the relay's environment variables.
pub(super) const ENVIRONMENT_PREFIX: &str = "AUDIT_RELAY_";

/// Returns the environment variable of a key: `input.group` is `AUDIT_RELAY_INPUT__GROUP`.
pub(super) fn variable_of(key: &str) -> String {
    let name = match (key.strip_prefix("kafka."), key.split_once('.')) {
        (Some(property), _) => {
            let scoped = property.replacen("consumer.", "consumer__", 1).replacen(
                "producer.",
                "producer__",
                1,
            );
            format!("kafka__{}", scoped.replace('.', "_"))
        }
        (None, Some((section, key))) => format!("{section}__{key}"),
        (None, None) => key.to_owned(),
    };
    format!("{ENVIRONMENT_PREFIX}{}", name.to_uppercase())
}
