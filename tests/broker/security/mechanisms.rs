//! Every mechanism carries a relay, and a wrong password or a stranger's certificate is said in
//! plain words. Throughout, no secret is in anything that a process writes.

use std::process::Output;

use crate::ledger::{Ledger, change};
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::produce;

use super::{MARK, RELAY, World, password, world};

const RECORDS: u64 = 50;

/// How a relay shows itself: a name, the listener, and `[kafka]`.
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
fn every_mechanism_carries_a_relay() {
    let world = world();
    for Mechanism { name, listener, kafka } in mechanisms(&world) {
        // librdkafka's own debugging is the likeliest to tell a secret.
        let mut deployment = world.deployment("[log]\nlevel = \"debug\"\n");
        deployment.bootstrap = world.broker.address(listener);
        deployment.kafka = format!("{kafka}debug = \"security,protocol,broker,conf,eos\"\n");
        carries(&world, &deployment, name);
    }
}

pub(super) fn carries(world: &World, deployment: &TestDeployment, name: &str) {
    let changes = (0..RECORDS).map(change);
    produce(world.broker.bootstrap(), &deployment.input, changes);
    let check = checked(deployment, name);
    let mut written = said(&check);
    assert!(check.status.success(), "{name}: {written}");
    let mut relay = deployment.start(name);
    relay.await_ready();
    let metrics =
        relay.await_metric("audit_relay_records_read_total", "", |read| read == RECORDS as f64);
    relay.signal("TERM");
    assert!(relay.wait().success(), "{name}: {}", relay.log());
    written.push_str(&metrics);
    written.push_str(&relay.log());
    // The second is told long after the client was made.
    for told in ["conf", "EndTxn"] {
        assert!(written.contains(told), "librdkafka told no {told}");
    }
    tells_no_secret(world, name, &written);
    println!("{name}");
    Ledger::of(world.broker.bootstrap(), deployment, RECORDS).assert_clean();
}

/// Neither a password, nor a key.
#[track_caller]
pub(super) fn tells_no_secret(world: &World, name: &str, written: &str) {
    let key = std::fs::read_to_string(world.path("relay.key")).expect("the key");
    let key = key.lines().nth(1).expect("a line of the key");
    for secret in [MARK, key] {
        let told = written.lines().find(|line| line.contains(secret));
        assert_eq!(told, None, "{name}: a secret was told");
    }
}

/// What `check --connect` finds with the configuration of an instance.
pub(super) fn checked(deployment: &TestDeployment, instance: &str) -> Output {
    let config = deployment.config(instance);
    let config = config.to_str().expect("a path of text");
    deployment.command(&["check", "--connect", "--config", config])
}

/// The check fails, names a problem that says all of this, and tells no secret.
#[track_caller]
pub(super) fn is_turned_away(world: &World, deployment: &TestDeployment, name: &str, why: &[&str]) {
    let check = checked(deployment, name);
    let written = said(&check);
    let problem = written.lines().find(|line| line.starts_with("PROBLEM"));
    let problem = problem.unwrap_or_else(|| panic!("{name}: {written}"));
    for said in why {
        assert!(problem.contains(said), "{name}: {said}: {problem}");
    }
    assert!(!check.status.success(), "{name}");
    tells_no_secret(world, name, &written);
}

pub(super) fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// What is wrong, and what must be said of it.
fn refused(world: &World) -> Vec<(&'static str, &'static str, String, &'static str)> {
    let wrong = |mechanism| {
        let credentials =
            format!("\"sasl.username\" = \"{RELAY}\"\n\"sasl.password\" = \"{MARK}-wrong\"\n");
        world.sasl(mechanism, &credentials)
    };
    let tls = "\"security.protocol\" = \"SSL\"\n";
    let stranger = format!("{tls}\"ssl.ca.location\" = {:?}\n", world.path("stranger.pem"));
    let nameless = format!("{tls}{}", world.trust());
    let listless = format!("{tls}\"ssl.ca.location\" = \"/nowhere/ca.pem\"\n");
    vec![
        ("wrong-plain", "SASL", wrong("PLAIN"), "Authentication failed"),
        ("wrong-scram", "SASL", wrong("SCRAM-SHA-512"), "Authentication failed"),
        ("stranger", "TLS", stranger, "certificate verify failed"),
        ("nameless", "MUTUAL", nameless, "alert bad certificate"),
        ("listless", "TLS", listless, "ssl.ca.location failed"),
    ]
}

#[test]
fn whoever_is_turned_away_is_told_why() {
    let world = world();
    let mut deployment = world.deployment("[log]\nlevel = \"debug\"\n");
    for (name, listener, kafka, why) in refused(&world) {
        deployment.bootstrap = world.broker.address(listener);
        deployment.kafka = format!("{kafka}debug = \"security,conf\"\n");
        is_turned_away(&world, &deployment, name, &[why]);
    }
}

/// `run` waits, says so, and tells nothing that it should not, neither there nor in its metrics.
#[test]
fn a_relay_that_is_turned_away_waits_and_says_why() {
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
    tells_no_secret(&world, "waits", &(ready + &metrics + &relay.log()));
}
