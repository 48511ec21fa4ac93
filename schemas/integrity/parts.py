"""The examples of hashes, names, headers and keys, for vectors.py."""
import base64

import rules as r
from basis import KEYS, MAX, NAMED, OLD, OTHER, SET, SOME, STREAM, TRAIL, ZERO, bad, good, hexa, refused


# ---- hashes

def hashed(preimage, **inputs):
    return {**inputs, "preimage": preimage.hex(), "sha256": r.sha(preimage).hex(), "text": r.b64(r.sha(preimage))}


def leaf(source, timestamp, key, value, headers):
    preimage = r.leaf_preimage(source, timestamp, key, value, headers)
    listed = [[name.hex(), hexa(value)] for name, value in headers]
    return hashed(preimage, source=source, timestamp_ms=timestamp, key=hexa(key), value=hexa(value), headers=listed)


def leaves():
    json_type = [(b"content-type", b"application/json")]
    yield leaf("9100.0", 1795331703120, b"acct-1", b'{"a":1}', json_type)
    yield leaf("9101.0", 1795331703121, None, b"", [])
    yield leaf("9101.1", 1795331703121, b"", None, [])
    yield leaf("9101.1", 1795331703121, b"", None, [(b"", None)])
    yield leaf("9101.1", 1795331703121, b"", None, [(b"", b"")])
    yield leaf("9102.0", -1, b"a", b"b", [(b"x", b"1"), (b"x", b"2")])
    yield leaf("9102.0", -1, b"a", b"b", [(b"x", b"2"), (b"x", b"1")])
    yield leaf("0.0", 0, None, None, [])
    yield leaf(f"{MAX}.{MAX}", MAX, b"\xff" * 3, bytes(300), [(b"\xff\x00", b"\r\n")])
    yield leaf("1.0", -2**63, b"k", b"v", [(b"Audit-Chain", b"v1"), (b"audit-chain ", None)])


def chain():
    """A chain of three events, from its genesis."""
    head = r.sha(r.genesis_preimage(TRAIL, STREAM))
    for at, event in enumerate(list(leaves())[:3]):
        of = bytes.fromhex(event["sha256"])
        entry = hashed(r.step_preimage(at, head, of), number=at, head=r.b64(head), leaf=event["text"])
        entry["header"] = f"v1 {STREAM} {at} {event['source']} {r.b64(head)}"
        r.header(entry["header"].encode())
        head = bytes.fromhex(entry["sha256"])
        yield entry
    yield hashed(r.step_preimage(MAX, ZERO, SOME), number=MAX, head=r.b64(ZERO), leaf=r.b64(SOME))


def seal_geneses():
    for set_, last in ((SET, None), ("infra.changes/7#2", SOME), ("infra.changes/7#2", OTHER)):
        preimage = r.seal_genesis_preimage(TRAIL, set_, last)
        yield hashed(preimage, origin=TRAIL, set=set_, last=last and r.b64(last))


def digests():
    text = r.b64(SOME)
    last = text[-2]
    loose = chr(ord(last) + 1)
    return {"valid": good(r.digest, [text, r.b64(ZERO), r.b64(b"\xff" * 32), r.b64(b"\xfb\xef\xbe" * 10 + b"ab")]),
            "invalid": bad(r.digest, [
                ("without padding", text[:-1]), ("more padding", text + "="), ("31 bytes", r.b64(bytes(31))),
                ("33 bytes", r.b64(bytes(33))), ("bits left over", text[:-2] + loose + "="),
                ("alphabet of URLs", r.b64(b"\xfb" * 32).replace("+", "-").replace("/", "_")),
                ("hexadecimal", SOME.hex()), ("a line feed after it", text + "\n"), ("a space before it", " " + text),
                ("empty", ""), ("padding alone", "=" * 44)])}


def hash_vectors():
    parts = [None, b"", b"a", b"\xff\xff\xff\xff", bytes(256)]
    geneses = [hashed(r.genesis_preimage(TRAIL, s), origin=TRAIL, stream=s) for s in (STREAM, f"{SET}@~quarantine", "infra.changes/0#1@eu-west-1")]
    return {"lp": [{"part": hexa(part), "bytes": r.lp(part).hex()} for part in parts],
            "genesis": geneses, "seal_genesis": list(seal_geneses()), "leaf": list(leaves()),
            "step": list(chain()), "digest": digests()}


