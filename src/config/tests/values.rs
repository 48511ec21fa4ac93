//! What good files and environments become.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use audit_judge::rules::crn::CrnTemplate;

use super::super::{AccessRules, Client, LogFormat, Membership, Policy, TableSource};
use super::{MINIMAL, good, read};

#[test]
fn the_admin_port_is_for_this_machine_unless_told_otherwise() {
    assert!(good("", &[]).admin.listen.ip().is_loopback());
    let told = [("AUDIT_RELAY_ADMIN__LISTEN", "0.0.0.0:9464")];
    assert!(good("", &told).admin.listen.ip().is_unspecified());
}

#[test]
fn the_least_that_works_has_good_defaults() {
    let config = good("", &[]);
    assert!(!config.instance.is_empty());
    assert_eq!(config.membership, Membership::Dynamic);
    assert!(config.workers <= NonZeroUsize::new(64).unwrap());
    assert_eq!(config.kafka.bootstrap_servers(), "localhost:9092");
    assert_eq!(config.input.topic, "infrastructure.state-changes");
    assert_eq!(config.input.group, "audit-relay");
    assert_eq!((config.batch.max_records, config.batch.max_bytes), (50_000, 16_777_216));
    assert_eq!(config.batch.max_age, Duration::from_millis(100));
    assert_eq!(config.output.topic("us-south"), "audit.events.us-south");
    assert_eq!(config.output.quarantine_topic, "audit.quarantine");
    assert!(config.output.regions.is_empty() && config.output.headers);
    assert_eq!(config.output.max_message_bytes, 1_000_000);
    let policy = Policy { clock_skew_ms: Policy::CLOCK_SKEW_MS, ..Policy::default() };
    assert_eq!(config.policy, policy);
    assert!(config.catalog.files.is_empty());
    assert_eq!((config.locations.file, config.locations.profile.as_str()), (None, "six"));
    let log_source = "crn:v1:bluemix:public:{service}:{location}:a/{account}:::";
    assert_eq!(Ok(config.crn.log_source), CrnTemplate::parse(log_source));
    assert_eq!(config.principals, TableSource::File(PathBuf::from("principals.jsonl")));
    assert_eq!(config.devices, None);
    assert_eq!(config.tables.history, Duration::from_secs(7 * 24 * 3_600));
    assert_eq!(config.tables.staleness_limit, Duration::from_secs(60));
    assert_eq!(config.tables.barrier_limit, Duration::from_secs(10));
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9464");
    assert_eq!(config.shutdown.deadline, Duration::from_secs(20));
    assert_eq!((config.log.format, config.log.level.as_str()), (LogFormat::Auto, "info"));
}

