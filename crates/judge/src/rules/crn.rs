//! Cloud resource names from configurable templates. A template is parsed once; filling it in
//! cannot fail and cannot be injected into, since every value is an id or a code that was checked
//! before.

use crate::json::bytes::{is_printable_ascii, needs_escapes};
use crate::json::write::Json;

/// The two CRNs of an audit event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrnTemplates {
    /// `target.id`.
    pub target: CrnTemplate,
    /// `logSourceCRN`.
    pub log_source: CrnTemplate,
}

/// A parsed template, e.g. `crn:v1:bluemix:public:{service}:{location}:a/{account}:::`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrnTemplate {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Service,
    Location,
    Account,
    ResourceType,
    Id,
}

/// What the placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub struct CrnValues<'a> {
    /// `{service}`, e.g. `audit-log`.
    pub service: &'a str,
    /// `{location}`: the data center code.
    pub location: &'a str,
    /// `{account}`.
    pub account: &'a str,
    /// `{resource_type}`, e.g. `bare-metal`.
    pub resource_type: &'a str,
    /// `{id}`: the device.
    pub id: &'a str,
}

impl CrnTemplate {
    /// Names of the placeholders.
    pub const PLACEHOLDERS: [&'static str; 5] =
        ["service", "location", "account", "resource_type", "id"];

    /// Parses a template.
    ///
    /// # Errors
    /// Says which placeholder is not known, or why it is not a CRN: of ten segments, in printable
    /// ASCII.
    pub fn parse(template: &str) -> Result<Self, String> {
        if !template.starts_with("crn:") || template.matches(':').count() < 9 {
            return Err(format!(
                "{template:?} is not a CRN: it must begin with \"crn:\" and have ten segments"
            ));
        }
        if !is_printable_ascii(template.as_bytes()) || needs_escapes(template.as_bytes()) {
            return Err(format!(
                "{template:?} is not a CRN: write printable ASCII without quotes and backslashes"
            ));
        }
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some((literal, after)) = rest.split_once('{') {
            let (name, tail) = after
                .split_once('}')
                .ok_or_else(|| format!("{template:?} lacks a closing brace"))?;
            pieces.push(Piece::Literal(literal.to_string()));
            pieces.push(Piece::placeholder(name).ok_or_else(|| {
                format!("{{{name}}} is not one of {{{}}}", Self::PLACEHOLDERS.join("}, {"))
            })?);
            rest = tail;
        }
        pieces.push(Piece::Literal(rest.to_string()));
        Ok(CrnTemplate { pieces })
    }

    /// Writes the template, filled in, as part of a JSON string. Nothing of it needs escapes.
    pub fn fill(&self, values: &CrnValues<'_>, json: &mut Json) {
        for piece in &self.pieces {
            json.raw(match piece {
                Piece::Literal(text) => text,
                Piece::Service => values.service,
                Piece::Location => values.location,
                Piece::Account => values.account,
                Piece::ResourceType => values.resource_type,
                Piece::Id => values.id,
            });
        }
    }
}

impl Piece {
    fn placeholder(name: &str) -> Option<Piece> {
        Some(match name {
            "service" => Piece::Service,
            "location" => Piece::Location,
            "account" => Piece::Account,
            "resource_type" => Piece::ResourceType,
            "id" => Piece::Id,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_every_placeholder() {
        let template = CrnTemplate::parse(
            "crn:v1:bluemix:public:{service}:{location}:a/{account}::{resource_type}:{id}",
        )
        .expect("parses");
        let values = CrnValues {
            service: "audit-log",
            location: "dal10",
            account: "307608",
            resource_type: "bare-metal",
            id: "1234567",
        };
        let mut crn = Json::default();
        template.fill(&values, &mut crn);
        assert_eq!(
            crn.into_bytes(),
            b"crn:v1:bluemix:public:audit-log:dal10:a/307608::bare-metal:1234567"
        );
    }

    #[test]
    fn refuses_what_is_not_a_template() {
        for (template, problem) in [
            ("urn:x", "not a CRN"),
            ("crn:v1:a:b:c", "ten segments"),
            ("crn:v1:b:p:{servce}:l:a/1:::", "{servce} is not one of"),
            ("crn:v1:b:p:{service:l:a/1:::", "closing brace"),
            ("crn:v1:b\"p:p:s:l:a/1:::", "without quotes"),
            ("crn:v1:b:p:s:l:a/1::\n:", "printable ASCII"),
        ] {
            let error = CrnTemplate::parse(template).expect_err(template);
            assert!(error.contains(problem), "{template}: {error}");
        }
    }
}
