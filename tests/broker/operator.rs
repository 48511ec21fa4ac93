//! Commands as an operator gives them.

use std::process::{Command, Output};

use serde_json::Value;

use crate::PROGRAM;
use audit_testkit::relay::{Relay, TestDeployment};

/// Runs a command to its end. Returns its exit code, and what it said on both channels.
#[track_caller]
pub fn run(deployment: &TestDeployment, arguments: &[&str]) -> (Option<i32>, String) {
    let config = deployment.config("operator");
    let config = config.to_str().expect("a path");
    let arguments = [arguments, &["--config", config]].concat();
    let Output { status, stdout, stderr } = deployment.command(&arguments);
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    (status.code(), said)
}

/// Starts a command that goes on in the background, with the configuration of an instance.
#[track_caller]
pub fn start(deployment: &TestDeployment, instance: &str, arguments: &[&str]) -> Relay {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).arg("--config").arg(deployment.config(instance));
    command.envs(deployment.environment.iter().map(|(name, value)| (name, value)));
    let log = deployment.path(&format!("{instance}.log"));
    deployment.spawn_command(&command, log).expect("start the command")
}

/// The first line of an output, as JSON.
#[track_caller]
pub fn json(said: &str) -> Value {
    let line = said.lines().next().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {said}"))
}
