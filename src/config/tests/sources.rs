//! Where values come from: files, folders, lines, variables.

use std::path::{Path, PathBuf};

use super::super::{Client, Config, TableSource};
use super::{MINIMAL, problems, read};

fn load(path: &Path, environment: &[(&str, &str)]) -> Result<Config, String> {
    super::load(path, environment, &|_, _| Ok(())).map_err(|problems| problems.to_string())
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn relative_paths_are_seen_from_the_files_folder() {
    let text = format!("{MINIMAL}locations.file = \"/abs.toml\"\ncatalog.files = [\"c.toml\"]\n");
    let (folder, path) = written(&text);
    let config = load(&path, &[("AUDIT_RELAY_DEVICES__FILE", "d.jsonl")]).unwrap();
    assert_eq!(config.principals, TableSource::File(folder.path().join("principals.jsonl")));
    assert_eq!(config.devices, Some(TableSource::File(folder.path().join("d.jsonl"))));
    assert_eq!(config.catalog.files, [folder.path().join("c.toml")]);
    assert_eq!(config.locations.file, Some(PathBuf::from("/abs.toml")));
}

#[test]
fn secrets_are_read_from_files_and_variables() {
    let text = format!(
        "{MINIMAL}[kafka]\n\"sasl.password\" = {{ file = \"password\" }}\n\"ssl.key.password\" = {{ env = \"KEY\" }}\n"
    );
    let text = text.replace("kafka.bootstrap.servers = \"localhost:9092\"\n", "");
    let text = text.replace("[kafka]\n", "[kafka]\n\"bootstrap.servers\" = \"b:1\"\n");
    let (folder, path) = written(&text);
    std::fs::write(folder.path().join("password"), "hunter2 \n").unwrap();
    let config = load(&path, &[("KEY", "hunter3")]).unwrap();
    assert_eq!(config.kafka.get(Client::Consumer, "sasl.password"), Some("hunter2 "));
    assert_eq!(config.kafka.get(Client::Producer, "ssl.key.password"), Some("hunter3"));
    let overriding =
        load(&path, &[("KEY", "k"), ("AUDIT_RELAY_KAFKA__SASL_PASSWORD__ENV", "KEY")]).unwrap();
    assert_eq!(overriding.kafka.get(Client::Consumer, "sasl.password"), Some("k"));
}

#[test]
fn secrets_that_are_not_there_are_named() {
    let text = "[kafka]\n\"bootstrap.servers\" = \"b:1\"\n\"sasl.password\" = { file = \"gone\" }\n\"ssl.key.password\" = { env = \"GONE\" }\n[principals]\nfile = \"p\"\n";
    let (folder, path) = written(text);
    let message = load(&path, &[]).unwrap_err();
    let gone = folder.path().join("gone").display().to_string();
    assert!(
        message.contains(&format!("kafka.sasl.password: cannot read {gone}: No such file")),
        "{message}"
    );
    assert!(
        message.contains("kafka.ssl.key.password: environment variable GONE is not set; set it"),
        "{message}"
    );
    assert!(message.contains("relay.toml, line 3)"), "{message}");
}

#[test]
fn a_file_that_cannot_be_read_is_one_problem() {
    let message =
        load(Path::new("/nowhere/relay.toml"), &[("AUDIT_RELAY_NONSENSE", "1")]).unwrap_err();
    let expected = "1 problem in the configuration:\n  - /nowhere/relay.toml: cannot be read: No such file or directory (os error 2); check the path and its permissions";
    assert_eq!(message, expected);
}

#[test]
fn a_file_that_is_not_toml_is_one_problem_with_its_line_and_without_its_text() {
    for text in [
        "[kafka]\n\"sasl.password\" = \"hunter2\nworkers = 1\n",
        "workers = 1\n\"sasl.password\" = hunter2\n",
    ] {
        let problems = read(text, &[]).unwrap_err();
        let message = format!("{problems} {problems:?}");
        assert_eq!(problems.0.len(), 1);
        assert!(message.contains("configuration: invalid TOML: "), "{message}");
        assert!(message.contains("(configuration, line 2)"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn unknown_variables_are_problems() {
    let cases = [
        ("AUDIT_RELAY_INPUT_GROUP", "did you mean AUDIT_RELAY_INPUT__GROUP?"),
        ("AUDIT_RELAY_WORKER", "did you mean AUDIT_RELAY_WORKERS?"),
        ("AUDIT_RELAY_SASL_PASSWORD", "did you mean AUDIT_RELAY_KAFKA__SASL_PASSWORD?"),
        ("AUDIT_RELAY_input__group", "remove it"),
        ("AUDIT_RELAY_", "remove it"),
        ("AUDIT_RELAY_KAFKA__", ""),
        ("AUDIT_RELAY_KAFKA__BROKER__LINGER_MS", ""),
    ];
    for (variable, remedy) in cases {
        let found = problems("", &[(variable, "hunter2")]);
        assert_eq!(found.len(), 1, "{found:?}");
        let expected = format!("{variable}: unknown environment variable; {remedy}");
        assert!(found[0].starts_with(&expected), "{found:?}");
        assert!(!found[0].contains("hunter2"));
    }
}

#[test]
fn no_two_variables_contend_for_a_key() {
    let environment =
        [("AUDIT_RELAY_KAFKA__LINGER_MS", "1"), ("AUDIT_RELAY_KAFKA__QUEUE_BUFFERING_MAX_MS", "2")];
    assert_eq!(
        problems("", &environment),
        [
            "kafka.linger.ms: set twice, also by AUDIT_RELAY_KAFKA__LINGER_MS; keep one (environment variable AUDIT_RELAY_KAFKA__QUEUE_BUFFERING_MAX_MS)"
        ]
    );
}
