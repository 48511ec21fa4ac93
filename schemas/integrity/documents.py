"""Seals, committed states, trust files and anchors of schemas/integrity.md, written from their rules
alone and not from the crate. rules.py says how.
"""
import base64, binascii, hashlib, hmac, re, struct
from urllib.parse import quote, unquote_to_bytes

from rules import (
    DIGEST, digest, LIMIT, match, moment, NAME, need, NUMBER, number, ORIGIN, origin, Refused,
    seal_genesis_preimage, SET, set_, sha, split, TIME, vkey)


# ---- seals

def percent(text):
    # The only byte that `quote` leaves alone and the format does not.
    return quote(text.encode(), safe="").replace("~", "%7E")


def seal_text(seal):
    counts = " ".join(str(seal[name]) for name in ("read", "events", "skipped", "quarantined"))
    lines = [seal["origin"], "audit-seal/v1", f"set {seal['set']} of {seal['partitions']}",
             f"seal {seal['number']}", f"prev {seal['prev']}",
             f"input {seal['start']} {seal['end']}", f"counts {counts}",
             f"writer {percent(seal['group'])}/{percent(seal['instance'])} cfg={seal['config']}",
             f"time {seal['time']}"]
    if seal["after"]:
        lines.append("after {} {} {}".format(*seal["after"]))
    if seal["resumed"]:
        lines.append(f"resumed {seal['resumed']}")
    lines += ["gap {} {} {}".format(*gap) for gap in seal["gaps"]]
    lines += [f"x-{word} {text}" for word, text in seal["extensions"]]
    for name, size, head, partition in seal["heads"]:
        lines.append(f"head {name} {size} {head} {'-' if partition is None else partition}")
    if seal["next_key"]:
        lines.append(f"next-key {seal['next_key']}")
    return "\n".join(lines) + "\n"


ESCAPED = r"(?:[A-Za-z0-9._-]|%[0-9A-F]{2})+"
SEAL = re.compile(rf"""(?P<origin>{ORIGIN})\n
audit-seal/v1\n
set\ (?P<set>{SET.replace("#", "[#]")})\ of\ (?P<partitions>{NUMBER})\n
seal\ (?P<number>{NUMBER})\n
prev\ (?P<prev>{DIGEST})\n
input\ (?P<start>{NUMBER})\ (?P<end>{NUMBER})\n
counts\ (?P<read>{NUMBER})\ (?P<events>{NUMBER})\ (?P<skipped>{NUMBER})\ (?P<quarantined>{NUMBER})\n
writer\ (?P<group>{ESCAPED})/(?P<instance>{ESCAPED})\ cfg=(?P<config>[0-9a-f]{{16}})\n
time\ (?P<time>{TIME})\n
(?:after\ (?P<after>{SET.replace("#", "[#]")}\ {NUMBER}\ {DIGEST})\n)?
(?:resumed\ (?P<resumed>[a-z]+(?:-[a-z]+)*)\n)?
(?P<gaps>(?:gap\ {NUMBER}\ {NUMBER}\ (?:deleted|passed-over)\n)*)
(?P<extensions>(?:x-[a-z0-9]+(?:-[a-z0-9]+)*\ [!-~](?:[\ -~]*[!-~])?\n)*)
(?P<heads>(?:head\ {NAME}\ {NUMBER}\ {DIGEST}\ (?:{NUMBER}|-)\n)*)
(?:next-key\ (?P<next_key>[!-~]+)\n)?""", re.ASCII | re.VERBOSE)


