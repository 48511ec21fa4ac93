//! What `manifest` prints is what the relay needs: the printed script creates topics that pass the
//! check without a warning and rights with which the check passes, and no right can be left out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use crate::PROGRAM;
use crate::ledger::change;
use audit_testkit::REQUEST_MAX;
use audit_testkit::grants::{Grant, Operation, Resource};
use audit_testkit::relay::TestDeployment;
use audit_testkit::tools::write_tools;
use audit_testkit::topics::produce;

use super::mechanisms::output_text;
use super::rights::become_user;
use super::{MANIFEST_USERS, World, world};
use crate::trail::configure_seals;

/// Names topics and a group that do not exist yet, with a table from a topic.
fn nothing_yet(world: &World) -> TestDeployment {
    let mut deployment = world.deployment("");
    let unique = |prefix| world.broker.unique(prefix);
    deployment.input = unique("new-changes");
    deployment.prefix = format!("{}.", unique("new-audit"));
    deployment.quarantine = unique("new-quarantine");
    deployment.group = unique("new-group");
    deployment.principals = format!("topic = {:?}", unique("new-principals"));
    deployment
}

#[track_caller]
fn manifest(deployment: &TestDeployment, more: &[&str]) -> String {
    let config = deployment.config("any");
    let fixed = ["manifest", "--config", config.to_str().expect("a UTF-8 path")];
    let sizes = ["--partitions", "2", "--output-partitions", "2", "--replicas", "1"];
    let output = deployment.command(&[&fixed, &sizes[..], more].concat());
    assert!(output.status.success(), "{}", output_text(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// Reads the rights back from the printed script, for another user.
fn printed_rights(script: &str, user: &str) -> Vec<Grant> {
    let lines = script.lines().filter_map(|line| line.strip_prefix("allow "));
    let grant = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (operation, rest) = words.split_first().expect("an operation");
        let [.., kind, name] = rest else { panic!("{line}") };
        Grant {
            principal: user.to_string(),
            operation: match *operation {
                "Read" => Operation::Read,
                "Write" => Operation::Write,
                _ => panic!("{line}"),
            },
            resource: match *kind {
                "--topic" => Resource::Topic,
                "--group" => Resource::Group,
                "--transactional-id" => Resource::TransactionalId,
                _ => panic!("{line}"),
            },
            name: name.to_string(),
            prefix: rest.starts_with(&["--resource-pattern-type", "prefixed"]),
        }
    };
    lines.map(grant).collect()
}

/// Writes the configuration of a relay that logs in as this user, or as a superuser if there is
/// none.
fn config(world: &World, deployment: &mut TestDeployment, user: Option<&str>) -> PathBuf {
    deployment.kafka.clear();
    deployment.bootstrap = world.broker.bootstrap().to_string();
    if let Some(user) = user {
        deployment.bootstrap = world.broker.address("SASL");
        become_user(world, deployment, user);
    }
    deployment.config(user.unwrap_or("super"))
}

/// Runs `check --connect --write` until its output is as expected: the broker learns of new topics
/// and rights from the controller asynchronously.
#[track_caller]
fn await_check(config: &Path, done: impl Fn(&Output, &str) -> bool) {
    let since = Instant::now();
    loop {
        let mut check = Command::new(PROGRAM);
        check.args(["check", "--connect", "--write", "--config"]).arg(config);
        let output = check.output().expect("the program");
        let text = output_text(&output);
        if done(&output, &text) {
            return;
        }
        assert!(since.elapsed() < REQUEST_MAX, "{}: {text}", config.display());
    }
}

/// Runs a printed script against the broker.
#[track_caller]
fn create(world: &World, deployment: &TestDeployment, script: &str) {
    let file = deployment.path("manifest.sh");
    std::fs::write(&file, script).expect("the script");
    let tools = deployment.path("tools");
    std::fs::create_dir(&tools).expect("a folder");
    write_tools(&tools).expect("Kafka's tools");
    let run = Command::new("sh")
        .arg(&file)
        .env("KAFKA_BIN", &tools)
        .env("BOOTSTRAP_SERVERS", world.broker.bootstrap())
        .output()
        .expect("a shell");
    assert!(run.status.success(), "{}", output_text(&run));
}

#[test]
fn the_printed_topics_and_rights_suffice_and_none_can_be_left_out() {
    let world = world();
    let mut deployment = nothing_yet(&world);
    configure_seals(&mut deployment);
    let script = manifest(&deployment, &["--principal", "User:manifest"]);
    create(&world, &deployment, &script);

    // Only a superuser can read the topics' settings here.
    await_check(&config(&world, &mut deployment, None), |check, text| {
        let is_said = |word: &&str| text.contains(*word);
        check.status.success() && !["WARNING", "PROBLEM", "unknown "].iter().any(is_said)
    });
    let relay = config(&world, &mut deployment, Some("manifest"));
    await_check(&relay, |check, _| check.status.success());

    let rights = printed_rights(&script, "manifest");
    assert_eq!(rights.len(), 13, "{script}");
    assert!(rights.len() <= MANIFEST_USERS);
    for missing in 0..rights.len() {
        let mut others = printed_rights(&script, &format!("without{missing}"));
        others.remove(missing);
        world.broker.grant(&others);
    }
    let configs = (0..rights.len())
        .map(|missing| config(&world, &mut deployment, Some(&format!("without{missing}"))));
    let configs: Vec<PathBuf> = configs.collect();
    // Most of a check is waiting.
    std::thread::scope(|scope| {
        for (config, right) in configs.iter().zip(&rights) {
            scope.spawn(move || await_refusal(config, right));
        }
    });
}

/// Waits until the check fails, and all its problems name this right.
fn await_refusal(config: &Path, right: &Grant) {
    let operation = format!("{:?}", right.operation);
    let names_it = |line: &str| line.contains(&right.name) && line.contains(&operation);
    await_check(config, |check, text| {
        let mut problems = text.lines().filter(|line| line.starts_with("PROBLEM")).peekable();
        !check.status.success() && problems.peek().is_some() && problems.all(names_it)
    });
}

/// Replays all records until the command ends as expected: the broker learns of rights one by one.
#[track_caller]
fn await_replay(deployment: &TestDeployment, config: &Path, code: i32, word: &str) {
    let config = config.to_str().expect("a path");
    let since = Instant::now();
    loop {
        let arguments = ["quarantine", "replay", "--all", "--no-scan", "--config", config];
        let output = deployment.command(&arguments);
        let said = output_text(&output);
        if output.status.code() == Some(code) && said.contains(word) {
            return;
        }
        assert!(since.elapsed() < REQUEST_MAX, "{config}: {said}");
    }
}

/// Replaying needs the rights of a relay and some more, which `--replay` prints.
#[test]
fn what_is_printed_for_replaying_suffices_and_none_of_it_can_be_left_out() {
    let world = world();
    let mut deployment = nothing_yet(&world);
    configure_seals(&mut deployment);
    let script = manifest(&deployment, &["--principal", "User:manifest", "--replay"]);
    create(&world, &deployment, &script);
    produce(world.broker.bootstrap(), &deployment.input, (0..50).map(change));
    let allowed = config(&world, &mut deployment, Some("manifest"));
    let mut relay = deployment.start("manifest");
    relay.await_metric("audit_relay_records_read_total", "", |read| read == 50.0);
    relay.signal("TERM");
    assert!(relay.wait().success(), "{}", relay.log());
    await_replay(&deployment, &allowed, 3, "again");

    let rights = printed_rights(&script, "manifest");
    let of_a_relay = printed_rights(&manifest(&deployment, &[]), "manifest");
    let (outcomes, seals) = (format!("{}.state", deployment.quarantine), deployment.checkpoints());
    // Read on the outputs is needed only where events are looked for. A relay has those on the
    // seals as well.
    let is_meant = |right: &Grant| match right.name.starts_with(&deployment.prefix) {
        true => right.name == seals,
        false => !of_a_relay.contains(right),
    };
    let more: Vec<usize> = (0..rights.len()).filter(|index| is_meant(&rights[*index])).collect();
    let names: Vec<&str> = more.iter().map(|index| rights[*index].name.as_str()).collect();
    assert_eq!(names, [deployment.quarantine.as_str(), &seals, &seals, &outcomes, &outcomes]);
    for (number, missing) in more.into_iter().enumerate() {
        let user = format!("without{number}");
        let mut others = printed_rights(&script, &user);
        let missing = others.remove(missing);
        world.broker.grant(&others);
        let refused = config(&world, &mut deployment, Some(&user));
        await_replay(&deployment, &refused, 1, &missing.name);
    }
}
