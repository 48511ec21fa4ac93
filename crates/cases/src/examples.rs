//! The examples for producers of state changes: folders of `schemas/examples`.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::case::Case;
use crate::{read as read_text, root};

const FOLDER: &str = "schemas/examples";

/// Reads all examples, in no particular order.
pub(crate) fn read() -> Vec<Case> {
    let entries = std::fs::read_dir(root().join(FOLDER)).expect(FOLDER);
    let folders = entries.map(|entry| entry.expect("an entry").path());
    folders.filter(|path| path.is_dir() && !path.ends_with("_reference")).map(example).collect()
}

/// The default principals and devices of the cases.
pub(crate) fn shared_tables() -> [String; 2] {
    ["principals", "devices"].map(|name| read_text(format!("{FOLDER}/_reference/{name}.jsonl")))
}

fn example(folder: PathBuf) -> Case {
    let own = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
    let (why, outcome) = expected(&folder);
    let [principals, devices] = shared_tables();
    let settings = own("config.toml").unwrap_or_default();
    Case {
        why,
        input: input(&folder),
        outcome,
        settings: settings.parse().unwrap_or_else(|error| panic!("{name}: {error}")),
        permissions: None,
        principals: own("principals.jsonl").unwrap_or(principals),
        devices: own("devices.jsonl").unwrap_or(devices),
        name,
        folder: Some(folder),
        base: None,
    }
}

fn input(folder: &Path) -> Vec<u8> {
    let text = std::fs::read(folder.join("input.json"));
    text.or_else(|_| std::fs::read(folder.join("input.bin"))).expect("input.json or input.bin")
}

/// Reads the purpose and the expected outcome of an example. Both are empty if the outcome is not
/// written yet.
fn expected(folder: &Path) -> (String, Value) {
    let Ok(text) = std::fs::read(folder.join("outcome.json")) else {
        return (String::new(), Value::Null);
    };
    let mut outcome: Value = serde_json::from_slice(&text).expect("outcome.json is JSON");
    let fields = outcome.as_object_mut().expect("an object");
    let why = fields.shift_remove("why");
    let why = why.as_ref().and_then(Value::as_str).unwrap_or_default().to_string();
    (why, outcome)
}

impl Case {
    /// Writes the current outcome to an example. Tables are edited by hand.
    pub fn update(&self, described: &Value) {
        let Some(folder) = &self.folder else {
            return;
        };
        let mut outcome =
            serde_json::Map::from_iter([("why".to_string(), self.why.as_str().into())]);
        outcome.extend(described.as_object().expect("an object").clone());
        let text = serde_json::to_string_pretty(&outcome).expect("JSON") + "\n";
        std::fs::write(folder.join("outcome.json"), text).expect("can be written");
    }
}
