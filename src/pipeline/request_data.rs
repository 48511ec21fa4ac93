//! What may be copied from a record's metadata into its event: plain values under the keys that the
//! catalogue's row names, and nothing else, since metadata can hold secrets.

use serde_json::{Map, Value};

use super::enrich::AttributedAction;
use super::field::Raw;
use super::record::Fields;
use super::text::{clean, cut};

/// Strings copied into request data are cut here, in characters.
const REQUEST_VALUE_CHARACTERS: usize = 1_024;

/// The allow-listed attributes, and the values before and after a change.
pub(super) fn request_data(attributed: &AttributedAction<'_>) -> Map<String, Value> {
    let change = &attributed.user_action.change;
    let attributes = &attributed.user_action.attributes;
    let action = attributed.user_action.action;
    let mut data = copied(&action.request_data, attributes);
    note_unreadable(change.unreadable, &mut data);
    if let Some(update) = &action.update {
        let value = |key: &str, state: Option<Raw<'_>>| {
            let attribute = attributes.get(key).and_then(scalar);
            attribute.or_else(|| plain_state(state?))
        };
        if let Some(new) = value(&update.new_key, change.new_state) {
            data.insert("updateType".into(), update.update_type.as_str().into());
            if let Some(initial) = value(&update.initial_key, change.previous_state) {
                data.insert("initialValue".into(), initial);
            }
            data.insert("newValue".into(), new);
        }
    }
    data
}

/// Says which fields of the record were there and could not be read, so that nobody takes them for absent.
pub(super) fn note_unreadable(fields: Fields, data: &mut Map<String, Value>) {
    if !fields.is_empty() {
        let names: Vec<_> = fields.names().collect();
        data.insert("unreadable".into(), true.into());
        data.insert("unreadableFields".into(), names.join(",").into());
    }
}

/// The allow-listed attributes, and of these only plain values: a nested one could hold anything.
pub(super) fn copied(allowed: &[String], attributes: &Map<String, Value>) -> Map<String, Value> {
    allowed
        .iter()
        .filter_map(|key| Some((key.clone(), scalar(attributes.get(key)?)?)))
        .collect()
}

/// A state that is a plain value. Producers also send whole objects: these are not the value that changed.
fn plain_state(Raw(state): Raw<'_>) -> Option<Value> {
    let state: Value = serde_json::from_str(state).ok()?;
    let is_blank = state.as_str().is_some_and(|text| text.trim().is_empty());
    scalar(&state).filter(|_| !is_blank)
}

fn scalar(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(Value::from(clean(cut(text, REQUEST_VALUE_CHARACTERS)))),
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
