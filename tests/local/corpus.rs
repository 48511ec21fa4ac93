//! Checks the known inputs of the configuration fuzz target. The other targets need no relay: see
//! `crates/judge/tests/judge/corpus.rs`.

use audit_cases::properties::{self, TakenConfiguration};
use audit_cases::root;
use audit_relay::config::{Client, Config, Problems};

fn read(text: &str, variables: Vec<(String, String)>) -> Result<TakenConfiguration, Vec<String>> {
    let taken = Config::from_toml(text, variables.into_iter());
    let problems = |refused: Problems| refused.0.iter().map(ToString::to_string).collect();
    let config = taken.map_err::<Vec<String>, _>(problems)?;
    let password = config.kafka.get(Client::Consumer, "sasl.password");
    Ok(TakenConfiguration { shown: format!("{config:?}"), password: password.map(str::to_string) })
}

#[test]
fn configurations() {
    let mut fed = 0;
    for folder in ["fuzz/corpus/configuration", "deploy"] {
        for entry in std::fs::read_dir(root().join(folder)).expect(folder) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                continue;
            }
            // The test harness shows this only on failure.
            println!("{}", path.display());
            properties::configuration(&std::fs::read(&path).expect("a file"), read);
            fed += 1;
        }
    }
    assert!(fed >= 6, "only {fed} inputs");
}
