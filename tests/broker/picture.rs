//! Load for the picture of the dashboard, `docs/pictures/dashboard.png`: two relays of one group on
//! a real broker, and one that hangs for longer than its session lasts. `deploy/grafana/test.sh`
//! runs it with `UPDATE_PICTURES=1`.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::PROGRAM;
use crate::exactly_once::{await_committed, end};
use crate::ledger::{Ledger, PRINCIPALS, change};
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;
use audit_testkit::topics::produce;

/// Tells Prometheus' discovery by files where the relays are.
const TARGETS: &str = "AUDIT_RELAY_TEST_TARGETS";
/// A program that draws the group that it is given as its argument.
const DRAW: &str = "AUDIT_RELAY_TEST_DRAW";

/// The shown time, and when in it the relay hangs.
const SHOWN: Duration = Duration::from_secs(150);
const HANGS: std::ops::Range<Duration> = Duration::from_secs(50)..Duration::from_secs(80);
/// Records are written in portions, several a second.
const PORTION: u64 = 60;
const PAUSE: Duration = Duration::from_millis(100);

#[test]
#[ignore = "draws a picture, which takes minutes and needs what deploy/grafana/test.sh starts"]
fn a_relay_hangs_and_another_takes_over() {
    let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let (targets, draw) = (variable(TARGETS), variable(DRAW));
    let broker = KafkaBroker::shared();
    let mut deployment = TestDeployment::create(PROGRAM, broker, 6, PRINCIPALS, "");
    deployment.session =
        "\"session.timeout.ms\" = 15000\n\"heartbeat.interval.ms\" = 1000\n".to_string();
    let mut relays = ["a", "b"].map(|name| deployment.start(name));
    relays.iter().for_each(|relay| relay.await_ready());
    let addresses = relays.each_ref().map(|relay| relay.admin_address());
    fs::write(targets, json!([{ "targets": addresses }]).to_string()).expect("targets");

    let began = Instant::now();
    let (mut written, mut hangs) = (0, false);
    while began.elapsed() < SHOWN {
        let should_hang = HANGS.contains(&began.elapsed());
        if should_hang != hangs {
            relays[0].signal(if should_hang { "STOP" } else { "CONT" });
            hangs = should_hang;
        }
        // Twice as much in every other half minute.
        let portion = PORTION * (1 + began.elapsed().as_secs() / 30 % 2);
        produce(broker.bootstrap(), &deployment.input, (written..written + portion).map(change));
        written += portion;
        std::thread::sleep(PAUSE);
    }
    let drawn = Command::new(&draw).arg(&deployment.group).status().expect("is run");
    assert!(drawn.success(), "{draw}: {drawn}");
    await_committed(broker, &deployment, written as i64);
    relays.iter_mut().for_each(end);
    Ledger::of(broker.bootstrap(), &deployment, written).assert_clean();
}
