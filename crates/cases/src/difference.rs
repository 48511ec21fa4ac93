//! The difference between the outcomes of two audited records. A case table contains it instead of
//! a whole event. Applying it to the base outcome gives the full outcome.
//!
//! A difference is an object. `id`, `region`, `location`, `account`, `device` and `name` occur
//! several times in an outcome and are replaced everywhere. Every other key is the path of an event
//! field, such as `initiator.id`; null removes the field.

use serde_json::{Map, Value};

/// New fields are inserted in the order in which events are written.
const ORDER: [&str; 13] = [
    "address",
    "addressType",
    "agent",
    "id",
    "name",
    "typeURI",
    "credential",
    "host",
    "authnId",
    "authnName",
    "reasonCode",
    "reasonType",
    "reasonForFailure",
];

/// Segments of a CRN.
const LOCATION: usize = 5;
const ACCOUNT: usize = 6;
const RESOURCE: usize = 9;

pub(crate) type Difference = Map<String, Value>;

/// Applies a difference to an outcome.
pub(crate) fn apply(outcome: &Value, difference: &Difference) -> Value {
    let mut outcome = outcome.clone();
    for (key, value) in difference {
        match (key.as_str(), value.as_str()) {
            ("id", Some(id)) => {
                outcome["headers"]["id"] = id.into();
                outcome["event"]["id"] = id.into();
            }
            ("region", Some(region)) => {
                outcome["region"] = region.into();
                outcome["headers"]["region"] = region.into();
            }
            ("location", Some(code)) => {
                outcome["headers"]["location"] = code.into();
                put_into_crns(&mut outcome, LOCATION, code);
            }
            ("account", Some(account)) => {
                outcome["headers"]["account"] = account.into();
                put_into_crns(&mut outcome, ACCOUNT, &format!("a/{account}"));
            }
            ("device", Some(device)) => {
                outcome["key"] = device.into();
                put_into_crn(&mut outcome["event"]["target"]["id"], RESOURCE, device);
            }
            ("name", Some(name)) => rename(&mut outcome["event"], name),
            (path, _) => put(&mut outcome["event"], path, value),
        }
    }
    outcome
}

fn put_into_crns(outcome: &mut Value, segment: usize, value: &str) {
    let event = &mut outcome["event"];
    put_into_crn(&mut event["target"]["id"], segment, value);
    put_into_crn(&mut event["logSourceCRN"], segment, value);
}

fn put_into_crn(crn: &mut Value, segment: usize, value: &str) {
    let text = crn.as_str().expect("a CRN").to_string();
    let mut segments: Vec<&str> = text.split(':').collect();
    segments[segment] = value;
    *crn = segments.join(":").into();
}

/// The event's message contains the target's name.
fn rename(event: &mut Value, name: &str) {
    let old = event["target"]["name"].as_str().expect("a name").to_string();
    let message = event["message"].as_str().expect("a message");
    let is_named = !old.is_empty() && message.contains(&old);
    let renamed = is_named.then(|| message.replace(&old, name));
    if let Some(message) = renamed {
        event["message"] = message.into();
    }
    event["target"]["name"] = name.into();
}

fn put(event: &mut Value, path: &str, value: &Value) {
    let (parents, field) = path.rsplit_once('.').unwrap_or(("", path));
    let parents = parents.split('.').filter(|parent| !parent.is_empty());
    let holder = parents.fold(event, |holder, parent| &mut holder[parent]);
    let fields = holder.as_object_mut().unwrap_or_else(|| panic!("{path} is not in an object"));
    match value {
        Value::Null => {
            fields.shift_remove(field).unwrap_or_else(|| panic!("there is no {path} to remove"));
        }
        value if fields.contains_key(field) => fields[field] = value.clone(),
        value => {
            let rank = |name: &str| ORDER.iter().position(|known| *known == name);
            let is_later = |known: &String| rank(field).is_some() && rank(known) > rank(field);
            let place = fields.keys().position(is_later).unwrap_or(fields.len());
            fields.shift_insert(place, field.to_string(), value.clone());
        }
    }
}

/// Computes the difference between two outcomes of audited records, for a case table.
pub(crate) fn between(base: &Value, outcome: &Value) -> Difference {
    let mut difference = shared(base, outcome);
    let partly = apply(base, &difference);
    fields_between("", &partly["event"], &outcome["event"], &mut difference);
    difference
}

/// The differences in the values that occur several times.
fn shared(base: &Value, outcome: &Value) -> Difference {
    let log_source = |of: &Value, segment: usize| {
        let crn = of["event"]["logSourceCRN"].as_str().unwrap_or_default();
        let segment = crn.split(':').nth(segment).unwrap_or_default();
        Value::from(segment.trim_start_matches("a/"))
    };
    let values = |of: &Value| {
        [
            ("id", of["event"]["id"].clone()),
            ("region", of["region"].clone()),
            ("location", log_source(of, LOCATION)),
            ("account", log_source(of, ACCOUNT)),
            ("device", of["key"].clone()),
            ("name", of["event"]["target"]["name"].clone()),
        ]
    };
    let pairs = values(base).into_iter().zip(values(outcome));
    let differing = pairs.filter(|((_, before), (_, after))| before != after);
    differing.map(|(_, (key, after))| (key.to_string(), after)).collect()
}

/// Compares values including the order of fields.
fn is_same(one: &Value, other: &Value) -> bool {
    let (one, other) = (one.to_string(), other.to_string());
    one == other
}

fn fields_between(path: &str, before: &Value, after: &Value, difference: &mut Difference) {
    let fields = |of: &Value| of.as_object().cloned().unwrap_or_default();
    let (before, after) = (fields(before), fields(after));
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        difference.insert(format!("{path}{name}"), Value::Null);
    }
    for (name, new) in &after {
        let place = format!("{path}{name}");
        match before.get(name) {
            Some(old) if is_same(old, new) => {}
            // `requestData` is always given in full.
            Some(old) if old.is_object() && new.is_object() && place != "requestData" => {
                fields_between(&format!("{place}."), old, new, difference);
            }
            _ => _ = difference.insert(place, new.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{case, cases};

    #[test]
    fn applying_the_difference_of_two_outcomes_gives_the_second() {
        let base = &case("power-on").outcome;
        let is_audited =
            |outcome: &&Value| outcome["fate"] == "audited" && outcome["headers"]["id"].is_string();
        let outcomes = cases().iter().map(|case| &case.outcome).filter(is_audited);
        let mut compared = 0;
        for outcome in outcomes {
            let mut made = apply(base, &between(base, outcome));
            made["topic"] = outcome["topic"].clone();
            assert_eq!(made.to_string(), outcome.to_string());
            compared += 1;
        }
        assert!(compared > 100, "only {compared} outcomes compared");
    }
}
