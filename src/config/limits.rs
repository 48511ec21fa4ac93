//! Limits on librdkafka's properties that are narrower than its own, and why: beyond them, a rule
//! that the promises depend on would no longer work. `properties.rs` lists the properties that may
//! not be set at all.

use std::ops::RangeInclusive;

use super::problem::invalid;
use super::properties::Scope;
use super::value::quoted;

/// Milliseconds within a range, for one client or both, and why; the other client may have what
/// librdkafka allows.
#[rustfmt::skip] // one property a line reads as the table that it is
const MILLISECONDS: &[(&str, Scope, RangeInclusive<u32>, &str)] = &[
    // No promise depends on this up to the maximum: a call that takes longer is aborted, or its
    // producer is replaced.
    ("transaction.timeout.ms", Scope::Producer, 1_000..=60_000, "an open transaction of a crashed instance blocks its successor for this long, and no broker takes less"),
    ("retry.backoff.ms", Scope::Producer, 100..=1_000, "a commit that takes longer than this replaces its producer, so with less every commit would; librdkafka never waits longer than 1000"),
    ("connections.max.idle.ms", Scope::Producer, 1_000..=30_000, "librdkafka notices that a coordinator has moved only when a connection opens or closes, so idle ones must be closed"),
    ("socket.timeout.ms", Scope::Both, 1_000..=60_000, "a dead connection must be closed before the watchdog ends the process"),
];

/// The values that the relay supports. It fetches OAUTHBEARER tokens itself.
const WORDS: &[(&str, &str)] = &[
    ("group.protocol", "classic or consumer"),
    ("sasl.oauthbearer.grant.type", "client_credentials"),
    ("sasl.oauthbearer.method", "oidc"),
];

/// Checks a value against the limits.
pub(super) fn own_limit(scope: Scope, name: &str, text: &str) -> Result<(), String> {
    if let Some((_, words)) = WORDS.iter().find(|(limited, _)| *limited == name)
        && !words.split(" or ").any(|word| word == text)
    {
        return Err(invalid(&quoted(text), words));
    }
    let concerns = |client| client == Scope::Both || scope == Scope::Both || scope == client;
    let mut limits = MILLISECONDS.iter();
    match limits.find(|(limited, client, ..)| *limited == name && concerns(*client)) {
        Some((_, _, ms, why)) if !text.parse().is_ok_and(|given| ms.contains(&given)) => {
            let expected = format!("{} to {} milliseconds: {why}", ms.start(), ms.end());
            Err(invalid(&quoted(text), &expected))
        }
        _ => Ok(()),
    }
}
