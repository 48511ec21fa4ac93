//! Builds a [`Config`] section by section from the reader, and checks what must fit together.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use audit_judge::rules::crn::{CrnTemplate, CrnTemplates};
use audit_judge::rules::policy::{AccessRules, Policy};

use super::environment::Environment;
use super::http_url::HttpUrl;
use super::kafka::{self, PropertyCheck};
use super::pass_over;
use super::read::SettingsReader;
use super::sections::{
    AdminSettings, CatalogSettings, Config, InputSettings, IntegritySettings, LocationSettings,
    LogFormat, LogSettings, Membership, OutputSettings, ShutdownSettings,
};
use super::settings::{WORKERS_MAX, find};
use super::tables;
use super::topics::{keep_outputs_apart, keep_tables_apart};
use crate::stream::PassOver;
use crate::stream::batch::BatchLimits;

/// Reads every section.
pub(super) fn build(
    reader: &mut SettingsReader<'_>,
    environment: &Environment,
    check: PropertyCheck<'_>,
) -> Config {
    let instance = instance(reader);
    let membership = membership(reader);
    let workers = workers(reader);
    let kafka = kafka::read(reader, environment, check);
    let (input, batch, output) = (input(reader), batch(reader), output(reader));
    let integrity = integrity(reader);
    keep_outputs_apart(reader, &input, &output, integrity.is_some());
    let principals = tables::principals(reader);
    let devices = tables::source(reader, "devices");
    let sources = [("principals.topic", Some(&principals)), ("devices.topic", devices.as_ref())];
    keep_tables_apart(reader, &input, &output, sources);
    Config {
        instance,
        membership,
        workers,
        kafka,
        input,
        batch,
        output,
        policy: policy(reader),
        catalog: catalog(reader),
        locations: LocationSettings {
            file: reader.path("locations.file"),
            profile: reader.text("locations.profile"),
        },
        crn: CrnTemplates {
            target: crn(reader, "crn.target"),
            log_source: crn(reader, "crn.log_source"),
        },
        principals,
        devices,
        tables: tables::tables(reader),
        integrity,
        admin: admin(reader),
        shutdown: ShutdownSettings { deadline: reader.milliseconds("shutdown.deadline_ms") },
        log: log(reader),
    }
}

fn instance(reader: &mut SettingsReader<'_>) -> String {
    const KEY: &str = "instance";
    if let Some(name) = reader.optional_text(KEY) {
        return name;
    }
    let name = gethostname::gethostname().to_string_lossy().into_owned();
    let is_legal = find(KEY).is_some_and(|setting| setting.kind.check(&name).is_ok());
    if !is_legal && !reader.has_problem(KEY) {
        reader.problem(
            KEY,
            format!("not set, and the host name {name:?} is not a valid one; set an instance name"),
        );
    }
    name
}

fn membership(reader: &mut SettingsReader<'_>) -> Membership {
    match reader.text("membership").as_str() {
        "static" => Membership::Static,
        _ => Membership::Dynamic,
    }
}

fn workers(reader: &mut SettingsReader<'_>) -> NonZeroUsize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let count = reader.number("workers").unwrap_or(cores.min(WORKERS_MAX));
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}

fn input(reader: &mut SettingsReader<'_>) -> InputSettings {
    InputSettings {
        topic: reader.text("input.topic"),
        group: reader.text("input.group"),
        pass_over: passed_over(reader),
    }
}

fn passed_over(reader: &mut SettingsReader<'_>) -> Vec<PassOver> {
    const KEY: &str = "input.pass_over";
    let mut stretches: Vec<PassOver> = Vec::new();
    for text in reader.list(KEY) {
        let Some(stretch) = pass_over::parse(&text) else {
            continue;
        };
        if stretches.iter().any(|other| pass_over::overlap(other, &stretch)) {
            reader.problem(KEY, format!("{text:?} overlaps another entry; merge them"));
        }
        stretches.push(stretch);
    }
    stretches
}

