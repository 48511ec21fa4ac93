"""Hashes, names, keys and notes of schemas/integrity.md, written from their rules alone and not from
the crate; documents.py has what is signed and what goes with it.

Writers make a text or bytes. Readers take one apart, or raise Refused with the reason. Grammars are
regular expressions over whole texts here; the crate reads line by line.
"""
import base64, binascii, calendar, hashlib, re, struct, time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key)

LIMIT = 2**63
NUMBER = r"(?:0|[1-9][0-9]*)"
DIGEST = r"[A-Za-z0-9+/]{43}="
TOPIC = r"[A-Za-z0-9._-]{1,249}"
SET = rf"{TOPIC}/{NUMBER}#{NUMBER}"
NAME = r"(?:[a-z0-9-]{1,249}|~quarantine|~state)"
STREAM = rf"{SET}@{NAME}"
SOURCE = rf"{NUMBER}\.{NUMBER}"
ORIGIN = r"[!-*,-~]{1,200}"
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
VKEY = rf"({ORIGIN})\+([0-9a-f]{{8}})\+([A-Za-z0-9+/]{{44}})"
DASH = "\u2014"


class Refused(Exception):
    """Why something is not in its form."""


def need(holds, reason):
    if not holds:
        raise Refused(reason)


def match(pattern, text, what):
    found = re.fullmatch(pattern, text, re.ASCII)
    need(found, f"not {what}")
    return found


# ---- hashes

def sha(data):
    return hashlib.sha256(data).digest()


def b64(data):
    return base64.b64encode(data).decode()


def lp(part):
    return b"\xff\xff\xff\xff" if part is None else struct.pack(">I", len(part)) + part


def genesis_preimage(origin, stream):
    return f"audit-chain/v1/genesis\n{origin}\n{stream}\n".encode()


def seal_genesis_preimage(origin, set_, last=None):
    text = f"audit-chain/v1/seal-genesis\n{origin}\n{set_}\n"
    return (text + (b64(last) + "\n" if last is not None else "")).encode()


def leaf_preimage(source, timestamp, key, value, headers):
    out = b"\x00" + lp(source.encode()) + struct.pack(">q", timestamp) + lp(key) + lp(value)
    out += struct.pack(">I", len(headers))
    return out + b"".join(lp(name) + lp(value) for name, value in headers)


def step_preimage(number, head, leaf):
    return b"\x01" + struct.pack(">Q", number) + head + leaf


# ---- small texts

def number(text):
    match(NUMBER, text, "a number")
    need(int(text) < LIMIT, "a number of 2^63 or more")
    return int(text)


def canonical(text, what="Base64"):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"not {what}") from None
    need(b64(data) == text, f"{what} that is not canonical")
    return data


def digest(text):
    match(DIGEST, text, "a digest")
    return canonical(text)


def origin(text):
    match(ORIGIN, text, "an origin")
    need("://" not in text, "an origin with a scheme")
    return text


def set_(text):
    match(SET, text, "a set")
    topic, rest = text.split("/")
    need(topic not in (".", ".."), "not a topic")
    partition, epoch = map(number, rest.split("#"))
    need(epoch >= 1, "an epoch below 1")
    return topic, partition, epoch


def stream(text):
    match(STREAM, text, "a stream")
    of, name = text.split("@")
    set_(of)
    return of, name


def source(text):
    match(SOURCE, text, "a source")
    return tuple(map(number, text.split(".")))


def header(value):
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        raise Refused("not ASCII") from None
    found = match(rf"v1 ({STREAM}) ({NUMBER}) ({SOURCE}) ({DIGEST})", text, "a chain header")
    stream(found[1]), number(found[2]), source(found[3]), digest(found[4])
    return found.groups()


def moment(text):
    match(TIME, text, "a time")
    try:
        parsed = time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        raise Refused("a time that does not exist") from None
    need(parsed.tm_sec < 60, "a leap second")
    seconds = calendar.timegm(parsed)
    need(seconds >= 0, "a time before 1970")
    return seconds * 1000 + int(text[20:23])


