//! The relay's requirements of a cluster before it starts. `check --connect` and `run` report all
//! unmet requirements together; warnings stop nothing.

use crate::PROGRAM;
use crate::ledger::PRINCIPALS;
use audit_testkit::kafka::{BrokerOptions, KafkaBroker};
use audit_testkit::relay::TestDeployment;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A deployment with unsuitable topics.
fn unsuitable(broker: &KafkaBroker) -> TestDeployment {
    let mut deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    let topic = |name: &str, settings: &[(&str, &str)]| {
        let name = broker.unique(name);
        broker.create_topic_with(&name, 1, settings);
        name
    };
    deployment.input = topic("compacted", &[("cleanup.policy", "compact")]);
    let small = [("cleanup.policy", "compact,delete"), ("max.message.bytes", "8000")];
    deployment.quarantine = topic("small", &small);
    let principals = topic("forgetful", &[("retention.ms", "3600000")]);
    deployment.principals = format!("topic = \"{principals}\"");
    deployment.prefix = format!("{}.", broker.unique("narrow"));
    for (number, output) in deployment.outputs().into_iter().enumerate() {
        // The first one is missing.
        if number > 0 {
            broker.create_topic_with(&output, 1, &[("max.message.bytes", "900000")]);
        }
    }
    deployment
}

/// The expected problems, each with its topic.
fn requirements(deployment: &TestDeployment) -> Vec<String> {
    let TestDeployment { input, quarantine, .. } = deployment;
    let outputs = deployment.outputs();
    let principals = deployment.principals.split('"').nth(1).expect("a topic");
    let mut requirements = vec![
        format!("input topic {input}: cleanup.policy is \"compact\""),
        format!(
            "principals topic {principals}: cleanup.policy is \"delete\" and its retention is limited"
        ),
        format!("output topic {0}: topic {0:?} does not exist", outputs[0]),
        format!("quarantine topic {quarantine}: cleanup.policy is \"compact,delete\""),
        format!("quarantine topic {quarantine}: max.message.bytes is 8000: not even the stub"),
    ];
    let narrow = outputs[1..].iter();
    requirements.extend(narrow.map(|output| {
        format!("output topic {output}: max.message.bytes is 900000: an audit event")
    }));
    requirements
}

#[test]
fn all_unmet_requirements_are_reported_together() {
    let deployment = unsuitable(KafkaBroker::shared());
    let config = deployment.config("demanding");
    let config = config.to_str().expect("path");
    let check = deployment.command(&["check", "--connect", "--config", config]);
    let run = deployment.command(&["run", "--config", config]);
    let (checked, ran) = (text(&check.stdout), text(&run.stderr));
    assert_eq!((check.status.code(), run.status.code()), (Some(1), Some(69)));
    for requirement in requirements(&deployment) {
        assert!(checked.contains(&format!("PROBLEM  {requirement}")), "{requirement}\n{checked}");
        assert!(ran.contains(&requirement), "{requirement}\n{ran}");
    }
    assert_eq!(checked.matches("PROBLEM").count(), requirements(&deployment).len(), "{checked}");
    assert!(ran.contains("set it to 1001024 or more"), "the remedy is missing: {ran}");
}

#[test]
fn warnings_do_not_stop_the_relay() {
    let broker = KafkaBroker::shared();
    let mut deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    let principals = broker.unique("principals");
    broker.create_topic_with(&principals, 1, &[("cleanup.policy", "compact")]);
    deployment.principals = format!("topic = \"{principals}\"");
    let mut relay = deployment.start("doubtful");
    relay.await_ready();
    let warning = format!("principals topic {principals}: min.compaction.lag.ms is 0");
    assert!(relay.log().contains(&warning), "{}", relay.log());
    let retention = format!("principals topic {principals}: delete.retention.ms is 86400000");
    assert!(relay.log().contains(&retention), "{}", relay.log());
    let clock = "tombstones, and entries without validFrom, are dated by the producer's clock";
    assert!(relay.log().contains(clock), "{}", relay.log());
    // The shutdown waits for the followers, the end-offset thread and the watchdog.
    relay.signal("TERM");
    assert!(relay.wait().success());
    assert!(!relay.log().contains("exiting without it"), "{}", relay.log());
}

#[test]
fn a_transaction_timeout_above_the_broker_limit_is_reported() {
    let options = BrokerOptions {
        properties: vec![("transaction.max.timeout.ms".into(), "5000".into())],
        ..BrokerOptions::default()
    };
    let broker = KafkaBroker::start(options).expect("a broker");
    let deployment = TestDeployment::create(PROGRAM, &broker, 1, PRINCIPALS, "");
    let config = deployment.config("patient");
    let run = deployment.command(&["run", "--config", config.to_str().expect("path")]);
    let ran = text(&run.stderr);
    assert!(!run.status.success());
    assert!(
        ran.contains("transaction.max.timeout.ms: 5000, less than the producer's 10000"),
        "{ran}"
    );
    assert!(ran.contains("set transaction.timeout.ms under [kafka]"), "{ran}");
}
