//! Every refusal with its text, and many at once.

use super::super::Config;
use super::{check_refused, complaints, read, variables};

/// Text after the minimal configuration, whose first line is line 3; key and complaint.
#[test]
fn values_that_will_not_do() {
    #[rustfmt::skip] // one case a line reads as the table that it is
    let cases = [
        ("workers = 0", "workers: 0 will not do; give a whole number from 1 to 64"),
        ("workers = 65", "workers: 65 will not do; give a whole number from 1 to 64"),
        ("workers = \"4\"", "workers: \"4\" will not do; give a whole number from 1 to 64, without quotes"),
        ("workers = 9223372036854775808", "workers: an integer beyond 64 bits will not do; give a whole number from 1 to 64"),
        ("workers = 1.5", "workers: 1.5 will not do; give a whole number from 1 to 64"),
        ("instance = \"a b\"", "instance: \"a b\" will not do; give 1 to 200 of a-z A-Z 0-9 . _ -"),
        ("instance = \" \"", "instance: empty; give a value or leave the key out"),
        ("input.topic = \"a/b\"", "input.topic: \"a/b\" will not do; give a topic name: 1 to 249 of a-z A-Z 0-9 . _ -"),
        ("input.topic = \"..\"", "input.topic: \"..\" will not do; give a topic name: 1 to 249 of a-z A-Z 0-9 . _ -"),
        ("input.topic = 5", "input.topic: 5 will not do; give text in quotes"),
        ("input.group = \"ä\"", "input.group: \"ä\" will not do; give a group name: 1 to 249 of a-z A-Z 0-9 . _ -"),
        ("input.pass_over = [\"3:9-5\"]", "input.pass_over: \"3:9-5\" will not do; give PARTITION:FIRST-LAST, such as 3:1200-1299"),
        ("input.pass_over = [\"3:1-5\", \"3:5-9\"]", "input.pass_over: \"3:5-9\" overlaps another entry; join them"),
        ("batch.max_records = 100001", "batch.max_records: 100001 will not do; give a whole number from 1 to 100000"),
        ("batch.max_records = -1", "batch.max_records: -1 will not do; give a whole number from 1 to 100000"),
        ("batch.max_bytes = 65535", "batch.max_bytes: 65535 will not do; give a whole number from 65536 to 268435456"),
        ("batch.max_age_ms = 10001", "batch.max_age_ms: 10001 will not do; give a whole number from 1 to 10000"),
        ("output.max_message_bytes = 999", "output.max_message_bytes: 999 will not do; give a whole number from 1000 to 10485760"),
        ("output.topic_prefix = \"a b\"", "output.topic_prefix: \"a b\" will not do; give a topic prefix: 1 to 200 of a-z A-Z 0-9 . _ -"),
        ("output.headers = \"true\"", "output.headers: \"true\" will not do; give true or false, without quotes"),
        ("output.regions = \"us-south\"", "output.regions: \"us-south\" will not do; give a list of texts, such as [\"one\", \"two\"]"),
        ("output.regions = [1]", "output.regions: a list will not do; give a list of texts, such as [\"one\", \"two\"]"),
        ("output.regions = [\"a\", \"\"]", "output.regions: entry 2 is empty; remove it"),
        ("output.regions = [\"a\", \"a\"]", "output.regions: \"a\" is listed twice; remove one"),
        ("output.regions = [\"a b\"]", "output.regions: the topic \"audit.events.a b\" of region \"a b\" is no legal topic name (1 to 249 of a-z A-Z 0-9 . _ -); change the prefix or the region"),
        ("policy.access = [\"devices\"]", "policy.access: \"devices\" will not do; give permission, device, both or none"),
        ("policy.no_infrastructure_access = \"quarantined\"", "policy.no_infrastructure_access: \"quarantined\" will not do; give one of skip, quarantine; did you mean quarantine?"),
        ("policy.unknown_principal = true", "policy.unknown_principal: true will not do; give text in quotes"),
        ("catalog.enable = [\"*\"]", "catalog.enable: \"*\" will not do; give an action's name, or a prefix ending in .*"),
        ("crn.target = \"urn:{id}\"", "crn.target: \"urn:{id}\" will not do; begin with crn: and use no blanks"),
        ("crn.target = \"crn:{id\"", "crn.target: \"crn:{id\" has an unpaired brace; write placeholders as {name}"),
        ("crn.target = \"crn:id}\"", "crn.target: \"crn:id}\" has an unpaired brace; write placeholders as {name}"),
        ("crn.log_source = \"crn:{region}\"", "crn.log_source: {region} is not a placeholder; use {service} {location} {account} {resource_type} {id}"),
        ("principals.topic = \"t\"", "principals.topic: principals.file is given as well; a table has one source, remove one of them"),
        ("devices.topic = \"a b\"", "devices.topic: \"a b\" will not do; give a topic name: 1 to 249 of a-z A-Z 0-9 . _ -"),
        ("devices.topic = \"audit.quarantine\"", "devices.topic: \"audit.quarantine\" is output.quarantine_topic as well; give another topic"),
        ("tables.barrier_limit_ms = 9", "tables.barrier_limit_ms: 9 will not do; give a whole number from 10 to 600000"),
        ("admin.listen = \"localhost:9464\"", "admin.listen: \"localhost:9464\" will not do; give an IP address and port, such as 0.0.0.0:9464"),
        ("shutdown.deadline_ms = 999", "shutdown.deadline_ms: 999 will not do; give a whole number from 1000 to 600000"),
        ("log.format = \"xml\"", "log.format: \"xml\" will not do; give one of auto, text, json"),
        ("log.level = \"warning\"", "log.level: \"warning\" will not do; give one of error, warn, info, debug, trace"),
        ("inptu.group = \"g\"", "inptu.group: unknown key; remove it; did you mean input.group?"),
        ("input.max_records = 5", "input.max_records: unknown key; remove it; did you mean batch.max_records?"),
        ("group = \"g\"", "group: unknown key; remove it; did you mean input.group?"),
        ("nonsense = 1", "nonsense: unknown key; remove it"),
        ("input = 5", "input: a section, not a value; write [input] and its keys below"),
        ("[[input]]\ngroup = \"g\"", "input: a section, not a value; write [input] and its keys below"),
        ("[log.level]\nx = 1", "log.level: a table will not do; give text in quotes"),
        ("[inptu]", "inptu: unknown key; remove it; did you mean input?"),
    ];
    for (text, expected) in cases {
        check_refused(text, &format!("{expected} (configuration, line 3)"));
    }
}