#[test]
fn a_file_sets_every_section() {
    let config = good(
        r#"
        instance = "relay-0"
        membership = "static"
        workers = 3
        [input]
        topic = "changes"
        group = "g"
        [batch]
        max_records = 1
        max_bytes = 65_536
        max_age_ms = 10
        [output]
        topic_prefix = "at."
        quarantine_topic = "q"
        regions = ["us-south", "eu-de"]
        headers = false
        max_message_bytes = 1000
        [policy]
        access = ["device", "permission"]
        system_on_behalf_of_user = true
        service_initiators = false
        no_infrastructure_access = "quarantine"
        unknown_principal = "skip"
        [catalog]
        files = ["a.toml"]
        enable = ["audit-log.vsi.*"]
        disable = ["audit-log.bare-metal.rescue"]
        [locations]
        file = "places.toml"
        profile = "all"
        [crn]
        target = "crn:v2:b:p:s:l:a:::{id}"
        [devices]
        file = "/data/devices.jsonl"
        [admin]
        listen = "[::]:0"
        [shutdown]
        deadline_ms = 1000
        [log]
        format = "json"
        level = "trace"
        "#,
        &[],
    );
    assert_eq!(config.instance, "relay-0");
    assert_eq!(config.membership, Membership::Static);
    assert_eq!(config.workers.get(), 3);
    assert_eq!(config.output.regions, ["us-south", "eu-de"]);
    let access = AccessRules { permission: true, device: true };
    let policy = Policy {
        access,
        system_on_behalf_of_user: true,
        service_initiators: false,
        quarantine_no_infrastructure_access: true,
        skip_unknown_principal: true,
        clock_skew_ms: Policy::CLOCK_SKEW_MS,
    };
    assert_eq!(config.policy, policy);
    assert_eq!(config.catalog.enable, ["audit-log.vsi.*"]);
    assert_eq!(config.locations.file, Some(PathBuf::from("places.toml")));
    assert_eq!(config.devices, Some(TableSource::File(PathBuf::from("/data/devices.jsonl"))));
    assert_eq!(config.admin.listen.to_string(), "[::]:0");
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn the_environment_wins() {
    let text = "[input]\ngroup = \"from-file\"\ntopic = \"kept\"\n";
    let config = good(
        text,
        &[
            ("AUDIT_RELAY_INSTANCE", "relay-7"),
            ("AUDIT_RELAY_WORKERS", "2"),
            ("AUDIT_RELAY_INPUT__GROUP", "from-environment"),
            ("AUDIT_RELAY_OUTPUT__HEADERS", "false"),
            ("AUDIT_RELAY_OUTPUT__REGIONS", "us-south, eu-de"),
            ("AUDIT_RELAY_POLICY__ACCESS", ""),
            ("AUDIT_RELAY_KAFKA__BOOTSTRAP_SERVERS", "broker:1"),
            ("AUDIT_RELAY_KAFKA__CONSUMER__FETCH_MAX_BYTES", "100000"),
            ("AUDIT_RELAY_KAFKA__PRODUCER__COMPRESSION_TYPE", "lz4"),
        ],
    );
    assert_eq!(config.instance, "relay-7");
    assert_eq!(config.workers.get(), 2);
    assert_eq!(
        (config.input.group.as_str(), config.input.topic.as_str()),
        ("from-environment", "kept")
    );
    assert!(!config.output.headers);
    assert_eq!(config.output.regions, ["us-south", "eu-de"]);
    assert_eq!(config.kafka.bootstrap_servers(), "broker:1");
    assert_eq!(config.kafka.get(Client::Consumer, "fetch.max.bytes"), Some("100000"));
    assert_eq!(config.kafka.get(Client::Producer, "fetch.max.bytes"), None);
    assert_eq!(config.kafka.get(Client::Producer, "compression.codec"), Some("lz4"));
}

#[test]
fn the_environment_alone_is_enough() {
    let environment = [
        ("AUDIT_RELAY_KAFKA__BOOTSTRAP_SERVERS", "broker:1"),
        ("AUDIT_RELAY_PRINCIPALS__FILE", "/p.jsonl"),
        ("HOME", "/nowhere"),
    ];
    assert!(read("", &environment).is_ok());
}

#[test]
fn the_environment_chooses_the_source_of_a_table() {
    let file = TableSource::File("other.jsonl".into());
    let topic = TableSource::Topic("p".to_owned());
    let by_topic = "kafka.bootstrap.servers = \"b:1\"\nprincipals.topic = \"p\"\n";
    let environment = [("AUDIT_RELAY_PRINCIPALS__FILE", "other.jsonl")];
    assert_eq!(read(by_topic, &environment).unwrap().principals, file);
    let environment = [("AUDIT_RELAY_PRINCIPALS__TOPIC", "p")];
    assert_eq!(good("", &environment).principals, topic);
    let both = [environment[0], ("AUDIT_RELAY_PRINCIPALS__FILE", "f")];
    let problems = read(by_topic, &both).unwrap_err().to_string();
    assert!(problems.contains("a table has one source"), "{problems}");
}

#[test]
fn an_empty_variable_takes_an_optional_value_away() {
    let text = "instance = \"relay-7\"\ndevices.file = \"d\"\nlocations.file = \"l\"\n";
    let empty = [
        ("AUDIT_RELAY_INSTANCE", ""),
        ("AUDIT_RELAY_DEVICES__FILE", " "),
        ("AUDIT_RELAY_LOCATIONS__FILE", ""),
    ];
    let config = read(&format!("{text}{MINIMAL}"), &empty).unwrap();
    assert_ne!(config.instance, "relay-7");
    assert_eq!((config.devices, config.locations.file), (None, None));
    let problems = read(MINIMAL, &[("AUDIT_RELAY_PRINCIPALS__FILE", "")]).unwrap_err();
    assert!(problems.to_string().contains("required but not set"));
    let problems = read(MINIMAL, &[("AUDIT_RELAY_INPUT__GROUP", "")]).unwrap_err();
    assert!(problems.to_string().contains("input.group: empty"));
}

#[test]
fn variables_that_are_not_settings_are_left_alone() {
    let environment = [
        ("AUDIT_RELAY_CONFIG", "relay.toml"),
        ("AUDIT_RELAY_TEST_BROKER", "x"),
        // What Kubernetes sets beside Services called audit-relay and audit-relay-metrics.
        ("AUDIT_RELAY_SERVICE_HOST", "10.0.0.1"),
        ("AUDIT_RELAY_SERVICE_PORT", "9464"),
        ("AUDIT_RELAY_SERVICE_PORT_METRICS", "9464"),
        ("AUDIT_RELAY_PORT", "tcp://10.0.0.1:9464"),
        ("AUDIT_RELAY_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
        ("AUDIT_RELAY_METRICS_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ("AUDIT_RELAY_METRICS_SERVICE_HOST", "10.0.0.1"),
    ];
    good("", &environment);
}

#[test]
fn output_topics_are_checked_when_the_profile_is_known() {
    let config = good("[input]\ntopic = \"audit.events.eu-de\"\n", &[]);
    assert!(config.check_output_topics(&["us-south"]).is_ok());
    let problems = config.check_output_topics(&["us-south", "eu-de"]).unwrap_err();
    assert!(
        problems.to_string().contains("region \"eu-de\" is also the input topic"),
        "{problems}"
    );
}

#[test]
fn tables_come_from_files_or_topics() {
    let text = "kafka.bootstrap.servers = \"b:1\"\n[principals]\ntopic = \"p\"\n[devices]\ntopic = \"d\"\n[policy]\nclock_skew_ms = 0\n";
    let config = read(text, &[]).unwrap();
    assert_eq!(config.principals, TableSource::Topic("p".to_owned()));
    assert_eq!(config.devices, Some(TableSource::Topic("d".to_owned())));
    assert_eq!(config.policy.clock_skew_ms, 0);
}
