//! Sealed trails on a real broker: what `verify` finds after attacks, and how a trail continues
//! when its state is lost. Kills and zombies are in `exactly_once.rs`.

pub mod attacks;
mod continuing;
mod exported;
mod following;

use std::process::Output;

use serde_json::Value;

use crate::PROGRAM;
use crate::exactly_once::{SMALL_BATCHES, await_committed, end};
use crate::ledger::{PRINCIPALS, change};
use crate::trail::{resume, seal, signing_key};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::produce;

/// Creates a deployment whose trail is sealed.
#[track_caller]
fn sealed(broker: &KafkaBroker, partitions: i32) -> TestDeployment {
    let mut deployment =
        TestDeployment::create(PROGRAM, broker, partitions, PRINCIPALS, SMALL_BATCHES);
    seal(broker, &mut deployment);
    trust(&deployment);
    deployment
}

/// Writes the trust file.
#[track_caller]
pub fn trust(deployment: &TestDeployment) {
    let trust = signing_key().public().to_string();
    std::fs::write(deployment.path("trust"), trust).expect("write the trust file");
}

/// Writes these records, and lets a relay process them.
#[track_caller]
fn process(broker: &KafkaBroker, deployment: &TestDeployment, numbers: std::ops::Range<u64>) {
    let mut relay = deployment.start("a");
    // In several transactions.
    let portion = (numbers.end - numbers.start).div_ceil(5);
    for start in numbers.clone().step_by(portion as usize) {
        let end = numbers.end.min(start + portion);
        produce(broker.bootstrap(), &deployment.input, (start..end).map(change));
        await_committed(broker, deployment, end as i64);
    }
    end(&mut relay);
}

/// The answer of `verify`.
#[derive(Debug)]
pub struct Answer {
    pub code: Option<i32>,
    /// The labels of its findings.
    pub labels: Vec<String>,
    pub output: String,
}

/// Verifies the topics with a prefix by the program itself.
#[track_caller]
pub fn verify(
    deployment: &TestDeployment,
    prefix: &str,
    quarantine: &str,
    more: &[&str],
) -> Answer {
    let trust = deployment.path("trust");
    let trust = trust.to_str().expect("a path");
    let arguments = [
        &["verify", "--json", "--trust", trust, "--bootstrap-servers", &deployment.bootstrap][..],
        &["--property", "broker.address.family=v4"],
        &["--topic-prefix", prefix, "--quarantine-topic", quarantine],
        more,
    ];
    let Output { status, stdout, stderr } = deployment.command(&arguments.concat());
    let report: Value = serde_json::from_slice(&stdout).unwrap_or_default();
    let labels = report["findings"].as_object();
    let labels = labels.map(|findings| findings.keys().cloned().collect()).unwrap_or_default();
    let output =
        format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    Answer { code: status.code(), labels, output }
}

/// Verifies the trail of a deployment.
#[track_caller]
pub fn verify_own(deployment: &TestDeployment, more: &[&str]) -> Answer {
    verify(deployment, &deployment.prefix, &deployment.quarantine, more)
}

#[test]
fn the_anchors_of_a_relay_are_counted_from_its_start() {
    let broker = KafkaBroker::shared();
    let mut deployment = sealed(broker, 1);
    let file = deployment.path("anchors");
    deployment.integrity += &format!("anchor_file = \"{}\"\n", file.display());
    let mut relay = deployment.start("a");
    for result in ["kept", "failed"] {
        let series = format!("place=\"file\",result=\"{result}\"");
        assert_eq!(relay.metric("audit_relay_anchors_total", &series), 0.0, "{result}");
    }
    end(&mut relay);
}
