//! Reads one level of JSON lists and objects; their items stay as written. Memory use is small,
//! however many items there are.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::Raw;

/// Most items of a list that are kept.
const ITEMS_MAX: usize = 16;

/// Returns the first items of a list.
pub(crate) fn items(json: &str) -> Option<Vec<Raw<'_>>> {
    serde_json::Deserializer::from_str(json).deserialize_seq(Items).ok()
}

struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = Vec<Raw<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < ITEMS_MAX {
            match list.next_element::<&RawValue>()? {
                Some(item) => items.push(Raw(item.get())),
                None => return Ok(items),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }
}

/// Returns the members of an object that have these names, in any case. `None` if it is not an
/// object or has a duplicate among them.
pub(crate) fn members<'a, const N: usize>(
    json: &'a str,
    names: [&str; N],
) -> Option<[Option<Raw<'a>>; N]> {
    serde_json::Deserializer::from_str(json).deserialize_map(Members(names)).ok()
}

struct Members<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<Raw<'de>>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(Key(key)) = map.next_key()? {
            let position = self.0.iter().position(|name| key.eq_ignore_ascii_case(name));
            let Some(place) = position.and_then(|position| found.get_mut(position)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value: &RawValue = map.next_value()?;
            if place.replace(Raw(value.get())).is_some() {
                return Err(A::Error::custom("a member twice"));
            }
        }
        Ok(found)
    }
}

/// A key, borrowed if it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Key<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Returns the text of a JSON string. Half a surrogate pair, left by a producer that cut a text in
/// the middle of a character, becomes U+FFFD.
pub(crate) fn string(json: &str) -> Option<String> {
    struct Text;

    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<String, E> {
            // Half a pair arrives as three bytes that are not UTF-8.
            let lossy = String::from_utf8_lossy(bytes);
            Ok(lossy.replace("\u{fffd}\u{fffd}\u{fffd}", "\u{fffd}"))
        }
    }

    // Nearly every text is read by the first call, which need not look at its characters again.
    let whole = serde_json::from_str(json).ok();
    whole.or_else(|| serde_json::Deserializer::from_str(json).deserialize_bytes(Text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_one_level_deep() {
        let items = items(r#"[1, "a", {"b": []}]"#).expect("a list");
        assert_eq!(items, [Raw("1"), Raw("\"a\""), Raw("{\"b\": []}")]);
        let found = members(r#"{"id":1,"Name":"x","long":[2]}"#, ["name", "long", "no"]);
        assert_eq!(found, Some([Some(Raw("\"x\"")), Some(Raw("[2]")), None]));
        assert_eq!(members(r#"{"name":1,"NAME":2}"#, ["name"]), None);
        assert_eq!(members("[]", ["name"]), None);
    }

    #[test]
    fn strings_may_end_in_half_a_character() {
        for (json, text) in [
            (r#""a\n\ud83d\ude80""#, "a\n🚀"),
            (r#""web\ud83d""#, "web\u{fffd}"),
            (r#""\udc00b""#, "\u{fffd}b"),
        ] {
            assert_eq!(string(json).as_deref(), Some(text), "{json}");
        }
        assert_eq!(string("1"), None);
    }
}
