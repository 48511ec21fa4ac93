//! The metadata attributes that rows name, and their values in a record. An attribute may be
//! published under several names, and its value may carry a unit. No other attribute is ever kept.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::data_file::Report;
use crate::json::Raw;
use crate::text::is_absent;
use crate::text::names::normalise;

/// The settings of one attribute in a catalogue file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttributeText {
    /// Other names under which it is published.
    #[serde(default)]
    also: Vec<String>,
    /// Units that may follow a number, each with its factor.
    #[serde(default)]
    units: BTreeMap<String, u32>,
}

/// The attribute settings of a file, by the name that its rows use.
pub(super) type AttributeTexts = BTreeMap<String, AttributeText>;

/// Reports what is wrong with the settings.
pub(super) fn check(texts: &AttributeTexts, report: &mut Report<'_>) {
    for (name, text) in texts {
        report.require(text.also.iter().all(|also| !also.trim().is_empty()), || {
            format!("`attributes.{name}.also` holds a blank name: remove it")
        });
        let taken = |also: &String| texts.keys().any(|name| name.eq_ignore_ascii_case(also));
        if let Some(also) = text.also.iter().find(|also| taken(also)) {
            report.say(format!(
                "`attributes.{name}.also` holds `{also}`, which is an attribute of its own: leave out one"
            ));
        }
    }
}

/// An attribute with all its names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    name: String,
    also: Vec<String>,
    /// In comparable form.
    units: Vec<(String, u32)>,
}

impl Key {
    fn new(name: &str, texts: &AttributeTexts) -> Self {
        let text = texts.get(name).cloned().unwrap_or_default();
        let units = text.units.into_iter();
        Key {
            name: name.to_owned(),
            also: text.also,
            units: units.map(|(unit, factor)| (normalise(&unit).into_owned(), factor)).collect(),
        }
    }

    fn is_called(&self, written: &str) -> bool {
        let mut names = std::iter::once(&self.name).chain(&self.also);
        names.any(|name| name.eq_ignore_ascii_case(written))
    }

    /// Returns the number in a text that ends in a unit.
    fn amount(&self, text: &str) -> Option<i128> {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '-')?;
        let (number, unit) = text.split_at_checked(end)?;
        let unit = normalise(unit);
        let (_, factor) = self.units.iter().find(|(known, _)| *known == unit)?;
        number.parse::<i64>().ok()?.checked_mul(i64::from(*factor)).map(i128::from)
    }
}

/// The attributes that the rows of one listing name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

impl Keys {
    /// Adds an attribute, unless it is already there.
    pub(super) fn add(&mut self, name: &str, texts: &AttributeTexts) {
        if !self.0.iter().any(|key| key.name == name) {
            self.0.push(Key::new(name, texts));
        }
    }

    /// Returns the position of the attribute that a metadata key names, in any case.
    pub fn position(&self, written: &str) -> Option<usize> {
        self.0.iter().position(|key| key.is_called(written))
    }

    /// Returns a record's value of an attribute; `None` for null.
    pub(crate) fn attribute(&self, position: usize, raw: Raw<'_>) -> Option<Attribute> {
        match raw.0.as_bytes() {
            b"null" => None,
            [b'[' | b'{', ..] => Some(Attribute::Nested),
            b"true" | b"false" => Some(Attribute::plain(raw.0.to_owned(), None)),
            _ => {
                let text = raw.lenient_text()?.into_owned();
                let amount = self.0.get(position).and_then(|key| key.amount(text.trim()));
                Some(Attribute::plain(text, amount))
            }
        }
    }
}

/// A record's value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A text, number or boolean.
    Plain {
        /// The value as written.
        text: String,
        /// The number in it, if it is a number with a unit.
        amount: Option<i128>,
    },
    /// A list or an object, which could contain anything.
    Nested,
}

impl Attribute {
    pub(super) const fn plain(text: String, amount: Option<i128>) -> Self {
        Attribute::Plain { text, amount }
    }
}

/// One record's values of the attributes that the rows of its listing name.
#[derive(Debug, Clone, Default)]
pub struct Attributes<'c> {
    keys: Option<&'c Keys>,
    values: Vec<Option<Attribute>>,
    has_members: bool,
}

impl<'c> Attributes<'c> {
    /// Creates the attributes of metadata, with the values at their keys' positions.
    pub fn new(keys: &'c Keys, values: Vec<Option<Attribute>>, has_members: bool) -> Self {
        Attributes { keys: Some(keys), values, has_members }
    }

    /// Returns whether the metadata has any members, named by a row or not.
    pub fn has_members(&self) -> bool {
        self.has_members
    }

    /// Returns an attribute, by the name that rows use. A word for nothing counts as absent.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.written(name).filter(|attribute| match attribute {
            Attribute::Plain { text, .. } => !is_absent(text),
            Attribute::Nested => true,
        })
    }

    /// Returns the text of a plain attribute, blank or not.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.written(name)? {
            Attribute::Plain { text, .. } => Some(text),
            Attribute::Nested => None,
        }
    }

    fn written(&self, name: &str) -> Option<&Attribute> {
        let position = self.keys?.0.iter().position(|key| key.name == name)?;
        self.values.get(position)?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_has_several_names_and_units() {
        let texts: AttributeTexts =
            toml::from_str("speed = { also = [\"newSpeed\"], units = { Mbps = 1, Gbps = 1000 } }")
                .expect("TOML");
        let mut keys = Keys::default();
        for name in ["port", "speed", "port"] {
            keys.add(name, &texts);
        }
        assert_eq!(keys.position("NEWSPEED"), Some(1));
        assert_eq!(keys.position("oldSpeed"), None);
        for (json, amount) in [
            (r#""100 Mbps""#, Some(100)),
            (r#""0mbps""#, Some(0)),
            (r#"" -1 Mbps ""#, Some(-1)),
            (r#""10 GBPS""#, Some(10_000)),
            (r#""10 furlongs""#, None),
            (r#""fast""#, None),
            ("100", None),
        ] {
            let Some(Attribute::Plain { amount: found, .. }) = keys.attribute(1, Raw(json)) else {
                panic!("{json}");
            };
            assert_eq!(found, amount, "{json}");
        }
        assert_eq!(keys.attribute(1, Raw("[0]")), Some(Attribute::Nested));
        assert_eq!(keys.attribute(1, Raw("null")), None);
    }
}
