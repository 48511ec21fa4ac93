//! All problems are reported at once.

use super::load;

#[test]
fn all_problems_come_at_once() {
    let text = r#"
        workers = 0
        [kafka]
        "linger.ms" = "long"
        "group.id" = "g"
        [input]
        topc = "changes"
        group = "a b"
        [log]
        level = "loud"
    "#;
    let check = |name: &str, value: &str| match (name, value) {
        ("linger.ms", "long") => {
            Err("Invalid value \"long\" for configuration property \"linger.ms\"".to_owned())
        }
        _ => Ok(()),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.toml");
    std::fs::write(&path, text).unwrap();
    let environment = [("AUDIT_RELAY_OUTPUT__HEADERS", "maybe"), ("AUDIT_RELAY_WORKES", "1")];
    let problems = load(&path, &environment, &check).unwrap_err();
    let keys: Vec<&str> = problems.0.iter().map(|problem| problem.key.as_str()).collect();
    let expected = [
        "AUDIT_RELAY_WORKES",
        "workers",
        "kafka.group.id",
        "kafka.linger.ms",
        "kafka.bootstrap.servers",
        "input.group",
        "output.headers",
        "principals.file",
        "log.level",
        "input.topc",
    ];
    assert_eq!(keys, expected, "{problems}");
    assert!(problems.to_string().starts_with("10 problems in the configuration:\n  - "));
}
