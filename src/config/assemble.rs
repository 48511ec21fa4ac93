//! Builds a [`Config`] section by section from the reader: the limits of every value, and what must
//! fit together.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;

use super::effective;
use super::environment::{Environment, overlay};
use super::kafka;
use super::load;
use super::names::{
    MAX_NAME, MAX_STEM, check_crn_template, is_action, is_name, is_topic, output_topic_complaints,
};
use super::pass_over;
use super::read::Reader;
use super::tables;
use super::{
    AccessRules, Admin, BatchLimits, CatalogSettings, Config, CrnTemplates, Draft, Input, Instance,
    LocationSettings, LogFormat, LogSettings, Output, Policy, Problems, PropertyCheck, Shutdown,
};

/// More threads than this share one process's memory and metrics to nobody's good; start another
/// process.
const MAX_WORKERS: usize = 64;

/// Lays defaults, file and environment over each other and reads the result.
pub(super) fn config(
    text: &str,
    name: &str,
    folder: &Path,
    environment: impl Iterator<Item = (String, String)>,
    check: PropertyCheck<'_>,
) -> Result<Draft, Problems> {
    let environment: Environment = environment.collect();
    let mut tree = load::defaults();
    let mut problems =
        load::file(text, name, &mut tree).map_err(|problem| Problems(vec![problem]))?;
    problems.extend(overlay(&mut tree, &environment));
    let values = effective::shown(&tree);
    let mut reader = Reader::new(tree, problems, folder.to_owned());
    let config = assemble(&mut reader, &environment, check);
    Ok(Draft { config, values, problems: reader.finish() })
}

fn assemble(reader: &mut Reader, environment: &Environment, check: PropertyCheck<'_>) -> Config {
    let instance = instance(reader);
    let workers = workers(reader);
    let kafka = kafka::read(reader, environment, check);
    let (input, batch) = (input(reader), batch(reader));
    let output = output(reader, &input);
    let principals = tables::principals(reader);
    let devices = tables::source(reader, "devices");
    tables::keep_topics_apart(reader, &input, &output, &principals, devices.as_ref());
    Config {
        instance,
        workers,
        kafka,
        input,
        batch,
        output,
        policy: policy(reader),
        catalog: catalog(reader),
        locations: locations(reader),
        crn: CrnTemplates {
            target: crn(reader, "crn.target"),
            log_source: crn(reader, "crn.log_source"),
        },
        principals,
        devices,
        tables: tables::tables(reader),
        admin: Admin { listen: listen(reader) },
        shutdown: Shutdown {
            deadline: reader.milliseconds("shutdown.deadline_ms", 1_000..=600_000),
        },
        log: log(reader),
    }
}

fn instance(reader: &mut Reader) -> Instance {
    if let Some(name) = reader.optional_text("instance") {
        if !is_name(&name, MAX_STEM) {
            reader.problem(
                "instance",
                format!("{name:?} will not do; give 1 to {MAX_STEM} of a-z A-Z 0-9 . _ -"),
            );
        }
        return Instance { name, configured: true };
    }
    let name = gethostname::gethostname().to_string_lossy().into_owned();
    if !is_name(&name, MAX_STEM) && !reader.has_problem("instance") {
        reader.problem(
            "instance",
            format!("not given, and the host name {name:?} will not do in its place; give one"),
        );
    }
    Instance { name, configured: false }
}

fn workers(reader: &mut Reader) -> NonZeroUsize {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let given = reader.optional_number("workers", 1..=MAX_WORKERS as u64);
    let count =
        given.and_then(|count| usize::try_from(count).ok()).unwrap_or(cores.min(MAX_WORKERS));
    NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN)
}

fn input(reader: &mut Reader) -> Input {
    let group = format!("a group name: 1 to {MAX_NAME} of a-z A-Z 0-9 . _ -");
    Input {
        topic: topic(reader, "input.topic"),
        group: reader.legal_text("input.group", &group, |name| is_name(name, MAX_NAME)),
        pass_over: pass_over::read(reader),
    }
}

fn batch(reader: &mut Reader) -> BatchLimits {
    BatchLimits {
        max_records: reader.size("batch.max_records", 1..=100_000),
        max_bytes: reader.size("batch.max_bytes", 65_536..=268_435_456),
        max_age: reader.milliseconds("batch.max_age_ms", 1..=10_000),
    }
}

