//! Selects what may be copied from a record's metadata into its event: plain values under the keys
//! that the catalogue's row names, and nothing else, since metadata can contain secrets. All of
//! them become text, whatever their type in the record, so that a field has one type in all events
//! of a topic.

use crate::catalog::{Action, Attributes, Update};
use crate::enrich::AttributedAction;
use crate::json::write::Json;
use crate::parse::record::Fields;
use crate::text::{clean, cut, is_absent};

/// Longest string copied into request data, in characters; the rest is cut.
const REQUEST_VALUE_CHARACTERS: usize = 1_024;

/// Writes `requestData`: the allow-listed attributes, the values before and after a change, and
/// which fields could not be read.
pub(crate) fn write_request_data(attributed: &AttributedAction<'_>, json: &mut Json) {
    let action = attributed.user_action.action;
    let attributes = &attributed.user_action.attributes;
    let mut members = Members::begin(json);
    members.copy(&action.request_data, attributes);
    if let Some(update) = &action.update {
        members.change(update, attributes);
    }
    members.note_unreadable(attributed.user_action.change.unreadable);
    members.end();
}

/// Writes `requestData` of an event that is too large to include it in full.
pub(crate) fn write_truncated(unreadable: Fields, json: &mut Json) {
    let mut members = Members::begin(json);
    members.flag("truncated");
    members.note_unreadable(unreadable);
    members.end();
}

/// Writes `responseData`, if there is any, as a further member of an object.
pub(crate) fn write_response_data(action: &Action, attributes: &Attributes<'_>, json: &mut Json) {
    let has_any = |key: &String| attributes.text(key).is_some();
    if action.response_data.iter().any(has_any) {
        json.raw(r#","responseData":"#);
        let mut members = Members::begin(json);
        members.copy(&action.response_data, attributes);
        members.end();
    }
}

/// An object being written.
struct Members<'j> {
    json: &'j mut Json,
    divider: &'static str,
}

impl<'j> Members<'j> {
    fn begin(json: &'j mut Json) -> Self {
        json.raw("{");
        Members { json, divider: "" }
    }

    fn end(self) {
        self.json.raw("}");
    }

    fn key(&mut self, key: &str) {
        self.json.raw(self.divider);
        self.divider = ",";
        self.json.word(key);
        self.json.raw(":");
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.json.text(cut(&clean(text), REQUEST_VALUE_CHARACTERS));
    }

    fn flag(&mut self, key: &str) {
        self.key(key);
        self.json.raw("true");
    }

    /// Copies the plain allow-listed attributes. A nested one could contain anything.
    fn copy(&mut self, allowed: &[String], attributes: &Attributes<'_>) {
        for key in allowed {
            if let Some(text) = attributes.text(key) {
                self.text(key, text);
            }
        }
    }

    /// Writes the values before and after a change, both from the metadata. The record's states are
    /// those of the object, running or stopped: as values of a rename or a speed update they would
    /// be wrong, and no row allows them.
    fn change(&mut self, update: &Update, attributes: &Attributes<'_>) {
        let value = |key| attributes.text(key).filter(|text| !is_absent(text));
        if let Some(new) = value(&update.new_key) {
            self.text("updateType", &update.update_type);
            if let Some(initial) = value(&update.initial_key) {
                self.text("initialValue", initial);
            }
            self.text("newValue", new);
        }
    }

    /// Lists the fields of the record that were present and could not be read, so that they are not
    /// taken for absent.
    fn note_unreadable(&mut self, fields: Fields) {
        if !fields.is_empty() {
            let names: Vec<_> = fields.names().collect();
            self.flag("unreadable");
            self.text("unreadableFields", &names.join(","));
        }
    }
}
