//! Keys.

use audit_chain::key::{PublicKey, SigningKey};

use crate::json::{assert_refused, hex, list, parse, text};

/// Returns the key with a vkey.
#[track_caller]
pub(crate) fn key(vkey: &str) -> SigningKey {
    let keys = list("/key/valid").iter();
    let key = keys.map(|case| {
        let seed = hex(text(case, "seed")).try_into().expect("32 bytes");
        SigningKey::from_seed(parse(case, "name"), &seed)
    });
    key.into_iter().find(|key| key.public().to_string() == vkey).expect(vkey)
}

#[test]
fn keys() {
    for case in list("/key/valid") {
        let seed = hex(text(case, "seed")).try_into().expect("32 bytes");
        let key = SigningKey::from_seed(parse(case, "name"), &seed);
        let public: PublicKey = parse(case, "vkey");
        assert_eq!(key.public(), &public);
        assert_eq!(public.as_bytes()[..], hex(text(case, "public")));
        assert_eq!(public.id().to_string(), text(case, "id"));
        assert_eq!(public.to_string(), text(case, "vkey"));
        assert_eq!(public.to_pem().as_deref(), Some(text(case, "public_pem")));
        let pem = key.to_pem().expect("a key");
        assert_eq!(*pem, text(case, "private_pem"));
        let read = SigningKey::from_pem(parse(case, "name"), &pem).expect("its own");
        assert_eq!(read.public(), &public);
    }
    assert_refused("/key/invalid_vkey", |text| text.parse::<PublicKey>());
    let name = || "a".parse().expect("a name");
    assert_refused("/key/invalid_private_pem", |text| SigningKey::from_pem(name(), text));
}