# ---- names and headers

def names():
    topic = "t" * 249
    origins = good(r.origin, [TRAIL, "a", "x" * 200, "!\"#$%&'()*,-./:;<=>?@[\\]^_`{|}~"])
    sets = good(r.set_, [SET, f"{topic}/0#1", "A._-9/0#1", f"a/{MAX}#{MAX}", "-/0#1", "..a/0#1"])
    streams = good(r.stream, [STREAM, "a/0#1@~quarantine", "a/0#1@~state", "a/0#1@-", "a/0#1@" + "r" * 249])
    return {"origin": {"valid": origins, "invalid": bad(r.origin, [
                ("empty", ""), ("201 characters", "x" * 201), ("a space", "a b"), ("a plus", "a+b"),
                ("a scheme", "https://audit.example.com"), ("a line feed", "a\n"), ("a tab", "a\tb"),
                ("not ASCII", "\u00e4"), ("a control character", "a\x7f"), ("a carriage return", "a\r")])},
            "set": {"valid": sets, "invalid": bad(r.set_, [
                ("epoch 0", "a/0#0"), ("a zero before the epoch", "a/0#01"), ("a zero before the partition", "a/00#1"),
                ("no epoch", "a/0"), ("no partition", "a/#1"), ("no topic", "/0#1"), ("two slashes", "a/b/0#1"),
                ("a topic of 250 characters", f"{topic}t/0#1"), ("topic .", "./0#1"), ("topic ..", "../0#1"),
                ("a space", "a b/0#1"), ("a tilde in the topic", "~a/0#1"), ("not ASCII", "\u00e4/0#1"),
                ("2^63", f"a/{2**63}#1"), ("2^63 as epoch", f"a/0#{2**63}"), ("a sign", "a/+1#1"), ("a minus", "a/-1#1"),
                ("a line feed", "a/0#1\n"), ("two epochs", "a/0#1#1"), ("empty", "")])},
            "stream": {"valid": streams, "invalid": bad(r.stream, [
                ("no name", "a/0#1@"), ("no set", "@eu"), ("upper case", "a/0#1@EU"), ("a dot", "a/0#1@eu.west"),
                ("an underscore", "a/0#1@eu_west"), ("another tilde name", "a/0#1@~other"), ("a tilde alone", "a/0#1@~"),
                ("quarantine without tilde and with space", "a/0#1@quarantine "), ("two names", "a/0#1@eu@us"),
                ("250 characters", "a/0#1@" + "r" * 250), ("a bad set", "a/0#0@eu"), ("a set alone", SET)])}}


def header_parts(text):
    stream, number, source, previous = r.header(text.encode())
    longest = len(f"v1 {stream} {MAX} {MAX}.{MAX} {previous}")
    return {"stream": stream, "number": int(number), "source": source, "previous": previous, "text": text, "bytes_max": longest}


