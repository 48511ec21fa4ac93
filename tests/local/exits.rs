//! The real program ends with the documented exit codes.

use std::path::Path;
use std::process::{Command, Stdio};

use audit_cases::root;
use audit_relay::commands::exit::Exit;

const GOOD: &str =
    "kafka.\"bootstrap.servers\" = \"127.0.0.1:1\"\nprincipals.file = \"good.jsonl\"\n";

/// Runs a command with this configuration, if any, and returns its exit code.
fn code(folder: &Path, arguments: &[&str], configuration: Option<&str>) -> Option<i32> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_audit-relay"));
    command.args(arguments);
    if let Some(text) = configuration {
        let path = folder.join("relay.toml");
        std::fs::write(&path, text).expect("the configuration");
        command.arg("--config").arg(path);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("the program").code()
}

#[test]
fn every_exit_has_its_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let principals = root().join("schemas/examples/_reference/principals.jsonl");
    std::fs::copy(principals, folder.join("good.jsonl")).expect("a file");
    std::fs::write(folder.join("bad.jsonl"), "{\n").expect("a file");
    let bad_table =
        "kafka.\"bootstrap.servers\" = \"127.0.0.1:1\"\nprincipals.file = \"bad.jsonl\"\n";
    let no_message = folder.join("nowhere.json");
    let no_message = no_message.to_str().expect("text");
    let cases: [(&[&str], Option<&str>, Exit); 8] = [
        (&["--version"], None, Exit::Success),
        (&["check"], Some(GOOD), Exit::Success),
        (&["explain", no_message], Some(GOOD), Exit::Failed),
        (&["chekc"], None, Exit::Usage),
        (&[], None, Exit::Usage),
        (&["check"], Some("workers = 0\n"), Exit::Configuration),
        (&["run"], Some("workers = 0\n"), Exit::Configuration),
        (&["check"], Some(bad_table), Exit::Configuration),
    ];
    for (arguments, configuration, exit) in cases {
        let found = code(folder, arguments, configuration);
        assert_eq!(found, Some(i32::from(exit.code())), "{arguments:?} {configuration:?}");
    }
}