# ---- keys

class Key:
    def __init__(self, seed, name):
        self.seed, self.name = seed, name
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self.private.public_key()
        self.raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = key_id(name, self.raw)
        self.vkey = f"{name}+{self.id.hex()}+{b64(bytes([1]) + self.raw)}"
        self.public_pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self.private_pem = self.private.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self.metadata = HKDF(hashes.SHA256(), 32, None, b"audit-chain/v1/metadata").derive(seed)

    def line(self, text):
        return f"{DASH} {self.name} {b64(self.id + self.private.sign(text.encode()))}\n"


def key_id(name, raw):
    return sha(name.encode() + b"\n\x01" + raw)[:4]


def small_order():
    """The encodings of the points of small order, canonical or not, by RFC 8032's arithmetic."""
    p = 2**255 - 19
    d = -121665 * pow(121666, p - 2, p) % p
    # The order-8 points have y^2 with d y^4 + 2 y^2 - 1 = 0, from x^2 = y^2 of half the double.
    found = [0, 1, p - 1, p, p + 1]
    root = pow(2, (p - 1) // 4, p)

    def sqrt(a):
        r = pow(a, (p + 3) // 8, p)
        r = r if r * r % p == a % p else r * root % p
        return r if r * r % p == a % p else None

    for sign in (1, -1):
        inner = sqrt(1 + d)
        square = (-1 + sign * inner) * pow(d, p - 2, p) % p
        y = sqrt(square)
        if y is not None:
            found += [y, p - y]
    return {(y | top << 255).to_bytes(32, "little") for y in found for top in (0, 1)}


def vkey(text):
    found = match(VKEY, text, "a vkey")
    origin(found[1])
    data = canonical(found[3])
    need(len(data) == 33 and data[0] == 1, "not a key of type Ed25519")
    need(key_id(found[1], data[1:]).hex() == found[2], "another key id")
    need(data[1:] not in small_order(), "a key of small order")
    need(int.from_bytes(data[1:], "little") % 2**255 < 2**255 - 19, "a key that is not canonical")
    return found[1], bytes.fromhex(found[2]), data[1:]


def private_key(pem):
    try:
        key = load_pem_private_key(pem.encode(), None)
    except Exception as error:
        raise Refused(f"not a private key: {error}") from None
    need(isinstance(key, Ed25519PrivateKey), "not a key for Ed25519")
    return key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


# ---- notes

def sign(text, keys):
    return text + "\n" + "".join(key.line(text) for key in keys)


def split(note):
    need(len(note) <= 1_000_000, "too long")
    try:
        note = note.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("not UTF-8") from None
    need(not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", note), "a control character")
    text, empty, lines = note.rpartition("\n\n")
    need(empty and lines.endswith("\n"), "no lines of signatures after an empty line")
    found = []
    for line in lines[:-1].split("\n"):
        parts = line.split(" ")
        need(len(parts) == 3 and parts[0] == DASH, "a malformed line")
        name = parts[1]
        need(name and "+" not in name and not re.search(r"\s", name), "a malformed name")
        data = canonical(parts[2])
        need(len(data) > 4, "a signature that is too short")
        found.append((name, data[:4], data[4:]))
    need(len(found) <= 100, "too many lines")
    return text + "\n", found


def verify(note, vkeys):
    """Returns the text and the positions of the keys that signed."""
    text, lines = split(note)
    known = [vkey(key) for key in vkeys]
    signed = set()
    for name, identity, signature in lines:
        for at, key in enumerate(known):
            if key[:2] == (name, identity):
                need(holds(key[2], signature, text), "a false signature of a known key")
                signed.add(at)
    need(signed, "no signature of a known key")
    return text, sorted(signed)


def holds(raw, signature, text):
    # OpenSSL checks S against the group's order, and accepts an R of small order.
    if signature[:32] in small_order():
        return False
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, text.encode())
        return True
    except InvalidSignature:
        return False
