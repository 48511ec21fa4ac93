//! Reads JSON objects with known fields in one pass. Keys match in any case: `userid` is `userId`,
//! which would otherwise be silently missing. A field that is given twice, in any case, is
//! ambiguous and refused. An unknown field is counted and ignored. Lists are not accepted as
//! objects.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::oddities::Oddities;

/// The fields of one type of object.
pub(super) trait Fields<'de>: Default {
    /// Their names.
    const NAMES: &'static [&'static str];

    /// Reads the value of the field at this index of [`Fields::NAMES`].
    fn take<A: MapAccess<'de>>(&mut self, place: usize, map: &mut A) -> Result<(), A::Error>;
}

/// Reads an object.
pub(super) fn read_object<'de, F: Fields<'de>>(
    json: &'de [u8],
    oddities: &mut Oddities,
) -> Result<F, String> {
    let text = std::str::from_utf8(json).map_err(|error| format!("not UTF-8: {error}"))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let object = ObjectReader { oddities, fields: PhantomData };
    let fields = object.deserialize(&mut reader);
    let fields = fields.and_then(|fields| reader.end().map(|()| fields));
    fields.map_err(|error| error.to_string())
}

struct ObjectReader<'o, F> {
    oddities: &'o mut Oddities,
    fields: PhantomData<F>,
}

impl<'de, F: Fields<'de>> DeserializeSeed<'de> for ObjectReader<'_, F> {
    type Value = F;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<F, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: Fields<'de>> Visitor<'de> for ObjectReader<'_, F> {
    type Value = F;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<F, A::Error> {
        let mut fields = F::default();
        let (mut seen, mut next) = (0u32, 0);
        while let Some(Text(key)) = map.next_key()? {
            let Some(place) = place_of(F::NAMES, &key, next) else {
                self.oddities.fields.count(&key);
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & (1 << place) != 0 {
                return Err(de::Error::duplicate_field(F::NAMES[place]));
            }
            seen |= 1 << place;
            next = place + 1;
            fields.take(place, &mut map)?;
        }
        Ok(fields)
    }
}

/// Returns the index of the name that a key matches. Most entries have the usual case and order, so
/// the next name usually matches.
fn place_of(names: &[&str], key: &str, next: usize) -> Option<usize> {
    let (before, after) = names.split_at_checked(next).unwrap_or((names, &[]));
    let exact = after.iter().position(|name| *name == key);
    let exact = exact.map(|place| next + place);
    let exact = exact.or_else(|| before.iter().position(|name| *name == key));
    exact.or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(key)))
}

/// A string, borrowed if it has no escapes.
pub(super) struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// The JSON of a value as written; empty for `null` and for a missing value.
#[derive(Clone, Copy, Default)]
pub(super) struct Json<'a>(pub Option<&'a str>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        Ok(Json(Some(raw).filter(|raw| *raw != "null")))
    }
}
