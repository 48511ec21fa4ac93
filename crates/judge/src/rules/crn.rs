//! Cloud resource names from configurable templates. A template is parsed once. Filling it in
//! cannot fail and allows no injection, since every value is an id or a code that was checked
//! before.

use crate::json::bytes::needs_escapes;
use crate::json::write::Json;

/// The two CRNs of an audit event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CrnTemplates {
    /// `target.id`.
    pub target: CrnTemplate,
    /// `logSourceCRN`.
    pub log_source: CrnTemplate,
}

/// A parsed template, e.g. `crn:v1:bluemix:public:{service}:{location}:a/{account}:::`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

/// The values of the placeholders.
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
    /// The names of the placeholders.
    pub const PLACEHOLDERS: [&'static str; 5] =
        ["service", "location", "account", "resource_type", "id"];

    /// Parses a template.
    ///
    /// # Errors
    /// Explains why the text is not a CRN, or names the unknown placeholder.
    pub fn parse(template: &str) -> Result<Self, String> {
        if !template.starts_with("crn:") || template.matches(':').count() < 9 {
            return Err("a CRN begins with crn: and has ten segments".to_owned());
        }
        let bytes = template.as_bytes();
        if !bytes.iter().all(u8::is_ascii_graphic) || needs_escapes(bytes) {
            return Err("a CRN is ASCII without spaces, quotes and backslashes".to_owned());
        }
        let mut pieces = Vec::new();
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            let (literal, tail) = rest.split_at(at);
            let inner = tail.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (name, after) = inner.ok_or("it has an unpaired brace")?;
            pieces.push(Piece::Literal(literal.to_owned()));
            pieces.push(Piece::placeholder(name).ok_or_else(|| {
                format!("{{{name}}} is not one of {{{}}}", Self::PLACEHOLDERS.join("}, {"))
            })?);
            rest = after;
        }
        pieces.push(Piece::Literal(rest.to_owned()));
        Ok(CrnTemplate { pieces })
    }

    /// Writes the filled-in template as part of a JSON string. No part of it needs escapes.
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
            ("urn:x", "begins with crn:"),
            ("crn:v1:a:b:c", "ten segments"),
            ("crn:v1:b:p:{servce}:l:a/1:::", "{servce} is not one of"),
            ("crn:v1:b:p:{service:l:a/1:::", "unpaired brace"),
            ("crn:v1:b:p:service}:l:a/1:::", "unpaired brace"),
            ("crn:v1:b:p:s:l:a/{account:::{id}", "is not one of"),
            ("crn:v1:b:p:s: :a/1:::", "without spaces"),
            ("crn:v1:b\"p:p:s:l:a/1:::", "quotes"),
            ("crn:v1:b:p:s:l:a/1::\n:", "is ASCII"),
        ] {
            let error = CrnTemplate::parse(template).expect_err(template);
            assert!(error.contains(problem), "{template}: {error}");
        }
    }
}
