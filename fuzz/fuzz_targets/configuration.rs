//! See `configuration` in `crates/cases/src/properties.rs`.
#![no_main]

use audit_cases::properties::{TakenConfiguration, configuration};
use audit_relay::config::{Client, Config, Problems};

fn read(text: &str, variables: Vec<(String, String)>) -> Result<TakenConfiguration, Vec<String>> {
    let taken = Config::from_toml(text, variables.into_iter());
    let problems = |refused: Problems| refused.0.iter().map(ToString::to_string).collect();
    let config = taken.map_err::<Vec<String>, _>(problems)?;
    let password = config.kafka.get(Client::Consumer, "sasl.password").map(str::to_string);
    Ok(TakenConfiguration { shown: format!("{config:?}"), password })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| configuration(data, read));
