//! Pass-through properties: what passes, what is refused, and that no secret is ever shown.

use super::super::kafka_properties::Secret;
use super::super::properties::{REFUSED, refusal};
use super::super::{Client, Config};
use super::{MINIMAL, good, load, problems, read};

#[test]
fn tunables_pass_in_any_spelling() {
    let config = good(
        "[kafka.consumer]\nsession.timeout.ms = 10000\n\"fetch.min.bytes\" = 2\n[kafka.producer]\nlinger.ms = 0.5\n\
         transaction.timeout.ms = 60000\n",
        &[
            ("AUDIT_RELAY_KAFKA__SOCKET_KEEPALIVE_ENABLE", "true"),
            ("AUDIT_RELAY_KAFKA__QUEUED_MIN_MESSAGES", "7"),
        ],
    );
    let consumer = config.kafka.of(Client::Consumer);
    let names: Vec<&str> = consumer.keys().copied().collect();
    let expected = [
        "bootstrap.servers",
        "fetch.min.bytes",
        "queued.min.messages",
        "session.timeout.ms",
        "socket.keepalive.enable",
    ];
    assert_eq!(names, expected);
    let producer = config.kafka.of(Client::Producer);
    let names: Vec<&str> = producer.keys().copied().collect();
    assert_eq!(
        names,
        ["bootstrap.servers", "linger.ms", "socket.keepalive.enable", "transaction.timeout.ms"]
    );
    assert_eq!(config.kafka.get(Client::Producer, "queue.buffering.max.ms"), Some("0.5"));
}

#[test]
fn brokers_must_be_named() {
    for servers in ["", " ", ",", " , "] {
        let text = format!(
            "kafka.\"bootstrap.servers\" = \"{servers}\"\nprincipals.file = \"principals.jsonl\"\n"
        );
        let problems = read(&text, &[]).expect_err(servers).to_string();
        assert!(
            problems.contains("bootstrap.servers: no broker is named: expected host:port"),
            "{servers:?}: {problems}"
        );
    }
}

#[test]
fn oauthbearer_needs_a_token_endpoint_that_keeps_a_secret() {
    let mechanism = "kafka.sasl.mechanism = \"OAUTHBEARER\"\n";
    let rest = "kafka.sasl.oauthbearer.method = \"oidc\"\nkafka.sasl.oauthbearer.client.id = \"relay\"\n\
        kafka.sasl.oauthbearer.client.secret = \"hunter2\"\n";
    let found = problems(&format!("{mechanism}{rest}"), &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("also needs sasl.oauthbearer.token.endpoint.url"), "{found:?}");
    for (url, is_safe) in [
        ("https://id.example.com/token", true),
        ("http://127.0.0.1:8080/token", true),
        ("http://localhost/token", true),
        ("http://localhost.example.com/token", false),
        ("http://id.example.com/token", false),
        ("id.example.com", false),
    ] {
        let text =
            format!("{mechanism}{rest}kafka.sasl.oauthbearer.token.endpoint.url = \"{url}\"\n");
        assert_eq!(read(&format!("{MINIMAL}{text}"), &[]).is_ok(), is_safe, "{url}");
    }
    for refused in [
        "kafka.sasl.oauthbearer.method = \"default\"",
        "kafka.sasl.oauthbearer.grant.type = \"urn:ietf:params:oauth:grant-type:jwt-bearer\"",
        "kafka.sasl.oauthbearer.extensions = \"a=b\"",
        "kafka.\"sasl.oauthbearer.assertion.algorithm\" = \"RS256\"",
    ] {
        assert_eq!(problems(refused, &[]).len(), 1, "{refused}");
    }
}

#[test]
fn a_clients_own_property_wins() {
    let config = good("kafka.client.id = \"both\"\nkafka.producer.client.id = \"producer\"\n", &[]);
    assert_eq!(config.kafka.get(Client::Consumer, "client.id"), Some("both"));
    assert_eq!(config.kafka.get(Client::Producer, "client.id"), Some("producer"));
}

