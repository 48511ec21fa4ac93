//! Conditions on a record's metadata, as far as a catalogue row can state them: attribute in, or not in, a set of values.
//! They are kept in a form in which "can it hold" and "can both hold" are decided exactly. How they are written is
//! known to `file.rs`.

use std::collections::BTreeMap;

/// A number or a text, such that numbers and numeric texts compare equal: 0, "0", " 0" and 0.0.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Integer(i128),
    /// Finite, and not integral.
    Fraction(f64),
    Text(String),
}

impl Scalar {
    /// `None` for what is not a value a row may name: dates, lists, tables, infinities.
    pub(super) fn from_toml(value: &toml::Value) -> Option<Self> {
        match value {
            toml::Value::String(text) => Some(Self::from_text(text)),
            toml::Value::Integer(number) => Some(Self::Integer(i128::from(*number))),
            toml::Value::Float(number) => Self::from_float(*number),
            toml::Value::Boolean(flag) => Some(Self::Text(flag.to_string())),
            _ => None,
        }
    }

    /// `None` for lists and objects: they are values, but equal none that a row may name.
    fn from_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::String(text) => Some(Self::from_text(text)),
            serde_json::Value::Bool(flag) => Some(Self::Text(flag.to_string())),
            serde_json::Value::Number(number) => number
                .as_i128()
                .map(Self::Integer)
                .or_else(|| number.as_f64().and_then(Self::from_float)),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Self {
        let text = text.trim();
        // Rust would read "nan" and "infinity" as numbers as well; to an operator they are words.
        let numeric = || !text.bytes().any(|byte| matches!(byte, b'n' | b'N'));
        text.parse()
            .map(Self::Integer)
            .ok()
            .or_else(|| {
                text.parse()
                    .ok()
                    .filter(|_| numeric())
                    .and_then(Self::from_float)
            })
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

/// The values of one attribute for which a row holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// Finitely many values; an absent attribute is none of them.
    OneOf(Vec<Scalar>),
    /// Everything but finitely many values; an absent attribute is in.
    NoneOf(Vec<Scalar>),
}

impl Test {
    /// `is_in`, when given, and `not_in` must both hold. Either way one finite list says it all.
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
        // There are infinitely many values, so a finite list never takes all away.
        !matches!(self, Self::OneOf(values) if values.is_empty())
    }

    fn holds(&self, value: Option<&serde_json::Value>) -> bool {
        let scalar = value.and_then(Scalar::from_json);
        match self {
            Self::OneOf(values) => scalar.is_some_and(|scalar| values.contains(&scalar)),
            Self::NoneOf(values) => scalar.is_none_or(|scalar| !values.contains(&scalar)),
        }
    }

    fn is_disjoint(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OneOf(these), Self::OneOf(those)) => !these.iter().any(|v| those.contains(v)),
            (Self::OneOf(these), Self::NoneOf(those))
            | (Self::NoneOf(those), Self::OneOf(these)) => these.iter().all(|v| those.contains(v)),
            (Self::NoneOf(_), Self::NoneOf(_)) => false,
        }
    }
}

/// Tests on attributes, all of which must hold. Without any it always holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Condition(pub(super) BTreeMap<String, Test>);

impl Condition {
    /// Whether it holds without a look at any attribute.
    pub(super) fn is_always(&self) -> bool {
        self.0.is_empty()
    }

    /// The attribute whose test no value can pass, if there is one.
    pub(super) fn impossible_attribute(&self) -> Option<&str> {
        let mut tests = self.0.iter();
        tests
            .find(|(_, test)| !test.can_hold())
            .map(|(attribute, _)| attribute.as_str())
    }

    /// Whether it holds for a record, whose attributes `attribute` finds by name. JSON's null counts as absent.
    pub(super) fn holds<'v>(
        &self,
        attribute: &impl Fn(&str) -> Option<&'v serde_json::Value>,
    ) -> bool {
        self.0
            .iter()
            .all(|(name, test)| test.holds(attribute(name)))
    }

    /// Whether no record can satisfy both. Attributes are independent of each other, so two conditions that can each hold
    /// exclude each other just when their tests of one attribute do.
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
    use serde_json::{Value, json};

    fn values(list: &[i64]) -> Vec<Scalar> {
        list.iter()
            .map(|n| Scalar::Integer(i128::from(*n)))
            .collect()
    }

    fn one_of(list: &[i64]) -> Test {
        Test::OneOf(values(list))
    }

    fn none_of(list: &[i64]) -> Test {
        Test::NoneOf(values(list))
    }

    fn condition(tests: &[(&str, Test)]) -> Condition {
        let owned = tests
            .iter()
            .map(|(name, test)| (name.to_string(), test.clone()));
        Condition(owned.collect())
    }

    #[test]
    fn numbers_and_numeric_texts_are_equal() {
        let zero = one_of(&[0]);
        for value in [
            json!(0),
            json!("0"),
            json!(0.0),
            json!(-0.0),
            json!(" 0 "),
            json!("0.0"),
            json!("-0"),
        ] {
            assert!(zero.holds(Some(&value)), "{value}");
        }
        for value in [
            json!(1),
            json!("fast"),
            json!(""),
            json!(false),
            json!(0.5),
            json!([0]),
            json!({}),
            json!(u64::MAX),
            Value::Null,
        ] {
            assert!(!zero.holds(Some(&value)), "{value}");
        }
        assert_eq!(Scalar::from_text("1e2"), Scalar::Integer(100));
        assert_eq!(Scalar::from_text("0.5"), Scalar::Fraction(0.5));
        for word in ["nan", "NaN", "inf", "-infinity", "1e999", "fast"] {
            assert_eq!(Scalar::from_text(word), Scalar::Text(word.to_owned()));
        }
        let flag = Scalar::from_toml(&toml::Value::Boolean(true));
        assert_eq!(flag, Scalar::from_json(&json!("true")));
        assert_eq!(flag, Scalar::from_json(&json!(true)));
    }

    #[test]
    fn absent_is_in_the_complement_only() {
        for absent in [None, Some(&Value::Null)] {
            assert!(!one_of(&[0]).holds(absent));
            assert!(none_of(&[0]).holds(absent));
        }
        assert!(none_of(&[0]).holds(Some(&json!([0]))));
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
            (json!({"speed": 0}), true),
            (json!({"speed": "0", "port": 0}), true),
            (json!({"speed": 0, "port": 1}), false),
            (json!({"port": 0}), false),
        ];
        for (metadata, expected) in cases {
            assert_eq!(
                both.holds(&|name: &str| metadata.get(name)),
                expected,
                "{metadata}"
            );
        }
    }
}
