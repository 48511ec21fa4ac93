//! Conditions on a record's metadata, as far as a catalogue row can state them: attribute in, or
//! not in, a set of values. Their form makes "can it hold" and "can both hold" exactly decidable.
//! `file.rs` knows their syntax.

use std::collections::BTreeMap;

use super::attributes::{Attribute, Attributes};

/// A number or a text. Numbers and numeric texts compare equal: 0, "0", " 0" and 0.0.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Integer(i128),
    /// Finite, and not integral.
    Fraction(f64),
    Text(String),
}

impl Scalar {
    /// Converts a TOML value; `None` if a row may not use it: dates, lists, tables, infinities.
    pub(super) fn from_toml(value: &toml::Value) -> Option<Self> {
        match value {
            toml::Value::String(text) => Some(Self::from_text(text)),
            toml::Value::Integer(number) => Some(Self::Integer(i128::from(*number))),
            toml::Value::Float(number) => Self::from_float(*number),
            toml::Value::Boolean(flag) => Some(Self::Text(flag.to_string())),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Self {
        let text = text.trim();
        // Rust would also read "nan" and "infinity" as numbers; to an operator they are words.
        let numeric = || !text.bytes().any(|byte| matches!(byte, b'n' | b'N'));
        text.parse()
            .map(Self::Integer)
            .ok()
            .or_else(|| text.parse().ok().filter(|_| numeric()).and_then(Self::from_float))
            .unwrap_or_else(|| Self::Text(text.to_owned()))
    }

    fn from_float(number: f64) -> Option<Self> {
        // Every integral float up to this size is an exact integer.
        const INTEGRAL_MAX: f64 = 1e30;
        match number {
            _ if !number.is_finite() => None,
            _ if number.fract() == 0.0 && number.abs() < INTEGRAL_MAX => {
                Some(Self::Integer(number as i128))
            }
            _ => Some(Self::Fraction(number)),
        }
    }
}

/// The values of one attribute for which a row applies.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// Finitely many values. An absent attribute does not match.
    OneOf(Vec<Scalar>),
    /// All but finitely many values. An absent attribute matches.
    NoneOf(Vec<Scalar>),
    /// Any value. An absent attribute does not match.
    Present,
}

impl Test {
    /// Creates a test: `is_in`, if given, and `not_in` must both hold. One finite list expresses
    /// both.
    pub(super) fn new(is_in: Option<Vec<Scalar>>, not_in: Vec<Scalar>) -> Self {
        match is_in {
            Some(mut values) => {
                values.retain(|value| !not_in.contains(value));
                Self::OneOf(values)
            }
            None => Self::NoneOf(not_in),
        }
    }

    fn can_hold(&self) -> bool {
        // There are infinitely many values, so a finite list never excludes all of them.
        !matches!(self, Self::OneOf(values) if values.is_empty())
    }

    /// Returns whether the test holds for an attribute.
    ///
    /// # Errors
    /// Describes the value if it cannot be compared with the test's values, so that the result is
    /// unknown.
    fn holds(&self, attribute: &Attribute) -> Result<bool, String> {
        let (values, is_in) = match self {
            Self::OneOf(values) => (values, true),
            Self::NoneOf(values) => (values, false),
            Self::Present => return Ok(true),
        };
        let Attribute::Plain { text, amount } = attribute else {
            return Err("is a list or an object".to_owned());
        };
        let scalar = amount.map_or_else(|| Scalar::from_text(text), Scalar::Integer);
        let is_text = matches!(scalar, Scalar::Text(_));
        if is_text && !values.iter().any(|value| matches!(value, Scalar::Text(_))) {
            return Err(format!("is no number: {text:?}"));
        }
        Ok(values.contains(&scalar) == is_in)
    }

    /// Returns whether the test holds if there is no metadata at all.
    fn holds_for_nothing(&self) -> bool {
        matches!(self, Self::NoneOf(_))
    }

