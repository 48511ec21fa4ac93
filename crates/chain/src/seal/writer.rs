//! Who wrote a seal. Group and instance are free texts, so they are percent-encoded: a line feed in
//! one of them would forge lines of a signed text.

use std::fmt;
use std::str::FromStr;

use crate::Invalid;

/// The writer of a seal, for forensics. Its text is `<group>/<instance> cfg=<16 hexadecimal
/// digits>`; in group and instance each byte of UTF-8 other than `[A-Za-z0-9._-]` is `%` and two
/// upper-case hexadecimal digits, and no other byte is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    group: Box<str>,
    instance: Box<str>,
    config: u64,
}

impl Writer {
    /// Names a writer: its consumer group, its instance, and the hash of its configuration. `None`
    /// if group or instance is empty.
    pub fn new(group: &str, instance: &str, config: u64) -> Option<Self> {
        let is_named = !group.is_empty() && !instance.is_empty();
        is_named.then(|| Self { group: group.into(), instance: instance.into(), config })
    }

    /// Returns the consumer group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Returns the instance.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Returns the first 64 bits of the configuration's hash.
    pub fn config(&self) -> u64 {
        self.config
    }

    fn parse(text: &str) -> Option<Self> {
        let (names, config) = text.split_once(" cfg=")?;
        let (group, instance) = names.split_once('/')?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_whole = config.len() == 16 && config.bytes().all(is_digit);
        let config = u64::from_str_radix(config, 16).ok().filter(|_| is_whole)?;
        Self::new(&decode(group)?, &decode(instance)?, config)
    }
}

impl FromStr for Writer {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let expected = "<group>/<instance> cfg=<16 hexadecimal digits>, percent-encoded";
        Self::parse(text).ok_or_else(|| Invalid::new("writer", text, expected))
    }
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        encode(&self.group, f)?;
        f.write_str("/")?;
        encode(&self.instance, f)?;
        write!(f, " cfg={:016x}", self.config)
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

fn encode(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in text.bytes() {
        if is_plain(byte) {
            write!(f, "{}", char::from(byte))?;
        } else {
            write!(f, "%{byte:02X}")?;
        }
    }
    Ok(())
}

/// Decodes what [`encode`] writes, and nothing else.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        match rest {
            [] => return String::from_utf8(bytes).ok(),
            [b'%', high, low, after @ ..] => {
                let byte = digit(*high)? << 4 | digit(*low)?;
                if is_plain(byte) {
                    return None;
                }
                bytes.push(byte);
                rest = after;
            }
            [byte, after @ ..] if is_plain(*byte) => {
                bytes.push(*byte);
                rest = after;
            }
            _ => return None,
        }
    }
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn has_one_text() {
        let writer = Writer::new("audit group", "ä/1\n", 0x5f2c).expect("named");
        let text = "audit%20group/%C3%A4%2F1%0A cfg=0000000000005f2c";
        assert_eq!(writer.to_string(), text);
        assert_eq!(text.parse(), Ok(writer));
        for bad in [
            "a/b",
            "a/b cfg=",
            "a/b cfg=5f2c",
            "a/b cfg=000000000000005F",
            "a/b cfg=0000000000005f2c ",
            "a/b  cfg=0000000000005f2c",
            "a/b cfg=+000000000005f2c",
            "a cfg=0000000000005f2c",
            "/b cfg=0000000000005f2c",
            "a/ cfg=0000000000005f2c",
            "a/b/c cfg=0000000000005f2c",
            "a%2fb/c cfg=0000000000005f2c",
            "%61/c cfg=0000000000005f2c",
            "a%2/c cfg=0000000000005f2c",
            "a%/c cfg=0000000000005f2c",
            "a~/c cfg=0000000000005f2c",
            "%FF/c cfg=0000000000005f2c",
            "ä/c cfg=0000000000005f2c",
        ] {
            assert!(bad.parse::<Writer>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_names_can_be_written(group in ".{1,10}", instance in "\\PC{1,10}", config: u64) {
            let writer = Writer::new(&group, &instance, config).expect("named");
            let text = writer.to_string();
            prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text}");
            prop_assert_eq!(text.parse(), Ok(writer));
        }
    }
}