/// The properties that the promises depend on, and their other names; a list of its own, so that
/// none is lost.
#[test]
fn what_the_promises_rest_on_is_refused_by_name() {
    let names = "enable.auto.commit auto.commit.enable auto.commit.interval.ms enable.auto.offset.store isolation.level \
        auto.offset.reset group.id group.instance.id transactional.id enable.idempotence acks request.required.acks \
        max.in.flight max.in.flight.requests.per.connection partition.assignment.strategy group.remote.assignor \
        allow.auto.create.topics check.crcs enable.partition.eof delivery.report.only.error statistics.interval.ms \
        retries message.send.max.retries enable.gapless.guarantee message.timeout.ms delivery.timeout.ms \
        queuing.strategy partitioner offset.store.method retry.backoff.max.ms socket.max.fails api.version.request \
        api.version.fallback.ms broker.version.fallback rebalance_cb dr_msg_cb ssl.certificate.verify_cb";
    for name in names.split_whitespace() {
        for table in ["kafka", "kafka.consumer", "kafka.producer"] {
            let found = problems(&format!("{table}.\"{name}\" = \"x\""), &[]);
            assert_eq!(found.len(), 1, "{name}: {found:?}");
            assert!(
                found[0].contains(": managed by audit-relay: ") && found[0].contains("; remove it"),
                "{found:?}"
            );
        }
    }
}

/// Values with which a rule that the promises depend on would no longer work.
#[test]
fn what_would_undo_a_rule_is_refused_by_value() {
    for (name, good, bad) in [
        ("retry.backoff.ms", ["100", "1000"], ["99", "1001"]),
        ("connections.max.idle.ms", ["1000", "30000"], ["0", "30001"]),
        ("socket.timeout.ms", ["1000", "60000"], ["999", "60001"]),
        ("transaction.timeout.ms", ["1000", "60000"], ["999", "60001"]),
    ] {
        for value in good {
            let found = read(&format!("{MINIMAL}kafka.{name} = {value}\n"), &[]);
            assert!(found.is_ok(), "{name} = {value}: {found:?}");
        }
        for value in bad {
            for table in ["kafka", "kafka.producer"] {
                let found = problems(&format!("{table}.\"{name}\" = {value}"), &[]);
                assert_eq!(found.len(), 1, "{table}.{name} = {value}: {found:?}");
                assert!(found[0].contains(" milliseconds: "), "{found:?}");
            }
        }
    }
    // Nothing rests on these of the consumer.
    good("[kafka.consumer]\nconnections.max.idle.ms = 0\nretry.backoff.ms = 5000\n", &[]);
}

#[test]
fn every_refusal_is_reachable() {
    for (name, reason) in REFUSED {
        assert_eq!(refusal(name), Some(*reason), "{name} is listed under its other name");
    }
}

/// As librdkafka does: names it does not know, and values that it quotes.
fn librdkafka(name: &str, value: &str) -> Result<(), String> {
    match name {
        "bootstrap.servers" | "client.id" => Ok(()),
        "linger.ms" | "sasl.password" => {
            Err(format!("Invalid value \"{value}\" for configuration property \"{name}\""))
        }
        "debug" => Err("Invalid value for configuration property \"debug\"\n".to_owned()),
        _ => Err(format!("No such configuration property: \"{name}\"")),
    }
}

fn checked(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.toml");
    std::fs::write(&path, format!("{MINIMAL}{text}")).unwrap();
    load(&path, &[], &librdkafka).map_err(|problems| format!("{problems} {problems:?}"))
}

#[test]
fn librdkafkas_messages_join_the_list() {
    let text = "kafka.linger.ms = \"x\"\nkafka.debug = \"y\"\nkafka.consumer.fetch.max.byts = 1\nworkers = 0\n";
    let message = checked(text).unwrap_err();
    let expected = [
        "kafka.linger.ms: Invalid value \"x\" for configuration property \"linger.ms\"; correct it (",
        "kafka.debug: Invalid value for configuration property \"debug\": \"y\"; correct it (",
        "kafka.consumer.fetch.max.byts: No such configuration property: \"fetch.max.byts\"; did you mean fetch.max.bytes? (",
        "workers: invalid value 0",
    ];
    for problem in expected {
        assert!(message.contains(problem), "{problem} in {message}");
    }
    assert!(checked("kafka.client.id = \"x\"").is_ok());
}

