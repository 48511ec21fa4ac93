//! A relay works with every mechanism, and reports a wrong password or an untrusted certificate
//! clearly. No process ever writes a secret.

use std::process::Output;

use crate::ledger::{Ledger, change};
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::produce;

use super::{MARK, RELAY, World, password, world};

const RECORDS: u64 = 50;

/// An authentication mechanism: a name, the listener, and lines of `[kafka]`.
struct Mechanism {
    name: &'static str,
    listener: &'static str,
    kafka: String,
}

fn mechanisms(world: &World) -> Vec<Mechanism> {
    let user = format!("\"sasl.username\" = \"{RELAY}\"\n");
    let literal = format!("{user}\"sasl.password\" = \"{}\"\n", password(RELAY));
    std::fs::write(world.path("password"), password(RELAY) + "\n").expect("a file");
    let file = format!("{user}\"sasl.password\" = {{ file = {:?} }}\n", world.path("password"));
    let mutual = format!(
        "\"security.protocol\" = \"SSL\"\n{}\"ssl.key.location\" = {:?}\n\"ssl.certificate.location\" = {:?}\n",
        world.trust(),
        world.path("relay.key"),
        world.path("relay.pem"),
    );
    let of = |name, listener, kafka| Mechanism { name, listener, kafka };
    vec![
        of("tls", "TLS", format!("\"security.protocol\" = \"SSL\"\n{}", world.trust())),
        of("mutual-tls", "MUTUAL", mutual),
        of("plain", "SASL", world.sasl("PLAIN", &literal)),
        of("scram", "SASL", world.sasl("SCRAM-SHA-512", &file)),
    ]
}

#[test]
fn a_relay_works_with_every_mechanism() {
    let world = world();
    for Mechanism { name, listener, kafka } in mechanisms(&world) {
        // librdkafka's debug log is the most likely to contain a secret.
        let mut deployment = world.deployment("[log]\nlevel = \"debug\"\n");
        deployment.bootstrap = world.broker.address(listener);
        deployment.kafka = format!("{kafka}debug = \"security,protocol,broker,conf,eos\"\n");
        assert_works(&world, &deployment, name);
    }
}

pub(super) fn assert_works(world: &World, deployment: &TestDeployment, name: &str) {
    let changes = (0..RECORDS).map(change);
    produce(world.broker.bootstrap(), &deployment.input, changes);
    let check = run_check(deployment, name);
    let mut written = output_text(&check);
    assert!(check.status.success(), "{name}: {written}");
    let mut relay = deployment.start(name);
    relay.await_ready();
    let metrics =
        relay.await_metric("audit_relay_records_read_total", "", |read| read == RECORDS as f64);
    relay.signal("TERM");
    assert!(relay.wait().success(), "{name}: {}", relay.log());
    written.push_str(&metrics);
    written.push_str(&relay.log());
    // librdkafka logs the second long after the client was created.
    for logged in ["conf", "EndTxn"] {
        assert!(written.contains(logged), "librdkafka logged no {logged}");
    }
    assert_no_secret(world, name, &written);
    println!("{name}");
    Ledger::of(world.broker.bootstrap(), deployment, RECORDS).assert_clean();
}

/// Asserts that the text contains no password and no key.
#[track_caller]
pub(super) fn assert_no_secret(world: &World, name: &str, written: &str) {
    let key = std::fs::read_to_string(world.path("relay.key")).expect("the key");
    let key = key.lines().nth(1).expect("a line of the key");
    for secret in [MARK, key] {
        let logged = written.lines().find(|line| line.contains(secret));
        assert_eq!(logged, None, "{name}: a secret was logged");
    }
}

/// Runs `check --connect` with the configuration of an instance.
pub(super) fn run_check(deployment: &TestDeployment, instance: &str) -> Output {
    let config = deployment.config(instance);
    let config = config.to_str().expect("a UTF-8 path");
    deployment.command(&["check", "--connect", "--config", config])
}

/// Asserts that the check fails, reports a problem with all these texts, and writes no secret.
#[track_caller]
pub(super) fn assert_refused(world: &World, deployment: &TestDeployment, name: &str, why: &[&str]) {
    let check = run_check(deployment, name);
    let written = output_text(&check);
    let problem = written.lines().find(|line| line.starts_with("PROBLEM"));
    let problem = problem.unwrap_or_else(|| panic!("{name}: {written}"));
    for said in why {
        assert!(problem.contains(said), "{name}: {said}: {problem}");
    }
    assert!(!check.status.success(), "{name}");
    assert_no_secret(world, name, &written);
}

pub(super) fn output_text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// Wrong configurations, each with the expected error.
fn refused(world: &World) -> Vec<(&'static str, &'static str, String, &'static str)> {
    let wrong = |mechanism| {
        let credentials =
            format!("\"sasl.username\" = \"{RELAY}\"\n\"sasl.password\" = \"{MARK}-wrong\"\n");
        world.sasl(mechanism, &credentials)
    };
    let tls = "\"security.protocol\" = \"SSL\"\n";
    let untrusted = format!("{tls}\"ssl.ca.location\" = {:?}\n", world.path("untrusted.pem"));
    let no_certificate = format!("{tls}{}", world.trust());
    let no_ca_file = format!("{tls}\"ssl.ca.location\" = \"/nowhere/ca.pem\"\n");
    vec![
        ("wrong-plain", "SASL", wrong("PLAIN"), "Authentication failed"),
        ("wrong-scram", "SASL", wrong("SCRAM-SHA-512"), "Authentication failed"),
        ("untrusted", "TLS", untrusted, "certificate verify failed"),
        ("no-certificate", "MUTUAL", no_certificate, "alert bad certificate"),
        ("no-ca-file", "TLS", no_ca_file, "ssl.ca.location failed"),
    ]
}

#[test]
fn a_refused_connection_reports_the_reason() {
    let world = world();
    let mut deployment = world.deployment("[log]\nlevel = \"debug\"\n");
    for (name, listener, kafka, why) in refused(&world) {
        deployment.bootstrap = world.broker.address(listener);
        deployment.kafka = format!("{kafka}debug = \"security,conf\"\n");
        assert_refused(&world, &deployment, name, &[why]);
    }
}

/// `run` waits and reports the reason, and writes no secret to its log, `/readyz` or metrics.
#[test]
fn a_refused_relay_waits_and_reports_the_reason() {
    let world = world();
    let mut deployment = world.deployment("");
    let (_, listener, kafka, why) = refused(&world).swap_remove(1);
    deployment.bootstrap = world.broker.address(listener);
    deployment.kafka = kafka;
    let mut relay = deployment.start("wrong");
    let ready = relay.await_page("/readyz", |status, body| status == 503 && body.contains(why));
    let (_, metrics) = relay.get("/metrics").expect("metrics");
    relay.signal("TERM");
    assert!(relay.wait().success(), "{}", relay.log());
    assert_no_secret(&world, "waits", &(ready + &metrics + &relay.log()));
}