#[test]
fn topics_are_kept_apart() {
    let quarantine = "output.quarantine_topic = \"infrastructure.state-changes\"";
    check_refused(
        quarantine,
        "output.quarantine_topic: \"infrastructure.state-changes\" is the input topic as well; give another (configuration, line 3)",
    );
    check_refused(
        "input.topic = \"audit.events.a\"\noutput.regions = [\"a\"]",
        "output.regions: the topic \"audit.events.a\" of region \"a\" is the input topic as well; change the prefix or the region (configuration, line 4)",
    );
    check_refused(
        "output.topic_prefix = \"audit.\"\noutput.regions = [\"quarantine\"]",
        "output.regions: the topic \"audit.quarantine\" of region \"quarantine\" is the quarantine topic as well; change the prefix or the region (configuration, line 4)",
    );
}

#[test]
fn an_action_is_either_enabled_or_disabled() {
    check_refused(
        "catalog.enable = [\"a.b\"]\ncatalog.disable = [\"a.b\"]",
        "catalog.disable: \"a.b\" stands in catalog.enable as well; remove one (configuration, line 4)",
    );
}

#[test]
fn a_key_is_given_once_even_by_another_name() {
    check_refused(
        "kafka.client.id = 1\nkafka.\"linger.ms\" = 1\nkafka.\"queue.buffering.max.ms\" = 2",
        "kafka.linger.ms: given twice, also at configuration, line 4; keep one of them (configuration, line 5)",
    );
}

#[test]
fn what_is_required_is_asked_for() {
    let problems = read("", &[]).unwrap_err();
    let expected = "2 problems in the configuration:\
        \n  - kafka.bootstrap.servers: required, and not given; set it in the file or as AUDIT_RELAY_KAFKA__BOOTSTRAP_SERVERS\
        \n  - principals.file: required, and not given; name a file with the principals (principals.file, or AUDIT_RELAY_PRINCIPALS__FILE) or a compacted topic (principals.topic, or AUDIT_RELAY_PRINCIPALS__TOPIC)";
    assert_eq!(problems.to_string(), expected);
}

#[test]
fn all_problems_come_at_once() {
    let text = r#"
        workers = 0
        [kafka]
        "linger.ms" = "long"
        "group.id" = "g"
        [input]
        topc = "changes"
        group = "a b"
        [log]
        level = "loud"
    "#;
    let check = |name: &str, value: &str| match (name, value) {
        ("linger.ms", "long") => {
            Err("Invalid value \"long\" for configuration property \"linger.ms\"".to_owned())
        }
        _ => Ok(()),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.toml");
    std::fs::write(&path, text).unwrap();
    let environment =
        variables(&[("AUDIT_RELAY_OUTPUT__HEADERS", "maybe"), ("AUDIT_RELAY_WORKES", "1")]);
    let problems = Config::load_checked(Some(&path), environment, &check).unwrap_err();
    let keys: Vec<&str> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    let expected = [
        "AUDIT_RELAY_WORKES",
        "workers",
        "kafka.group.id",
        "kafka.linger.ms",
        "kafka.bootstrap.servers",
        "input.group",
        "output.headers",
        "principals.file",
        "log.level",
        "input.topc",
    ];
    assert_eq!(keys, expected, "{problems}");
    assert!(problems.to_string().starts_with("10 problems in the configuration:\n  - "));
}

#[test]
fn a_long_value_is_cut_in_its_complaint() {
    let text =
        format!("log.level = \"{}\"\ninput.topic = \"{}\"", "x".repeat(20), "y".repeat(5_000));
    let found = complaints(&text, &[]);
    assert!(found.iter().all(|complaint| complaint.len() < 300), "{found:?}");
}