def seal(text):
    found = SEAL.fullmatch(text)
    need(found, "not the grammar of a seal")
    s = found.groupdict()
    origin(s["origin"])
    topic, partition, epoch = set_(s["set"])
    for name in ("partitions", "number", "start", "end", "read", "events", "skipped", "quarantined"):
        s[name] = number(s[name])
    for name in ("group", "instance"):
        s[name] = unescape(s[name])
    moment(s["time"])
    need(partition < s["partitions"], "a partition that does not exist")
    linked = s["number"] == 0 and epoch > 1
    need(bool(s["after"]) == linked, "`after` is missing or too much")
    last = None
    if s["after"]:
        before, seal_number, hash_ = s["after"].split(" ")
        need(set_(before) == (topic, partition, epoch - 1), "`after` names another set")
        number(seal_number)
        last = digest(hash_)
    if s["number"] == 0:
        need(digest(s["prev"]) == sha(seal_genesis_preimage(s["origin"], s["set"], last)), "not the genesis")
    digest(s["prev"])
    s["heads"] = seal_heads(s["heads"])
    seal_counts(s)
    seal_gaps(s)
    if s["next_key"]:
        need(vkey(s["next_key"])[0] == s["origin"], "a next key of another origin")
    return s


def unescape(text):
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("not UTF-8") from None
    need(percent(decoded) == text, "percent-encoding that is not canonical")
    return decoded


def seal_heads(text):
    heads = []
    for line in text.splitlines():
        _, name, size, hash_, partition = line.split(" ")
        heads.append((name, number(size), digest(hash_), None if partition == "-" else number(partition)))
    names = [name.encode() for name, *_ in heads]
    need(names == sorted(set(names)), "heads that are not sorted, or doubled")
    need(all(size > 0 for _, size, *_ in heads), "a size of 0")
    return heads


def seal_gaps(s):
    behind = s["start"]
    for line in s["gaps"].splitlines():
        _, start, end, _ = line.split(" ")
        need(behind <= number(start) < number(end), "a gap that is empty or out of order")
        behind = number(end)
        s["read"] += number(end) - number(start)
    need(behind <= s["end"] and s["read"] <= s["end"] - s["start"], "a gap outside the input, or where something was read")


def seal_counts(s):
    need(s["start"] <= s["end"], "an input that ends before its start")
    need(s["read"] <= s["end"] - s["start"], "more read than the input holds")
    audited = s["read"] - s["skipped"] - s["quarantined"]
    need(audited >= 0, "more skipped and quarantined than read")
    need(s["events"] >= audited, "an audited message without an event")
    need(audited > 0 or s["events"] == 0, "events without an audited message")
    extended = [size for name, size, _, at in s["heads"] if at is not None and name[0] != "~"]
    need(len(extended) <= s["events"], "a head with a partition and without an event")
    need(s["events"] <= sum(extended), "events that no head holds")
    quarantine = any(name == "~quarantine" and at is not None for name, _, _, at in s["heads"])
    need(s["quarantined"] > 0 or not quarantine, "a quarantine with a partition and nothing in it")


# ---- the committed state

# 9999-12-31T23:59:59.999Z.
LAST_MS = 253_402_300_799_999


def state_body(origin_, set_text, state, identity):
    out = bytes([1, 1 if state["announced"] else 0])
    out += sha(origin_.encode())[:8] + sha(set_text.encode())[:8]
    out += struct.pack(">QQQ", set_(set_text)[2], state["next_offset"], state["next_seal"])
    out += base64.b64decode(state["last_seal"]) + struct.pack(">Q", moment(state["sealed_at"]))
    out += identity + struct.pack(">H", len(state["streams"]))
    for name, size, head in state["streams"]:
        out += bytes([len(name)]) + name.encode() + size.to_bytes(6, "big") + base64.b64decode(head)
    return out


def state_text(body, key):
    tag = hmac.new(key, body, hashlib.sha256).digest()[:16]
    return "aj1." + base64.urlsafe_b64encode(body + tag).decode().rstrip("="), tag


