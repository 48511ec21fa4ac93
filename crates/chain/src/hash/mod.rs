//! The hashes of the chains. SHA-256 of a preimage that no other input shares: each begins with its
//! own text or byte, and everything of variable length has its length before it.
//!
//! ```text
//! lp(x)      = u32be(length of x) x, and ff ff ff ff for null
//! head_0     = SHA256("audit-chain/v1/genesis\n" origin "\n" stream "\n")
//! leaf_i     = SHA256(00 lp(source) i64be(timestamp) lp(key) lp(value)
//!                     u32be(n) n × (lp(name) lp(value)))
//! head_{i+1} = SHA256(01 u64be(i) head_i leaf_i)
//! ```

pub mod digest;
pub mod leaf;

use sha2::{Digest as _, Sha256};

use crate::name::{Origin, Set, Stream};
use crate::{Digest, Number};

/// Begins the preimage of a leaf.
const LEAF: u8 = 0;
/// Begins the preimage of a head.
const STEP: u8 = 1;

/// Returns the head of a stream without events.
pub fn genesis(origin: &Origin, stream: &Stream) -> Digest {
    Digest::of(format!("audit-chain/v1/genesis\n{origin}\n{stream}\n").as_bytes())
}

/// Returns what the first seal of a set names as the seal before it.
///
/// `last` is the hash of the last seal of the epoch before: there is one exactly if the set's epoch
/// is above 1, so that no epoch can be removed unseen. `None` if it is missing or too much.
pub fn seal_genesis(origin: &Origin, set: &Set, last: Option<&Digest>) -> Option<Digest> {
    let is_linked = set.epoch() > Number::from(1);
    let begin = format!("audit-chain/v1/seal-genesis\n{origin}\n{set}\n");
    match last {
        None if !is_linked => Some(Digest::of(begin.as_bytes())),
        Some(last) if is_linked => Some(Digest::of(format!("{begin}{last}\n").as_bytes())),
        _ => None,
    }
}

/// Returns the head of a stream after the event with this number, counted from 0.
pub fn step(number: Number, head: &Digest, leaf: &Digest) -> Digest {
    let mut hash = Sha256::new();
    hash.update([STEP]);
    hash.update(number.get().to_be_bytes());
    hash.update(head.as_bytes());
    hash.update(leaf.as_bytes());
    Digest::new(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stream_has_its_own_beginning() {
        let origin = "audit.example.com/prod/infra".parse().expect("an origin");
        let head = genesis(&origin, &"infra.changes/0#1@eu-west-1".parse().expect("a stream"));
        assert_eq!(head.to_string(), "P6UTpzG7WziW60zUFsdZR2yrLJDynZJCMOv8McW09Gk=");
        let other = genesis(&origin, &"infra.changes/0#1@us-east-1".parse().expect("a stream"));
        assert_ne!(head, other);
    }

    #[test]
    fn the_seals_of_an_epoch_are_linked_to_those_before() {
        let origin = "audit.example.com".parse().expect("an origin");
        let set = |text: &str| text.parse::<Set>().expect(text);
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        assert!(seal_genesis(&origin, &set("a/1#1"), None).is_some());
        assert_eq!(seal_genesis(&origin, &set("a/1#1"), Some(&one)), None);
        assert_eq!(seal_genesis(&origin, &set("a/1#2"), None), None);
        let linked = seal_genesis(&origin, &set("a/1#2"), Some(&one));
        assert!(linked.is_some());
        assert_ne!(linked, seal_genesis(&origin, &set("a/1#2"), Some(&other)));
    }
}
