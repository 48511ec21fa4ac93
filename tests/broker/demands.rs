//! What the relay demands of a cluster before it begins: everything that is not met is named at
//! once, by `check --connect` and by `run`, and what is only doubtful stops nothing.

use crate::PROGRAM;
use crate::ledger::PRINCIPALS;
use audit_testkit::kafka::{BrokerOptions, KafkaBroker};
use audit_testkit::relay::TestDeployment;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A deployment whose topics are there and no good.
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

/// What must be said, and of which topic.
fn demands(deployment: &TestDeployment) -> Vec<String> {
    let TestDeployment { input, quarantine, .. } = deployment;
    let outputs = deployment.outputs();
    let principals = deployment.principals.split('"').nth(1).expect("a topic");
    let mut demands = vec![
        format!("input topic {input}: cleanup.policy is \"compact\""),
        format!(
            "principals topic {principals}: cleanup.policy is \"delete\" and its retention is limited"
        ),
        format!("output topic {0}: topic {0:?} does not exist", outputs[0]),
        format!("quarantine topic {quarantine}: cleanup.policy is \"compact,delete\""),
        format!("quarantine topic {quarantine}: max.message.bytes is 8000: not even the stub"),
    ];
    let narrow = outputs[1..].iter();
    demands.extend(narrow.map(|output| {
        format!("output topic {output}: max.message.bytes is 900000: an audit event")
    }));
    demands
}

#[test]
fn all_unmet_demands_are_named_at_once() {
    let deployment = unsuitable(KafkaBroker::shared());
    let config = deployment.config("demanding");
    let config = config.to_str().expect("path");
    let check = deployment.command(&["check", "--connect", "--config", config]);
    let run = deployment.command(&["run", "--config", config]);
    let (checked, ran) = (text(&check.stdout), text(&run.stderr));
    assert_eq!((check.status.code(), run.status.code()), (Some(1), Some(69)));
    for demand in demands(&deployment) {
        assert!(checked.contains(&format!("PROBLEM  {demand}")), "{demand}\n{checked}");
        assert!(ran.contains(&demand), "{demand}\n{ran}");
    }
    assert_eq!(checked.matches("PROBLEM").count(), demands(&deployment).len(), "{checked}");
    assert!(ran.contains("set it to 1001024 or more"), "the remedy: {ran}");
}

#[test]
fn doubts_stop_nothing() {
    let broker = KafkaBroker::shared();
    let mut deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    let principals = broker.unique("principals");
    broker.create_topic_with(&principals, 1, &[("cleanup.policy", "compact")]);
    deployment.principals = format!("topic = \"{principals}\"");
    let mut relay = deployment.start("doubtful");
    relay.await_ready();
    let doubt = format!("principals topic {principals}: min.compaction.lag.ms is 0");
    assert!(relay.log().contains(&doubt), "{}", relay.log());
    let forgets = format!("principals topic {principals}: delete.retention.ms is 86400000");
    assert!(relay.log().contains(&forgets), "{}", relay.log());
    let clock = "tombstones, and entries without validFrom, are dated by the producer's clock";
    assert!(relay.log().contains(clock), "{}", relay.log());
    // Followers, the finder of ends and the watchdog are waited for, and end.
    relay.signal("TERM");
    assert!(relay.wait().success());
    assert!(!relay.log().contains("exiting without it"), "{}", relay.log());
}

#[test]
fn a_transaction_time_out_that_the_broker_refuses_is_named() {
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