def state(text, origin_, set_text, keys):
    """Refuses with the name of the error that a caller can branch on."""
    need(text, "missing")
    need(len(text) <= 4000 and re.fullmatch(r"aj1\.[A-Za-z0-9_-]*", text), "not-ours")
    encoded = text[4:]
    try:
        data = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except binascii.Error:
        raise Refused("not-ours") from None
    need(base64.urlsafe_b64encode(data).decode().rstrip("=") == encoded, "not-ours")
    need(not data or data[0] == 1, "other-version")
    need(len(data) >= 104, "not-ours")
    body, tag = data[:-16], data[-16:]
    named = [key for key in keys if key.id == body[82:86]]
    need(named, "unknown-key")
    need(any(hmac.compare_digest(state_text(body, key.metadata)[1], tag) for key in named), "false-tag")
    need(body[2:10] == sha(origin_.encode())[:8], "other-origin")
    same = body[10:18] == sha(set_text.encode())[:8]
    need(same and struct.unpack(">Q", body[18:26])[0] == set_(set_text)[2], "other-set")
    need(body[1] < 2 and max(struct.unpack(">QQ", body[26:42])) < LIMIT, "malformed")
    need(struct.unpack(">Q", body[74:82])[0] <= LAST_MS, "malformed")
    rest, names = body[88:], []
    for _ in range(struct.unpack(">H", body[86:88])[0]):
        need(rest, "malformed")
        length = rest[0]
        name, size, head = rest[1:1 + length], rest[1 + length:7 + length], rest[7 + length:39 + length]
        need(len(head) == 32 and int.from_bytes(size, "big") > 0, "malformed")
        need(re.fullmatch(NAME.encode(), name), "malformed")
        names.append(name)
        rest = rest[39 + length:]
    need(not rest and names == sorted(set(names)), "malformed")


# ---- trust files and anchors

def trust(text):
    """Returns the entries, and the lines with problems."""
    entries, bad = [], []
    for at, line in enumerate(text.split("\n"), 1):
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", line):
            bad.append(at)
            continue
        columns = re.findall(r"[^ \t]+", line)
        if not columns or columns[0].startswith("#"):
            continue
        try:
            need(len(columns) <= 4, "too many columns")
            key, first, last, only = (columns + ["-"] * 3)[:4]
            vkey(key)
            first, last = (None if it == "-" else number(it) for it in (first, last))
            need(first is None or last is None or first <= last, "an empty period")
            only = None if only == "-" else only
            if only is not None:
                set_(only)
            need((key, first, last, only) not in entries, "the same line again")
            entries.append((key, first, last, only))
        except Refused:
            bad.append(at)
    return entries, bad


def signers(entries, set_text, seal_number):
    trail = entries[0][0].split("+")[0]
    found = []
    for key, first, last, only in entries:
        allows = (only is None or only == set_text) and (first or 0) <= seal_number
        allows = allows and (last is None or seal_number <= last)
        if allows and key.split("+")[0] == trail and key not in found:
            found.append(key)
    return [key for key in dict.fromkeys(entry[0] for entry in entries) if key in found]


def anchor_text(origin_, time_, seals):
    lines = [f"anchor {set_text} {number_} {hash_}" for set_text, number_, hash_ in seals]
    return "\n".join([origin_, "audit-anchor/v1", f"time {time_}", *lines]) + "\n"


def anchor(text):
    line = rf"anchor {SET} {NUMBER} {DIGEST}\n"
    found = match(rf"({ORIGIN})\naudit-anchor/v1\ntime ({TIME})\n((?:{line})+)", text, "an anchor")
    origin(found[1]), moment(found[2])
    sets = []
    for line in found[3].splitlines():
        _, name, seal_number, hash_ = line.split(" ")
        set_(name), number(seal_number), digest(hash_)
        sets.append(name.encode())
    need(sets == sorted(set(sets)), "anchors that are not sorted, or doubled")


def anchor_file(data):
    """Splits at every second empty line, and demands one at the end."""
    notes = []
    while data:
        found = re.match(rb"(?!\n)(.*?\n\n)(.*?\n)\n", data, re.DOTALL)
        need(found, "a note that is not whole")
        notes.append(split(found[1] + found[2])[0])
        data = data[found.end():]
    return notes
