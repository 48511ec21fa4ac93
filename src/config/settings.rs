//! Every key of the configuration with its default and its meaning, once.
//!
//! The reader takes known keys and defaults from here, the README its table, and the tests what the
//! example file must mention. Ranges are not here: they stand where a value is read.

/// What holds when a key is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultValue {
    /// There is none; the key must be given.
    Required,
    /// A value, as one would write it in the file.
    Value(&'static str),
    /// Something worked out at start, in words.
    Computed(&'static str),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// `section.key`; a key of the top level has no section. A trailing `*` stands for any
    /// librdkafka property.
    pub key: &'static str,
    /// What holds when it is not given.
    pub default: DefaultValue,
    /// One line.
    pub meaning: &'static str,
}

use DefaultValue::{Computed, Required, Value};

const fn setting(key: &'static str, default: DefaultValue, meaning: &'static str) -> Setting {
    Setting { key, default, meaning }
}

/// The keys, in the order in which they are documented.
#[rustfmt::skip] // one key a line reads as the table that it is
pub const SETTINGS: &[Setting] = &[
    setting("instance", Computed("host name"), "names this process: transactional ids; static group membership when it is given"),
    setting("workers", Computed("one per core"), "threads, each with its own consumer and transactional producer; 1 to 64"),
    setting("kafka.bootstrap.servers", Required, "brokers to begin with: host:port, comma separated"),
    setting("kafka.*", Computed("librdkafka's"), "any librdkafka property for both clients, except those the promises rest on"),
    setting("kafka.consumer.*", Computed("librdkafka's"), "a property for the consumers alone; wins over [kafka]"),
    setting("kafka.producer.*", Computed("librdkafka's"), "a property for the producers alone; wins over [kafka]"),
    setting("input.topic", Value("\"infrastructure.state-changes\""), "topic with the state changes"),
    setting("input.group", Value("\"audit-relay\""), "consumer group; holds the committed offsets"),
    setting("input.pass_over", Value("[]"), "offsets that can never be read, to go on behind: \"PARTITION:FIRST-LAST\", both ends included; counted and logged"),
    setting("batch.max_records", Value("50000"), "input records in one transaction at most; 1 to 100000"),
    setting("batch.max_bytes", Value("16777216"), "bytes to be written in one transaction at most; 65536 to 268435456"),
    setting("batch.max_age_ms", Value("100"), "milliseconds from a batch's first record to its commit at most; 1 to 10000"),
    setting("output.topic_prefix", Value("\"audit.events.\""), "output topics are this and the region"),
    setting("output.quarantine_topic", Value("\"audit.quarantine\""), "topic for records that could not be judged"),
    setting("output.regions", Value("[]"), "regions that have an output topic; empty: all of the location profile"),
    setting("output.headers", Value("true"), "whether audit events carry the headers type, account, region, location, id"),
    setting("output.max_message_bytes", Value("1000000"), "largest audit event; 1000 to 10485760"),
    setting("policy.access", Value("[]"), "what access means beyond holding it at all: \"permission\", \"device\""),
    setting("policy.system_on_behalf_of_user", Value("false"), "whether system actions on behalf of a user are user-initiated"),
    setting("policy.service_initiators", Value("true"), "whether system actions under the iamId of a service, application, profile or certificate in the tables are audited"),
    setting("policy.no_infrastructure_access", Value("\"skip\""), "fate of an action without Infrastructure access: \"skip\" or \"quarantine\""),
    setting("policy.unknown_principal", Value("\"quarantine\""), "fate of an action of an unknown principal: \"quarantine\" or \"skip\""),
    setting("policy.clock_skew_ms", Value("5000"), "milliseconds by which the clocks of actions and tables may disagree, either way; 0 to 3600000"),
    setting("catalog.files", Value("[]"), "action catalogue files; empty: the built-in catalogue"),
    setting("catalog.enable", Value("[]"), "actions to enable: names, or a prefix ending in .*"),
    setting("catalog.disable", Value("[]"), "actions to disable: names, or a prefix ending in .*"),
    setting("catalog.permissions", Computed("built in"), "file with the names of permissions and what they mean"),
    setting("locations.file", Computed("built in"), "file with the data centers and their regions"),
    setting("locations.profile", Value("\"six\""), "how data centers map to regions: a profile of the location table; the built-in one has \"six\" and \"all\""),
    setting("crn.target", Value("\"crn:v1:bluemix:public:{service}:{location}:a/{account}::{resource_type}:{id}\""), "template of target.id"),
    setting("crn.log_source", Value("\"crn:v1:bluemix:public:{service}:{location}:a/{account}:::\""), "template of logSourceCRN"),
    setting("principals.file", Computed("none"), "file with the principals, one JSON object a line; this or `principals.topic` must be given"),
    setting("principals.topic", Computed("none"), "compacted topic with the principals, keyed `accountId/userId` or `accountId/iamId`"),
    setting("devices.file", Computed("none"), "file with the devices, one JSON object a line; may be left out"),
    setting("devices.topic", Computed("none"), "compacted topic with the devices, keyed by device id (`virtualGuest/<id>` for virtual guests), instead of a file"),
    setting("tables.history_hours", Value("168"), "hours for which superseded versions of tables from topics are kept; 1 to 87600"),
    setting("tables.staleness_limit_ms", Value("60000"), "milliseconds without contact to a table's topic until the relay holds; 1000 to 3600000"),
    setting("tables.barrier_limit_ms", Value("10000"), "milliseconds that a batch waits for the tables to catch up, before it is held and tried again; 10 to 600000"),
    setting("tables.publish_interval_ms", Value("20"), "milliseconds between two snapshots of a table at least, unless a batch waits for it; 1 to 60000"),
    setting("tables.reload_loss_limit_percent", Value("50"), "share of a table's keys that may be missing in its file when it is read again; more, and the old table stays; 0 to 100"),
    setting("admin.listen", Value("\"127.0.0.1:9464\""), "address of metrics and health: IP address and port"),
    setting("shutdown.deadline_ms", Value("20000"), "milliseconds to finish after a signal; 1000 to 600000"),
    setting("log.format", Value("\"auto\""), "\"text\", \"json\", or \"auto\": text on a terminal, else json"),
    setting("log.level", Value("\"info\""), "error, warn, info, debug or trace"),
];

/// The keys that can be written literally: all of [`SETTINGS`] but the `*` rows.
pub(super) fn literal_keys() -> impl Iterator<Item = &'static str> + Clone {
    SETTINGS.iter().map(|setting| setting.key).filter(|key| !key.ends_with('*'))
}

/// The sections, such as `input`; one comes as often as it has keys.
pub(super) fn sections() -> impl Iterator<Item = &'static str> + Clone {
    SETTINGS.iter().filter_map(|setting| setting.key.split_once('.')).map(|(section, _)| section)
}

/// [`SETTINGS`] as the table of the README: key, default, environment variable, meaning.
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
    format!("| `{}` | {default} | `{variable}` | {} |\n", setting.key, setting.meaning)
}

/// What every variable of ours begins with.
pub(super) const ENVIRONMENT_PREFIX: &str = "AUDIT_RELAY_";

/// The variable of a key: `input.group` is `AUDIT_RELAY_INPUT__GROUP`.
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
