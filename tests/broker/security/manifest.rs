//! What `manifest` prints is what the relay needs: the printed script creates topics that pass the
//! check without a warning and rights with which the check passes, and no right can be left out.

use std::process::{Command, Output};
use std::time::Instant;

use audit_testkit::REQUEST_MAX;
use audit_testkit::grants::{Grant, Operation, Resource};
use audit_testkit::relay::TestDeployment;
use audit_testkit::tools::write_tools;

use super::mechanisms::output_text;
use super::rights::become_user;
use super::{MANIFEST_USERS, World, world};

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

/// Runs `check --connect --write` until its output is as expected: the broker learns of new topics
/// and rights from the controller asynchronously.
#[track_caller]
fn await_check(
    world: &World,
    deployment: &mut TestDeployment,
    user: Option<&str>,
    done: impl Fn(&Output, &str) -> bool,
) {
    deployment.kafka.clear();
    deployment.bootstrap = world.broker.bootstrap().to_string();
    if let Some(user) = user {
        deployment.bootstrap = world.broker.address("SASL");
        become_user(world, deployment, user);
    }
    let config = deployment.config(user.unwrap_or("super"));
    let config = config.to_str().expect("a UTF-8 path");
    let since = Instant::now();
    loop {
        let check = deployment.command(&["check", "--connect", "--write", "--config", config]);
        let text = output_text(&check);
        if done(&check, &text) {
            return;
        }
        assert!(since.elapsed() < REQUEST_MAX, "{user:?}: {text}");
    }
}

#[test]
fn the_printed_topics_and_rights_suffice_and_none_can_be_left_out() {
    let world = world();
    let mut deployment = nothing_yet(&world);
    let script = manifest(&deployment, &["--principal", "User:manifest"]);
    let file = deployment.path("manifest.sh");
    std::fs::write(&file, &script).expect("the script");
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

    // Somebody who may do everything sees the topics' settings.
    await_check(&world, &mut deployment, None, |check, text| {
        check.status.success()
            && !["WARNING", "PROBLEM", "unknown "].iter().any(|word| text.contains(word))
    });
    await_check(&world, &mut deployment, Some("manifest"), |check, _| check.status.success());

    let rights = printed_rights(&script, "manifest");
    assert_eq!(rights.len(), 11, "{script}");
    assert!(rights.len() <= MANIFEST_USERS);
    for missing in 0..rights.len() {
        let mut others = printed_rights(&script, &format!("without{missing}"));
        others.remove(missing);
        world.broker.grant(&others);
    }
    for (missing, right) in rights.iter().enumerate() {
        let user = format!("without{missing}");
        let names_it = |line: &str| {
            line.contains(&right.name) && line.contains(&format!("{:?}", right.operation))
        };
        await_check(&world, &mut deployment, Some(&user), |check, text| {
            let mut problems = text.lines().filter(|line| line.starts_with("PROBLEM")).peekable();
            !check.status.success() && problems.peek().is_some() && problems.all(names_it)
        });
    }
}
