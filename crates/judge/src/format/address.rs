//! Finds the initiator's address in whatever a proxy or a producer wrote: alone, with a port,
//! brackets or a zone, in an X-Forwarded-For list, or in RFC 7239's Forwarded. Host names are not
//! addresses; nothing is resolved.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address with its published type.
pub(crate) type Typed<'a> = (Cow<'a, str>, &'static str);

/// Most list elements that are examined.
const ELEMENTS_MAX: usize = 64;

/// Returns the first address in a text, if there is one.
pub(crate) fn address(text: &str) -> Option<Typed<'_>> {
    // Most texts are one address and nothing else.
    if text.parse::<Ipv4Addr>().is_ok() {
        return Some((Cow::Borrowed(text), "IPv4"));
    }
    let elements = text.split([',', ';']).take(ELEMENTS_MAX);
    elements.filter_map(forwarded_for).find_map(element)
}

/// Returns the part of an element that names the client: of Forwarded's parameters, only `for`.
fn forwarded_for(element: &str) -> Option<&str> {
    match element.split_once('=') {
        None => Some(element),
        Some((name, value)) => name.trim().eq_ignore_ascii_case("for").then_some(value),
    }
}

fn element(element: &str) -> Option<Typed<'_>> {
    let quotes = |c: char| c == '"' || c == '\'' || crate::text::is_unseen(c);
    let node = element.trim_matches(quotes);
    if let Some((network, length)) = node.split_once('/') {
        return is_subnet(network, length).then_some((Cow::Borrowed(node), "subnet"));
    }
    let host = host(node);
    // A zone names a network interface of another machine; it is not part of the address.
    let host = host.split_once('%').map_or(host, |(address, _)| address);
    Some(match host.parse().ok()? {
        IpAddr::V4(_) => (Cow::Borrowed(host), "IPv4"),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => (Cow::Owned(mapped.to_string()), "IPv4"),
            None => (Cow::Borrowed(host), "IPv6"),
        },
    })
}

/// Returns the host of a node, without brackets and port. The port may be a word.
fn host(node: &str) -> &str {
    if let Some(rest) = node.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(host, _)| host);
    }
    match node.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => node,
    }
}

fn is_subnet(network: &str, length: &str) -> bool {
    let longest = match (network.parse::<Ipv4Addr>(), network.parse::<Ipv6Addr>()) {
        (Ok(_), _) => 32,
        (_, Ok(_)) => 128,
        _ => return false,
    };
    // Rust would also parse "+8" and "0000008".
    let is_plain = length.len() <= 3 && length.bytes().all(|byte| byte.is_ascii_digit());
    is_plain && length.parse::<u8>().is_ok_and(|length| length <= longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_every_published_form() {
        let v4 = Some(("192.0.2.10", "IPv4"));
        let v6 = Some(("2001:db8::1", "IPv6"));
        let cases = [
            ("192.0.2.10", v4),
            (" 192.0.2.10\u{a0}", v4),
            ("192.0.2.10, 198.51.100.7", v4),
            ("unknown, 192.0.2.10", v4),
            (",192.0.2.10", v4),
            ("192.0.2.10:51234", v4),
            ("192.0.2.10:99999", v4),
            ("::ffff:192.0.2.10", v4),
            ("[::ffff:192.0.2.10]:80", v4),
            ("2001:db8::1", v6),
            ("[2001:db8::1]", v6),
            ("[2001:db8::1]:4711", v6),
            ("[2001:db8::1%3]:4711", v6),
            ("2001:db8::1%eth0", v6),
            ("fe80::1%eth0", Some(("fe80::1", "IPv6"))),
            ("for=192.0.2.10;proto=https;by=203.0.113.43", v4),
            ("by=203.0.113.43;For=192.0.2.10", v4),
            (r#"for="[2001:db8::1]:4711""#, v6),
            (r#"for=unknown, for=_hidden, for="192.0.2.10:_port""#, v4),
            ("192.0.2.0/24", Some(("192.0.2.0/24", "subnet"))),
            ("2001:db8::/32", Some(("2001:db8::/32", "subnet"))),
            ("192.0.2.0/33", None),
            ("192.0.2.0/+8", None),
            ("192.0.2.0/0008", None),
            ("by=203.0.113.43", None),
            ("localhost", None),
            ("3221225994", None),
            ("", None),
        ];
        for (input, expected) in cases {
            let found = address(input);
            let found = found.as_ref().map(|(text, kind)| (text.as_ref(), *kind));
            assert_eq!(found, expected, "{input}");
        }
    }
}