#[test]
fn the_value_of_an_unknown_property_is_not_repeated() {
    let message = checked("kafka.sals.pasword = \"hunter2\"").unwrap_err();
    assert!(message.contains("did you mean sasl.password?"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

/// What nobody here knows may be a secret all the same.
#[test]
fn the_value_of_an_unknown_property_is_not_shown() {
    let config = good("kafka.\"sasl.papasord\" = \"hunter2\"", &[]);
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
}

/// Every way of giving a secret, none of which may lead to its being shown.
const SECRETIVE: &[&str] = &[
    "kafka.sasl.password = \"hunter2\"",
    "kafka.\"sasl.password\" = \"hunter2\"",
    "kafka.consumer.sasl.password = \"hunter2\"",
    "kafka.\"ssl.key.pem\" = \"hunter2\"",
    "kafka.\"ssl.key.password\" = \"hunter2\"",
    "kafka.\"ssl.keystore.password\" = \"hunter2\"",
    "kafka.\"sasl.oauthbearer.client.secret\" = \"hunter2\"",
    "kafka.\"sasl.oauthbearer.client.credentials.client.secret\" = \"hunter2\"",
    "kafka.\"sasl.passwd\" = \"hunter2\"",
    "kafka.\"client.id\" = { env = \"PASSWORD\" }",
    "[kafka.\"sasl.password\"]\nenv = \"PASSWORD\"",
];

#[test]
fn secrets_are_never_shown() {
    let environment = [("PASSWORD", "hunter2"), ("AUDIT_RELAY_KAFKA__SSL_KEY_PASSWORD", "hunter2")];
    for text in SECRETIVE {
        let text = format!("{MINIMAL}{text}");
        let config =
            read(&text, &environment).unwrap_or_else(|problems| panic!("{text}: {problems}"));
        let shown = format!("{config:?} {config:#?}");
        assert!(!shown.contains("hunter2") && shown.contains("***"), "{text}: {shown}");
        let values: Vec<&str> =
            config.kafka.of(Client::Consumer).values().map(|value| value.reveal()).collect();
        assert!(values.iter().filter(|value| value.contains("hunter2")).count() >= 1, "{text}");
    }
}

#[test]
fn secrets_are_in_no_message() {
    let wrong = |name: &str, value: &str| Err(format!("Invalid value \"{value}\" for \"{name}\""));
    for text in SECRETIVE {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.toml");
        std::fs::write(&path, format!("workers = 0\n{MINIMAL}{text}")).unwrap();
        let environment = [("PASSWORD", "hunter2"), ("AUDIT_RELAY_SASL_PASSWORD", "hunter2")];
        let problems = load(&path, &environment, &wrong).unwrap_err();
        let shown = format!("{problems} {problems:?}");
        assert!(!shown.contains("hunter2"), "{text}: {shown}");
        assert!(shown.contains("(value not shown)"), "{text}: {shown}");
    }
    let misplaced = [
        "sasl.password = \"hunter2\"",
        "kafak.sasl = \"hunter2\"",
        "kafka.\"sasl.password\" = [\"hunter2\"]",
    ];
    for text in misplaced {
        let found = problems(text, &[]);
        assert!(found.iter().all(|problem| !problem.contains("hunter2")), "{found:?}");
    }
}

#[test]
fn a_secret_shows_stars() {
    let config = good("kafka.sasl.password = \"hunter2\"", &[]);
    let value = config.kafka.of(Client::Producer)["sasl.password"].clone();
    assert_eq!(format!("{value:?}"), "Secret(***)");
    fn stars(secret: &Secret) -> String {
        format!("{secret} {secret:?}")
    }
    let super::super::PropertyValue::Secret(secret) = value else {
        panic!("a password is a secret")
    };
    assert_eq!(stars(&secret), "*** ***");
}
