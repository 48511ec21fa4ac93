//! The cases with a configuration file: the relay's configuration judges them like the setups that
//! other tests use.

use std::path::Path;

use audit_cases::outcome::Outputs;
use audit_cases::{Case, cases};
use audit_judge::judge;
use audit_relay::config::Config;
use audit_relay::deployment::Deployment;

/// Loads a case's settings and tables as the relay does.
pub fn configured(case: &Case) -> (Config, Deployment) {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect(name);
        path
    };
    let principals = write("principals.jsonl", &case.principals);
    let devices = write("devices.jsonl", &case.devices);
    let permissions = case.permissions.as_ref().map(|text| write("permissions.toml", text));
    let settings = settings(case, permissions.as_deref());
    let text = format!(
        "[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:9092\"\n[principals]\nfile = {principals:?}\n[devices]\nfile = {devices:?}\n{settings}"
    );
    let config = Config::from_toml(&text, std::iter::empty())
        .unwrap_or_else(|problems| panic!("{}: {problems}", case.name));
    let deployment =
        Deployment::load(&config).unwrap_or_else(|problems| panic!("{}: {problems}", case.name));
    (config, deployment)
}

fn settings(case: &Case, permissions: Option<&Path>) -> String {
    let mut settings = case.settings.clone();
    if let Some(path) = permissions {
        let path = toml::Value::from(path.to_str().expect("a UTF-8 path"));
        let catalog = settings.entry("catalog").or_insert_with(|| toml::Table::new().into());
        catalog.as_table_mut().expect("a section").insert("permissions".to_string(), path);
    }
    toml::to_string(&settings).expect("TOML")
}

#[test]
fn every_case_has_its_outcome_with_a_configuration() {
    for case in cases() {
        let (config, Deployment { rules, reference, topics, .. }) = configured(case);
        let output = case.settings.get("output").and_then(|output| output.get("headers"));
        let are_off = output.and_then(toml::Value::as_bool) == Some(false);
        assert_eq!(config.output.headers, !are_off, "{}", case.name);
        let fate = judge(Some(&case.input), &rules, || &reference);
        let outputs = Outputs {
            regions: rules.routes.regions(),
            topics: topics.regions.clone(),
            headers: config.output.headers,
        };
        let described = outputs.describe(&fate, &case.outcome);
        assert_eq!(described.to_string(), case.outcome.to_string(), "{}", case.name);
    }
}