def headers():
    prev = r.b64(SOME)
    text = f"v1 {STREAM} 48213 9182.0 {prev}"
    valid = [text, f"v1 {STREAM} 0 0.0 {prev}", f"v1 a/0#1@~quarantine {MAX} {MAX}.{MAX} {r.b64(ZERO)}"]
    change = lambda old, new: text.replace(old, new, 1).encode()
    invalid = [
        ("two spaces", change(" 48213", "  48213")), ("a space before it", b" " + text.encode()),
        ("a space after it", text.encode() + b" "), ("a line feed after it", text.encode() + b"\n"),
        ("a tab", change(" 48213", "\t48213")), ("another version", change("v1", "v2")),
        ("upper case", change("v1", "V1")), ("a zero before seq", change("48213", "048213")),
        ("a zero before the offset", change("9182", "09182")), ("a zero before the index", change(".0", ".00")),
        ("a sign", change("48213", "+48213")), ("seq of 2^63", change("48213", str(2**63))),
        ("offset of 2^63", change("9182", str(2**63))), ("no index", change("9182.0", "9182")),
        ("two indexes", change("9182.0", "9182.0.0")), ("digest without padding", text[:-1].encode()),
        ("bits left over in the digest", (text[:-2] + chr(ord(text[-2]) + 1) + "=").encode()),
        ("a part too many", text.encode() + b" x"), ("a part too few", text.rsplit(" ", 1)[0].encode()),
        ("epoch 0", change("#1", "#0")), ("no name", change("@eu-west-1", "")), ("upper case region", change("eu-west", "EU-west")),
        ("a carriage return", text.encode() + b"\r"), ("a NUL after it", text.encode() + b"\0"), ("empty", b""),
        ("not UTF-8", b"\xff" + text.encode()), ("digits that are not ASCII", change("48213", "\u0661")),
        ("a byte order mark", b"\xef\xbb\xbf" + text.encode())]
    for _, value in invalid:
        refused(r.header, value)
    return {"name": "audit-chain", "valid": [header_parts(text) for text in valid],
            "invalid": [{"reason": reason, "hex": value.hex()} for reason, value in invalid]}


# ---- keys

def keys():
    entries = [{"name": key.name, "seed": key.seed.hex(), "public": key.raw.hex(), "id": key.id.hex(),
                "vkey": key.vkey, "private_pem": key.private_pem, "public_pem": key.public_pem,
                "metadata_key": key.metadata.hex()} for key in [*KEYS, NAMED]]
    for key in [*KEYS, NAMED]:
        assert r.vkey(key.vkey) == (key.name, key.id, key.raw) and r.private_key(key.private_pem) == key.seed
    v = OLD.vkey
    name, identity, encoded = v.split("+", 2)
    of_type = lambda kind, raw=OLD.raw: f"{name}+{r.sha(name.encode() + bytes([10, kind]) + raw)[:4].hex()}+{r.b64(bytes([kind]) + raw)}"
    weak = [(f"a point of small order, {raw.hex()[:4]}..", of_type(1, raw)) for raw in sorted(r.small_order())]
    high = (2**255 - 19 + 3).to_bytes(32, "little")
    vkeys = [("another id", f"{name}+00000000+{encoded}"), ("upper case id", f"{name}+{identity.upper()}+{encoded}"),
             ("a short id", f"{name}+{identity[:7]}+{encoded}"), ("another name", f"{name}x+{identity}+{encoded}"),
             ("no name", f"+{identity}+{encoded}"), ("a space in the name", f"a b+{identity}+{encoded}"),
             ("no id", f"{name}+{encoded}"), ("without Base64's last character", v[:-1]), ("padding", v + "="),
             ("a line feed", v + "\n"), ("type 2", of_type(2)), ("type 2 and the id of type 1", f"{name}+{identity}+{r.b64(bytes([2]) + OLD.raw)}"), ("31 bytes", of_type(1, OLD.raw[:31])),
             ("33 bytes", of_type(1, OLD.raw + b"\0")), ("a key that is not canonical", of_type(1, high)), *weak]
    p = OLD.private_pem
    body = p.split("\n")[1]
    wrong = base64.b64decode(body)
    pem = lambda der, label="PRIVATE KEY": f"-----BEGIN {label}-----\n{r.b64(der)}\n-----END {label}-----\n"
    pems = [("empty", ""), ("another label", pem(wrong, "EC PRIVATE KEY")), ("a public key", OLD.public_pem),
            ("X25519", pem(wrong.replace(b"\x2b\x65\x70", b"\x2b\x65\x6e"))), ("cut off", pem(wrong[:-1])),
            ("more bytes", pem(wrong + b"\0")), ("no end", p.split("-----END")[0]), ("the vkey", v), ("the seed", OLD.seed.hex()),
            ("a seed of 31 bytes", pem(bytes.fromhex("302d020100300506032b65700421041f") + OLD.seed[:31]))]
    return {"valid": entries, "invalid_vkey": bad(r.vkey, vkeys), "invalid_private_pem": bad(r.private_key, pems)}