    fn is_disjoint(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OneOf(these), Self::OneOf(those)) => !these.iter().any(|v| those.contains(v)),
            (Self::OneOf(these), Self::NoneOf(those))
            | (Self::NoneOf(those), Self::OneOf(these)) => these.iter().all(|v| those.contains(v)),
            // There are infinitely many values, and these exclude only finitely many.
            (Self::OneOf(values), Self::Present) | (Self::Present, Self::OneOf(values)) => {
                values.is_empty()
            }
            (Self::NoneOf(_) | Self::Present, Self::NoneOf(_) | Self::Present) => false,
        }
    }
}

/// Tests on attributes, all of which must hold. Without tests it always holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Condition(pub(super) BTreeMap<String, Test>);

impl Condition {
    /// Returns whether the condition holds without examining any attribute.
    pub(super) fn is_always(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the attribute whose test no value can pass, if there is one.
    pub(super) fn impossible_attribute(&self) -> Option<&str> {
        let mut tests = self.0.iter();
        tests.find(|(_, test)| !test.can_hold()).map(|(attribute, _)| attribute.as_str())
    }

    /// Iterates over the attributes that the condition examines.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns whether the condition holds for a record with these attributes.
    ///
    /// # Errors
    /// If the result depends on an attribute that the metadata lacks or that cannot be compared.
    /// Without any metadata, the result is always known.
    pub(super) fn holds(&self, attributes: &Attributes<'_>) -> Result<bool, String> {
        let mut holds = Ok(true);
        for (name, test) in &self.0 {
            match Self::test(name, test, attributes) {
                Ok(true) => {}
                // The other tests no longer matter.
                Ok(false) => return Ok(false),
                undecided => holds = undecided,
            }
        }
        holds
    }

    fn test(name: &str, test: &Test, attributes: &Attributes<'_>) -> Result<bool, String> {
        match attributes.get(name) {
            Some(attribute) => {
                test.holds(attribute).map_err(|what| format!("metaData.{name} {what}"))
            }
            None if *test == Test::Present => Ok(false),
            None if attributes.has_members() => {
                Err(format!("metaData has no {name}, which says what action it was"))
            }
            None => Ok(test.holds_for_nothing()),
        }
    }

    /// Returns whether no record can satisfy both. Attributes are independent of each other, so two
    /// satisfiable conditions exclude each other exactly if their tests of one attribute do.
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        self.0.iter().any(|(attribute, test)| {
            let opposite = other.0.get(attribute);
            opposite.is_some_and(|opposite| test.is_disjoint(opposite))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::attributes::Keys;
    use crate::classify::meta_data::MetaData;
    use crate::json::Raw;

    fn values(list: &[i64]) -> Vec<Scalar> {
        list.iter().map(|n| Scalar::Integer(i128::from(*n))).collect()
    }

    fn one_of(list: &[i64]) -> Test {
        Test::OneOf(values(list))
    }

    fn none_of(list: &[i64]) -> Test {
        Test::NoneOf(values(list))
    }

    fn condition(tests: &[(&str, Test)]) -> Condition {
        let owned = tests.iter().map(|(name, test)| (name.to_string(), test.clone()));
        Condition(owned.collect())
    }

    /// Returns whether a condition holds for metadata; `None` if that is unknown.
    fn holds(condition: &Condition, metadata: &str) -> Option<bool> {
        let mut keys = Keys::default();
        for name in condition.attributes() {
            keys.add(name, &BTreeMap::new());
        }
        let meta_data = MetaData::new(Some(Raw(metadata)));
        let attributes = meta_data.attributes(&keys).expect("an object");
        condition.holds(&attributes).ok()
    }

    #[test]
    fn numbers_and_numeric_texts_are_equal() {
        let zero = condition(&[("speed", one_of(&[0]))]);
        let speed = |value: &str| holds(&zero, &format!("{{\"speed\":{value}}}"));
        for value in ["0", r#""0""#, "0.0", "-0.0", r#"" 0 ""#, r#""0.0""#, r#""-0""#, "0e5"] {
            assert_eq!(speed(value), Some(true), "{value}");
        }
        for value in ["1", "0.5", "18446744073709551615", "1e40"] {
            assert_eq!(speed(value), Some(false), "{value}");
        }
        for value in [r#""fast""#, r#""""#, "false", "[0]", "{}", "null", r#""null""#, "1e400"] {
            assert_eq!(speed(value), None, "{value}");
        }
        assert_eq!(Scalar::from_text("1e2"), Scalar::Integer(100));
        assert_eq!(Scalar::from_text("0.5"), Scalar::Fraction(0.5));
        for word in ["nan", "NaN", "inf", "-infinity", "1e999", "fast"] {
            assert_eq!(Scalar::from_text(word), Scalar::Text(word.to_owned()));
        }
        let flag = Scalar::from_toml(&toml::Value::Boolean(true));
        assert_eq!(flag, Some(Scalar::from_text("true")));
    }

    #[test]
    fn texts_are_compared_with_texts() {
        let test = Test::OneOf(vec![Scalar::from_text("public"), Scalar::Integer(1)]);
        let port = condition(&[("port", test)]);
        for (value, expected) in [
            (r#""public""#, Some(true)),
            (r#""private""#, Some(false)),
            ("1", Some(true)),
            ("[1]", None),
        ] {
            assert_eq!(holds(&port, &format!("{{\"port\":{value}}}")), expected);
        }
    }

    #[test]
    fn without_metadata_the_complement_holds_and_with_it_nothing_is_guessed() {
        let cases = [(one_of(&[0]), false), (none_of(&[0]), true), (Test::Present, false)];
        for (test, expected) in cases {
            let condition = condition(&[("speed", test.clone())]);
            for nothing in ["{}", "[]", r#""""#] {
                assert_eq!(holds(&condition, nothing), Some(expected), "{test:?}");
            }
            let known = (test == Test::Present).then_some(false);
            for lacking in [r#"{"port":1}"#, r#"{"speed":null}"#, r#"{"speed":" "}"#] {
                assert_eq!(holds(&condition, lacking), known, "{test:?} {lacking}");
            }
        }
        let present = condition(&[("newName", Test::Present)]);
        assert_eq!(holds(&present, r#"{"NewName":"a"}"#), Some(true));
        assert_eq!(holds(&present, r#"{"newName":{}}"#), Some(true));
    }

    #[test]
    fn both_lists_of_one_attribute_become_one() {
        assert_eq!(Test::new(Some(values(&[1, 2])), values(&[2])), one_of(&[1]));
        assert_eq!(Test::new(None, values(&[2])), none_of(&[2]));
        assert!(!Test::new(Some(values(&[1])), values(&[1, 2])).can_hold());
    }

    #[test]
    fn disjointness_is_exact() {
        let cases = [
            (one_of(&[0]), one_of(&[-1]), true),
            (one_of(&[0, 1]), one_of(&[1, 2]), false),
            (one_of(&[0]), none_of(&[0, -1]), true),
            (one_of(&[0, 5]), none_of(&[0, -1]), false),
            (none_of(&[0]), none_of(&[1]), false),
            (Test::Present, one_of(&[0]), false),
            (Test::Present, none_of(&[0]), false),
            (Test::Present, Test::Present, false),
        ];
        for (one, other, expected) in cases {
            for (one, other) in [(&one, &other), (&other, &one)] {
                assert_eq!(one.is_disjoint(other), expected, "{one:?} {other:?}");
                let one = condition(&[("speed", one.clone()), ("port", none_of(&[3]))]);
                let same = condition(&[("speed", other.clone())]);
                let unrelated = condition(&[("interface", other.clone())]);
                assert_eq!(one.is_disjoint(&same), expected);
                assert!(!one.is_disjoint(&unrelated));
                assert!(!one.is_disjoint(&Condition::default()));
            }
        }
    }

    #[test]
    fn all_attributes_must_hold() {
        let both = condition(&[("speed", one_of(&[0])), ("port", none_of(&[1]))]);
        let cases = [
            (r#"{"speed": "0", "port": 0}"#, Some(true)),
            (r#"{"speed": 0, "port": 1}"#, Some(false)),
            // One test fails, so the other need not be known.
            (r#"{"port": 1}"#, Some(false)),
            (r#"{"speed": 7}"#, Some(false)),
            (r#"{"speed": 0}"#, None),
        ];
        for (metadata, expected) in cases {
            assert_eq!(holds(&both, metadata), expected, "{metadata}");
        }
    }
}
