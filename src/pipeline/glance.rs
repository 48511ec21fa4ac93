//! A look at a record that is enough for most: those that are skipped as `unlisted_action` or `not_user_initiated`.
//! It reads a payload once, keeps the four fields that such a decision rests on, and gives up on whatever is not as
//! usual. Then the stages decide. It never decides otherwise than they would; a property test holds the two together.

use super::catalog::Catalog;
use super::classify::UserType;
use super::fate::SkipReason;
use super::plain_json::{Plain, PlainObject};
use super::policy::Policy;

/// Why a record is skipped, if that is plain to see.
pub(super) fn glance(payload: &[u8], catalog: &Catalog, policy: &Policy) -> Option<SkipReason> {
    let seen = Seen::of(payload)?;
    let listed = catalog.listed(seen.class?, seen.event_key, seen.event_name);
    if listed.is_none() {
        return Some(SkipReason::UnlistedAction);
    }
    match UserType::of(seen.user_type?)? {
        UserType::Customer => None,
        UserType::System if policy.system_on_behalf_of_user => None,
        UserType::System | UserType::Employee => Some(SkipReason::NotUserInitiated),
    }
}

/// The fields that tell whether a record is a user's listed action.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen<'a> {
    class: Option<&'a str>,
    event_key: Option<&'a str>,
    event_name: Option<&'a str>,
    user_type: Option<&'a str>,
}

impl<'a> Seen<'a> {
    /// Reads a plain object to its end.
    fn of(payload: &'a [u8]) -> Option<Self> {
        let mut object = PlainObject::begin(payload)?;
        let mut seen = Seen::default();
        let mut keys = Keys(0);
        loop {
            let (key, value) = object.field()?;
            keys.add(key)?;
            seen.keep(key, value)?;
            if !object.has_more()? {
                break;
            }
        }
        let has_event = seen.event_key.is_some() || seen.event_name.is_some();
        has_event.then_some(seen)
    }

    /// Keeps a value that matters. `None` where it is not what it usually is.
    fn keep(&mut self, key: &[u8], value: Plain<'a>) -> Option<()> {
        let field = match key {
            b"userType" => &mut self.user_type,
            b"eventKey" => &mut self.event_key,
            b"eventName" => &mut self.event_name,
            b"objectName" => &mut self.class,
            b"schemaVersion" => return (value == Plain::Other(b"1")).then_some(()),
            // Has a form of its own, which is not looked at here.
            b"onBehalfOf" => return None,
            _ => return Some(()),
        };
        let text = value.text()?;
        *field = Some(text).filter(|text| !text.trim().is_empty());
        field.map(|_| ())
    }
}

/// The keys that were read, as one bit each of a small hash: a known key that stands twice is malformed.
struct Keys(u64);

impl Keys {
    /// `None` if this key may have been there before.
    fn add(&mut self, key: &[u8]) -> Option<()> {
        let bit = 1 << Self::hash(key);
        let is_new = self.0 & bit == 0;
        self.0 |= bit;
        is_new.then_some(())
    }

    /// No two of the known fields have the same; a test keeps it so.
    fn hash(key: &[u8]) -> u32 {
        let (Some(first), Some(last)) = (key.first(), key.last()) else {
            return 0;
        };
        let (first, middle, last) = (*first, key[key.len() / 2], *last);
        let mixed = first ^ middle.wrapping_mul(5) ^ last.wrapping_mul(14);
        u32::from(mixed.wrapping_add(key.len() as u8)) % u64::BITS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Option<[Option<&str>; 4]> {
        let seen = Seen::of(text.as_bytes())?;
        Some([seen.class, seen.event_key, seen.event_name, seen.user_type])
    }

    #[test]
    fn keeps_what_decides_and_passes_over_the_rest() {
        let all = [Some("c"), Some("k"), Some("n"), Some("u")];
        let least = r#""objectName":"c","eventKey":"k","eventName":"n","userType":"u""#;
        let more = [
            "",
            r#","label":"","username":null,"linked":true,"resource":{}"#,
            r#","label":[],"accountId":0,"userId":10,"linked":false"#,
            r#","metaData":"{\"userType\":\"CUSTOMER\"}""#,
            r#","label":"ä{[\\""#,
            r#","la\nbel":"b""#,
            r#","schemaVersion":1"#,
            r#","objectId":1234567890123456789"#,
        ];
        for more in more {
            assert_eq!(seen(&format!("{{{least}{more}}}")), Some(all), "{more}");
            let spaced = format!(" {{ {} }} ", format!("{least}{more}").replace(',', " , "));
            assert_eq!(seen(&spaced), Some(all), "{spaced}");
        }
        let key_only = r#"{"eventKey":"k"}"#;
        assert_eq!(seen(key_only), Some([None, Some("k"), None, None]));
    }

    #[test]
    fn gives_up_on_what_is_not_plain() {
        let given_up = [
            "",
            "{}",
            "[]",
            r#"{"eventName":"n""#,
            r#"{"eventName":"n"}}"#,
            r#"{"eventName":"n",}"#,
            r#"{"eventName":"n","a":01}"#,
            r#"{"eventName":"n","a":-1}"#,
            r#"{"eventName":"n","a":1.5}"#,
            r#"{"eventName":"n","a":12345678901234567890}"#,
            r#"{"eventName":"n","a":nul}"#,
            r#"{"eventName":"n","a":{"userType":"u"}}"#,
            r#"{"eventName":"n","a":[1]}"#,
            r#"{"eventName":"n","a":"\u0041"}"#,
            r#"{"eventName":"n","a":"\x"}"#,
            r#"{"eventName":"n","a":"\"}"#,
            r#"{"eventName":"n\n"}"#,
            r#"{"eventName":7}"#,
            r#"{"eventName":" "}"#,
            r#"{"eventName":null}"#,
            r#"{"eventName":"n","eventName":"n"}"#,
            r#"{"eventName":"n","a":1,"a":1}"#,
            r#"{"eventName":"n","schemaVersion":2}"#,
            r#"{"eventName":"n","onBehalfOf":{}}"#,
            "{\"eventName\":\"n\",\"a\":\"\n\"}",
            "{\"eventName\":\n\"n\"}",
        ];
        for text in given_up {
            assert_eq!(seen(text), None, "{text}");
        }
        assert_eq!(Seen::of(b"{\"eventName\":\"\xff\"}"), None);
    }

    #[test]
    fn the_known_fields_do_not_look_alike() {
        let known = "accountId eventCreateDate eventName ipAddress label metaData objectId objectName
            openIdConnectUserName resource traceId userId userType username schemaVersion eventId eventKey
            datacenter previousState newState outcome reasonCode reasonForFailure iamId credentialType
            userAgent onBehalfOf";
        let mut keys = Keys(0);
        for key in known.split_whitespace() {
            assert_eq!(
                keys.add(key.as_bytes()),
                Some(()),
                "{key}: choose another hash"
            );
        }
    }
}