fn batch(reader: &mut SettingsReader<'_>) -> BatchLimits {
    BatchLimits {
        max_records: reader.number("batch.max_records").unwrap_or_default(),
        max_bytes: reader.number("batch.max_bytes").unwrap_or_default(),
        max_age: reader.milliseconds("batch.max_age_ms"),
    }
}

fn output(reader: &mut SettingsReader<'_>) -> OutputSettings {
    OutputSettings {
        topic_prefix: reader.text("output.topic_prefix"),
        quarantine_topic: reader.text("output.quarantine_topic"),
        regions: reader.list("output.regions"),
        headers: reader.boolean("output.headers"),
        max_message_bytes: reader.number("output.max_message_bytes").unwrap_or_default(),
    }
}

fn policy(reader: &mut SettingsReader<'_>) -> Policy {
    let rules = reader.list("policy.access");
    let has = |name: &str| rules.iter().any(|rule| rule == name);
    Policy {
        access: AccessRules { permission: has("permission"), device: has("device") },
        system_on_behalf_of_user: reader.boolean("policy.system_on_behalf_of_user"),
        service_initiators: reader.boolean("policy.service_initiators"),
        quarantine_no_infrastructure_access: reader.text("policy.no_infrastructure_access")
            == "quarantine",
        skip_unknown_principal: reader.text("policy.unknown_principal") == "skip",
        clock_skew_ms: reader.number("policy.clock_skew_ms").unwrap_or_default(),
    }
}

fn catalog(reader: &mut SettingsReader<'_>) -> CatalogSettings {
    let files = reader.list("catalog.files").iter().map(|path| reader.resolve(path)).collect();
    let (enable, disable) = (reader.list("catalog.enable"), reader.list("catalog.disable"));
    for action in enable.iter().filter(|it| !it.is_empty() && disable.contains(it)) {
        reader.problem(
            "catalog.disable",
            format!("{action:?} is also in catalog.enable; remove one of the two"),
        );
    }
    CatalogSettings { files, enable, disable, permissions: reader.path("catalog.permissions") }
}

fn crn(reader: &mut SettingsReader<'_>, key: &str) -> CrnTemplate {
    CrnTemplate::parse(&reader.text(key)).unwrap_or_default()
}

/// Reads what turns chains and seals on: both a name and a key, or neither.
fn integrity(reader: &mut SettingsReader<'_>) -> Option<IntegritySettings> {
    const ORIGIN: &str = "integrity.origin";
    const KEY: &str = "integrity.key";
    const MORE: [&str; 3] =
        ["integrity.previous_key", "integrity.anchor_file", "integrity.anchor_url"];
    let is_given = [ORIGIN, KEY].map(|key| reader.has(key));
    let needs_origin = [KEY].into_iter().chain(MORE).map(|other| (ORIGIN, other));
    for (key, other) in needs_origin.chain([(KEY, ORIGIN)]) {
        if reader.has(other) && !reader.has(key) && !reader.has_problem(key) {
            reader.problem(key, format!("not set, but {other} is; set both or neither"));
        }
    }
    let origin = reader.optional_text(ORIGIN).and_then(|text| text.parse().ok());
    let key = reader.path(KEY);
    let [previous_key, anchor_file, anchor_url] = MORE;
    let previous_key = reader.path(previous_key);
    let anchor_file = reader.path(anchor_file);
    let anchor_url = reader.optional_text(anchor_url);
    let anchor_url = anchor_url.and_then(|text| HttpUrl::parse(&text).ok());
    match (is_given, origin, key) {
        ([true, true], Some(origin), Some(key)) => {
            Some(IntegritySettings { origin, key, previous_key, anchor_file, anchor_url })
        }
        _ => None,
    }
}

fn admin(reader: &mut SettingsReader<'_>) -> AdminSettings {
    let address = reader.text("admin.listen").parse();
    AdminSettings { listen: address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))) }
}

fn log(reader: &mut SettingsReader<'_>) -> LogSettings {
    let format = match reader.text("log.format").as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        _ => LogFormat::Auto,
    };
    LogSettings { format, level: reader.text("log.level") }
}
