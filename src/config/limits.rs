//! Limits on librdkafka's properties that are narrower than its own, and why: beyond them, a rule
//! that the promises rest on would be switched off. What may not be set at all is in
//! `properties.rs`.

use std::ops::RangeInclusive;

use super::properties::Scope;

/// A number of milliseconds that is narrower than librdkafka allows.
struct Limit {
    name: &'static str,
    /// The client that it is for; the other one may have what librdkafka allows.
    client: Scope,
    ms: RangeInclusive<u32>,
    why: &'static str,
}

const LIMITS: &[Limit] = &[
    // Up to the longest, nothing rests on it: what outlasts its call is aborted, or its producer
    // replaced.
    Limit {
        name: "transaction.timeout.ms",
        client: Scope::Producer,
        ms: 1_000..=60_000,
        why: "a dead predecessor's transaction holds its successor up for as long; below, no broker takes part",
    },
    Limit {
        name: "retry.backoff.ms",
        client: Scope::Producer,
        ms: 100..=1_000,
        why: "a commit that takes as long may have been sent twice and costs the producer: below, every commit would; \
              above, librdkafka waits no longer either",
    },
    Limit {
        name: "connections.max.idle.ms",
        client: Scope::Producer,
        ms: 1_000..=30_000,
        why: "when the group's coordinator moves, librdkafka looks for it only when a connection is opened or closed, so \
              idle ones must be closed",
    },
    Limit {
        name: "socket.timeout.ms",
        client: Scope::Both,
        ms: 1_000..=60_000,
        why: "a dead connection must be given up before the watchdog ends the process",
    },
];

/// Limits that are narrower than librdkafka's own.
pub(super) fn own_limit(scope: Scope, name: &str, text: &str) -> Result<(), String> {
    if name == "group.protocol" && !["classic", "consumer"].contains(&text) {
        return Err(format!("{text:?} will not do; give classic or consumer"));
    }
    let concerns = |client| client == Scope::Both || scope == Scope::Both || scope == client;
    let mut limits = LIMITS.iter();
    let limit = limits.find(|limit| limit.name == name && concerns(limit.client));
    match limit {
        Some(Limit { ms, why, .. }) if !text.parse().is_ok_and(|given| ms.contains(&given)) => {
            Err(format!(
                "{text:?} will not do; give milliseconds from {} to {}: {why}",
                ms.start(),
                ms.end()
            ))
        }
        _ => Ok(()),
    }
}