fn output(reader: &mut Reader, input: &Input) -> Output {
    let prefix = format!("a topic prefix: 1 to {MAX_STEM} of a-z A-Z 0-9 . _ -");
    let output = Output {
        topic_prefix: reader
            .legal_text("output.topic_prefix", &prefix, |name| is_name(name, MAX_STEM)),
        quarantine_topic: topic(reader, "output.quarantine_topic"),
        regions: reader.list("output.regions"),
        headers: reader.boolean("output.headers"),
        max_message_bytes: reader.size("output.max_message_bytes", 1_000..=10_485_760),
    };
    keep_topics_apart(reader, input, &output);
    output
}

fn keep_topics_apart(reader: &mut Reader, input: &Input, output: &Output) {
    let key = "output.quarantine_topic";
    let is_known = !reader.has_problem(key) && !reader.has_problem("input.topic");
    if is_known && output.quarantine_topic == input.topic {
        reader.problem(key, format!("{:?} is the input topic as well; give another", input.topic));
    }
    if reader.has_problem("output.topic_prefix") || reader.has_problem("output.regions") {
        return;
    }
    for complaint in output_topic_complaints(input, output, &output.regions) {
        reader.problem("output.regions", complaint);
    }
}

fn policy(reader: &mut Reader) -> Policy {
    const FATES: &[(&str, bool)] = &[("skip", false), ("quarantine", true)];
    let quarantine = |reader: &mut Reader, key| reader.choice(key, FATES).unwrap_or_default();
    Policy {
        access: access(reader),
        system_on_behalf_of_user: reader.boolean("policy.system_on_behalf_of_user"),
        service_initiators: reader.boolean("policy.service_initiators"),
        quarantine_no_infrastructure_access: quarantine(reader, "policy.no_infrastructure_access"),
        skip_unknown_principal: !quarantine(reader, "policy.unknown_principal"),
        clock_skew_ms: u32::try_from(reader.number("policy.clock_skew_ms", 0..=3_600_000))
            .unwrap_or(Policy::CLOCK_SKEW_MS),
    }
}

fn access(reader: &mut Reader) -> AccessRules {
    const KEY: &str = "policy.access";
    let rules = reader.list(KEY);
    for rule in rules.iter().filter(|rule| !["permission", "device", ""].contains(&rule.as_str())) {
        reader.problem(KEY, format!("{rule:?} will not do; give permission, device, both or none"));
    }
    let has = |name: &str| rules.iter().any(|rule| rule == name);
    AccessRules { permission: has("permission"), device: has("device") }
}

fn catalog(reader: &mut Reader) -> CatalogSettings {
    let files = reader.list("catalog.files").iter().map(|path| reader.resolve(path)).collect();
    let (enable, disable) = (actions(reader, "catalog.enable"), actions(reader, "catalog.disable"));
    for action in enable.iter().filter(|action| disable.contains(action)) {
        reader.problem(
            "catalog.disable",
            format!("{action:?} stands in catalog.enable as well; remove one"),
        );
    }
    CatalogSettings { files, enable, disable, permissions: reader.path("catalog.permissions") }
}

fn actions(reader: &mut Reader, key: &str) -> Vec<String> {
    let actions = reader.list(key);
    for action in actions.iter().filter(|action| !action.is_empty() && !is_action(action)) {
        reader.problem(
            key,
            format!("{action:?} will not do; give an action's name, or a prefix ending in .*"),
        );
    }
    actions
}

fn locations(reader: &mut Reader) -> LocationSettings {
    LocationSettings {
        file: reader.path("locations.file"),
        profile: reader.text("locations.profile"),
    }
}

fn crn(reader: &mut Reader, key: &str) -> String {
    let template = reader.text(key);
    if reader.has_problem(key) {
        return template;
    }
    if let Err(complaint) = check_crn_template(&template) {
        reader.problem(key, complaint);
    }
    template
}

fn listen(reader: &mut Reader) -> SocketAddr {
    let is_address = |text: &str| text.parse::<SocketAddr>().is_ok();
    let text = reader.legal_text(
        "admin.listen",
        "an IP address and port, such as 0.0.0.0:9464",
        is_address,
    );
    text.parse().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))
}

fn log(reader: &mut Reader) -> LogSettings {
    let formats = [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = ["error", "warn", "info", "debug", "trace"].map(|level| (level, level));
    LogSettings {
        format: reader.choice("log.format", &formats).unwrap_or(LogFormat::Auto),
        level: reader.choice("log.level", &levels).unwrap_or_default().to_owned(),
    }
}

fn topic(reader: &mut Reader, key: &str) -> String {
    reader.legal_text(key, "a topic name: 1 to 249 of a-z A-Z 0-9 . _ -", is_topic)
}
