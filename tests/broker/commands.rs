//! The commands against a real cluster.

use crate::PROGRAM;
use crate::ledger::{PRINCIPALS, change};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::{produce, read_committed};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn check_reports_missing_topics_and_joins_no_group() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 3, PRINCIPALS, "");
    let config = deployment.config("checker");
    let config = config.to_str().expect("path");
    let good = deployment.command(&["check", "--connect", "--config", config]);
    let seen = text(&good.stdout);
    assert!(good.status.success(), "{seen}\n{}", text(&good.stderr));
    assert!(seen.contains("12 enabled"), "{seen}");
    assert!(seen.contains(&format!("input topic {}: 3 partitions", deployment.input)), "{seen}");
    assert!(seen.contains("transactions work"), "{seen}");
    assert_eq!(broker.committed(&deployment.group, &deployment.input).len(), 0);

    let written = deployment.command(&["check", "--connect", "--write", "--config", config]);
    let seen = text(&written.stdout);
    assert!(written.status.success(), "{seen}");
    assert_eq!(seen.matches("writing to").count(), 7, "{seen}");
    for topic in deployment.outputs().iter().chain([&deployment.quarantine]) {
        assert_eq!(broker.end_offsets(topic)[&0], 2, "a record and a marker: {topic}");
        assert_eq!(read_committed(broker.bootstrap(), topic), [], "{topic}");
    }

    let text_of_config = std::fs::read_to_string(config).expect("config");
    let wrong = text_of_config.replace(&deployment.quarantine, "no-such-topic");
    std::fs::write(config, wrong).expect("config");
    let bad = deployment.command(&["check", "--connect", "--config", config]);
    assert!(!bad.status.success());
    assert!(
        text(&bad.stdout).contains("\"no-such-topic\" does not exist"),
        "{}",
        text(&bad.stdout)
    );
}

#[test]
fn explain_reads_a_record_by_its_offset() {
    let broker = KafkaBroker::shared();
    let deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    produce(broker.bootstrap(), &deployment.input, (0..10).map(change));
    let config = deployment.config("explainer");
    let config = config.to_str().expect("path");
    let explain = |offset: u64| {
        let from = format!("{}/0/{offset}", deployment.input);
        deployment.command(&["explain", "--json", "--config", config, "--from", &from])
    };
    for (offset, fate, reason) in [
        (0, "audited", ""),
        (4, "skipped", "not_user_initiated"),
        (8, "skipped", "no_infrastructure_access"),
        (9, "quarantined", "malformed"),
    ] {
        let output = explain(offset);
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
        assert_eq!(answer["fate"], fate, "{answer}");
        assert_eq!(answer["reason"].as_str().unwrap_or_default(), reason, "{answer}");
    }
    let beyond = explain(10);
    assert!(!beyond.status.success());
    assert!(text(&beyond.stderr).contains("holds offsets 0 to 10"), "{}", text(&beyond.stderr));
}
