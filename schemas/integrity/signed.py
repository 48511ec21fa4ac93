"""The examples of what is signed and what goes with it, for vectors.py: notes, seals, states, trust
files, anchors."""
import base64, hashlib

import documents as d
import rules as r
from basis import KEYS, MAX, NAMED, NEW, OLD, OTHER, SET, SOME, TRAIL, WITNESS, ZERO, bad, refused

TIME = "2026-11-22T07:15:03.120Z"


# ---- notes

def notes():
    text = f"{TRAIL}\nany text\n"
    both = r.sign(text, [OLD, NEW])
    one = r.sign(text, [OLD])
    vkeys = [key.vkey for key in KEYS]
    valid = [
        ("one key", one, vkeys), ("two keys", both, vkeys), ("two keys, one known", both, [NEW.vkey]),
        ("a key and a cosigner", r.sign(text, [OLD, WITNESS]), vkeys),
        ("an unknown key before", r.sign(text, [NAMED, OLD]), vkeys),
        ("a false line of an unknown key", one + NAMED.line("other\n"), vkeys),
        ("the same line twice", one + OLD.line(text), vkeys),
        ("empty lines in the text", r.sign("a\n\nb\n\n", [OLD]), vkeys),
        ("lines like signatures in the text", r.sign("a\n\n" + OLD.line("a\n"), [OLD]), vkeys),
        ("text that is not ASCII", r.sign("\u00e4\u20ac\n", [OLD]), vkeys),
        ("another type of signature under the same name", one + f"{r.DASH} {TRAIL} {r.b64(b'abcd' + bytes(76))}\n", vkeys),
    ]
    found = []
    for name, note, known in valid:
        read, signed = r.verify(note.encode(), known)
        found.append({"name": name, "note": note, "vkeys": known, "text": read, "signers": [known[at] for at in signed]})
    return {"valid": found, "invalid": bad_notes(text, one, vkeys)}


def bad_notes(text, one, vkeys):
    line, other = OLD.line(text), OLD.line("other\n")
    loose = one[:-3] + chr(ord(one[-3]) + 1) + "=\n"
    raw = bytearray(OLD.private.sign(text.encode()))
    raw[40] ^= 1
    flipped = f"{text}\n{r.DASH} {TRAIL} {r.b64(OLD.id + bytes(raw))}\n"
    # S + L is the same signature to lenient verifiers.
    order = 2**252 + 27742317777372353535851937790883648493
    raw = OLD.private.sign(text.encode())
    high = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    cases = [
        ("nobody signed", text + "\n"), ("only an unknown key", r.sign(text, [NAMED])), ("a text alone", text),
        ("a changed text", one.replace("any", "Any")), ("a flipped bit in the signature", flipped),
        ("a signature with S above the order", f"{text}\n{r.DASH} {TRAIL} {r.b64(OLD.id + high)}\n"),
        ("a signature with an R of small order", f"{text}\n{r.DASH} {TRAIL} {r.b64(OLD.id + small(order, text))}\n"),
        ("the line of another text", text + "\n" + other), ("a false line after a true one", one + other),
        ("a false line before a true one", text + "\n" + other + line),
        ("a false line of the cosigner", one + WITNESS.line("other\n")),
        ("a signature of 63 bytes", f"{text}\n{r.DASH} {TRAIL} {r.b64(OLD.id + raw[:63])}\n"),
        ("a signature of 65 bytes", f"{text}\n{r.DASH} {TRAIL} {r.b64(OLD.id + raw + b'x')}\n"),
        ("a key id alone", one + f"{r.DASH} x {r.b64(b'abcd')}\n"), ("no last line feed", one[:-1]),
        ("carriage returns", one.replace("\n", "\r\n")), ("a tab in the text", r.sign("a\tb\n", [OLD])),
        ("a delete character", r.sign("a\x7fb\n", [OLD])), ("no empty line", text + line), ("a C1 character", r.sign("\x85\n", [OLD])),
        ("two empty lines", f"{text}\n\n{line}"), ("an empty line among the lines", f"{text}\n{line}\n{line}" + "x\n"),
        ("an empty line after the lines", one + "\n"), ("a space after the line", one[:-1] + " \n"),
        ("two spaces in the line", one.replace(f"{r.DASH} ", f"{r.DASH}  ")), ("a hyphen for the dash", one.replace(r.DASH, "-")),
        ("bits left over in the Base64", loose), ("no padding", one.replace("=\n", "\n")), ("a line without a name", one + f"{r.DASH} {r.b64(bytes(68))}\n"),
        ("a plus in a name", one + f"{r.DASH} a+b {r.b64(bytes(68))}\n"), ("a line of another kind", one + "x\n"),
        ("a no-break space in a name", one + f"{r.DASH} a\u00a0b {r.b64(bytes(68))}\n"),
        ("101 lines", f"{text}\n" + line * 101), ("empty", ""), ("a byte order mark", "\ufeff" + one),
        ("more than a million bytes", r.sign("x" * 1_000_000 + "\n", [OLD])[:1_000_100]),
    ]
    found = []
    for reason, note in cases:
        refused(r.verify, note.encode(), vkeys)
        if len(note) < 10_000 or reason == "101 lines":
            found.append({"reason": reason, "hex": note.encode().hex(), "vkeys": vkeys})
    spoiled = one.encode().replace(b"any", b"\xffny")
    refused(r.verify, spoiled, vkeys)
    return found + [{"reason": "not UTF-8", "hex": spoiled.hex(), "vkeys": vkeys}]


def small(order, text):
    """A signature that only the owner of the key can make, with the neutral element as R: S = k a."""
    hashed = hashlib.sha512(OLD.seed).digest()
    secret = int.from_bytes(hashed[:32], "little") & ~7 & (2**255 - 1) | 2**254
    point = (1).to_bytes(32, "little")
    k = int.from_bytes(hashlib.sha512(point + OLD.raw + text.encode()).digest(), "little")
    signature = point + (k * secret % order).to_bytes(32, "little")
    # Lenient verifiers accept it; this is what makes the example worth having.
    OLD.private.public_key().verify(signature, text.encode())
    return signature


# ---- seals

def seals():
    base = {"origin": TRAIL, "set": SET, "partitions": 12, "number": 4711, "prev": r.b64(SOME), "start": 9100, "end": 9183,
            "read": 83, "events": 79, "skipped": 3, "quarantined": 2, "group": "audit-group", "instance": "host-3",
            "config": "5f2c00000000abcd", "time": TIME, "after": None, "resumed": None, "gaps": [], "extensions": [],
            "heads": [["eu-west-1", 48216, r.b64(OTHER), 7], ["us-east-1", 12, r.b64(SOME), None], ["~quarantine", 2, r.b64(ZERO), 0]],
            "next_key": None}
    first = {"number": 0, "prev": r.b64(r.sha(r.seal_genesis_preimage(TRAIL, SET)))}
    silent = {"start": 9183, "end": 9183, "read": 0, "events": 0, "skipped": 0, "quarantined": 0, "heads": []}
    linked = {"set": "infra.changes/7#2", "number": 0, "after": [SET, 4712, r.b64(SOME)],
              "prev": r.b64(r.sha(r.seal_genesis_preimage(TRAIL, "infra.changes/7#2", SOME)))}
    resumed = {"resumed": "topic-recreated"}
    gaps = {"end": 9200, "gaps": [[9100, 9101, "deleted"], [9101, 9104, "passed-over"], [9190, 9200, "deleted"]]}
    whole = {**gaps, "resumed": "metadata-lost", "next_key": NEW.vkey,
             "extensions": [["note", "any text: + / # ~"], ["a-1", "x"], ["a-1", "x"]]}
    sizes = {"start": 0, "end": MAX, "read": MAX, "events": MAX, "skipped": 0, "quarantined": 0, "partitions": MAX,
             "heads": [["-", MAX, r.b64(ZERO), MAX]]}
    writer = {"group": "Audit group/\u00e4\n%", "instance": "~._-+9"}
    replay = {"set": "audit.quarantine/0#1", "heads": [["eu", 1, r.b64(ZERO), 0], ["~state", 2, r.b64(ZERO), 0]],
              "start": 0, "end": 2, "read": 1, "events": 1, "skipped": 0, "quarantined": 0}
    cases = [("a seal", {}), ("the first seal", first), ("a heartbeat", silent), ("the first seal of the second epoch", linked),
             ("the same, after the topic was recreated", {**linked, **resumed}), ("every line", {**linked, **whole}),
             ("the last seal of a key", {"next_key": NEW.vkey}), ("a lost state", {"resumed": "metadata-lost"}),
             ("the largest numbers", sizes), ("names that need percent-encoding", writer), ("a replay", replay), ("gaps", gaps),
             ("offsets without messages", {**silent, "end": 9190}), ("everything skipped", {**silent, "end": 9190, "read": 7, "skipped": 7}),
             ("two events of one message", {"read": 78, "start": 9100, "end": 9200}), ("times", {"time": "2000-02-29T23:59:59.999Z"})]
    found = []
    for name, change in cases:
        fields = {**base, **change}
        text = d.seal_text(fields)
        d.seal(text)
        signed = [OLD] if name != "every line" else [OLD, NEW]
        found.append({"name": name, **fields, "text": text, "digest": r.b64(r.sha(text.encode())),
                      "note": r.sign(text, signed), "vkeys": [key.vkey for key in signed]})
    texts = {entry["name"]: entry["text"] for entry in found}
    return {"valid": found, "invalid": bad_seals(texts)}


def bad_seals(texts):
    plain, linked, whole = texts["a seal"], texts["the first seal of the second epoch"], texts["every line"]
    silent, first, replay = texts["a heartbeat"], texts["the first seal"], texts["a replay"]

    def change(old, new, of=plain):
        assert old in of, old
        return of.replace(old, new, 1)

    def moved(word, before, of=whole):
        """The line that begins with one word, moved before the first line that begins with another."""
        lines = of.splitlines(True)
        line = next(it for it in lines if it.startswith(word))
        lines.remove(line)
        lines.insert(next(at for at, it in enumerate(lines) if it.startswith(before)), line)
        return "".join(lines)

    def without(word, of=plain):
        return "".join(line for line in of.splitlines(True) if not line.startswith(word))

    words = ["set ", "seal ", "prev ", "input ", "counts ", "writer ", "time "]
    cases = [(f"{a.strip()} after {b.strip()}", moved(b, a)) for a, b in zip(words, words[1:])]
    cases += [(f"no {word.strip()} line", without(word)) for word in words]
    cases += [(f"{word.strip()} twice", change(f"\n{word}", f"\n{line}\n{word}")) for word in words + ["head us"]
              for line in [next(it for it in plain.splitlines() if it.startswith(word))]]
    cases += [
        ("no origin", plain.split("\n", 1)[1]), ("another version", change("seal/v1", "seal/v2")), ("an anchor", change("audit-seal", "audit-anchor")),
        ("carriage returns", plain.replace("\n", "\r\n")), ("a carriage return in a line", change(" of 12", " of 12\r")),
        ("a tab", change("seal 4711", "seal\t4711")), ("an empty line", change("\nseal", "\n\nseal")),
        ("an empty line at the end", plain + "\n"), ("no last line feed", plain[:-1]), ("a NUL", change("host-3", "host-3\0")),
        ("a delete character", change("host-3", "host-3\x7f")), ("not ASCII", change("host-3", "host-\u00e4")),
        ("two spaces", change("seal 4711", "seal  4711")), ("a space after a line", change("seal 4711", "seal 4711 ")),
        ("a space before a line", change("seal 4711", " seal 4711")), ("an unknown keyword", change("\nhead", "\nmore 1\nhead")),
        ("an unknown keyword at the end", plain + "tail 1\n"), ("upper case", change("\nseal ", "\nSeal ")),
        ("an origin with a space", change("prod/infra", "prod infra")), ("an origin with a plus", change("prod/infra", "prod+infra")),
        ("a zero before the seal", change("seal 4711", "seal 04711")), ("a sign", change("seal 4711", "seal +4711")),
        ("2^63", change("seal 4711", f"seal {2**63}")), ("a fraction", change("seal 4711", "seal 4711.0")),
        ("no seal number", change("seal 4711", "seal ")), ("epoch 0", change("7#1", "7#0")), ("another word than of", change(" of ", " in ")),
        ("a zero before the partitions", change("of 12", "of 012")), ("a partition that does not exist", change("of 12", "of 7")),
        ("a zero before the input", change("input 9100", "input 09100")), ("one offset", change("input 9100 9183", "input 9100")),
        ("three offsets", change("input 9100 9183", "input 9100 9183 9184")), ("an input that ends before its start", change("input 9100", "input 9184")),
        ("more read than the input holds", change("9183", "9182")), ("two counts", change("83 79 3 2", "83 79")),
        ("five counts", change("83 79 3 2", "83 79 3 2 0")), ("more skipped than read", change("83 79 3 2", "83 79 82 2")),
        ("events too few", change("83 79 3 2", "83 77 3 2")), ("events and nothing audited", change("83 79 3 2", "83 79 81 2")),
        ("events without a head", without("head eu")), ("events more than sizes", change("48216", "78")),
        ("a head with a partition and no event", change("48216", "1", change("83 79 3 2", "2 0 0 2"))),
        ("more heads with a partition than events", change("counts 83 79 3 2", "counts 3 1 0 2", change(f"{r.b64(SOME)} -", f"{r.b64(SOME)} 1"))),
        ("a quarantine head and nothing quarantined", change("83 79 3 2", "83 80 3 0")),
        ("a prev without padding", change("=\ninput", "\ninput")), ("a prev in hexadecimal", change(r.b64(SOME), SOME.hex())),
        ("bits left over in prev", change(r.b64(SOME), r.b64(SOME)[:-2] + chr(ord(r.b64(SOME)[-2]) + 1) + "=")),
        ("a writer without an instance", change("/host-3", "")), ("an empty group", change("audit-group/", "/")),
        ("a writer with a space", change("audit-group", "audit group")), ("lower case percent-encoding", change("audit-group", "audit%2fgroup")),
        ("percent-encoding without need", change("audit-group", "%61udit-group")), ("half a percent-encoding", change("audit-group", "audit-group%2")),
        ("percent-encoding that is not UTF-8", change("audit-group", "%FF")), ("a tilde in the writer", change("host-3", "host~3")),
        ("no configuration", change(" cfg=5f2c00000000abcd", "")), ("a short configuration", change("cfg=5f2c0", "cfg=5f2c")),
        ("upper case configuration", change("abcd", "ABCD")), ("a space after the writer", change("abcd", "abcd ")),
        ("no milliseconds", change(".120Z", "Z")), ("microseconds", change(".120Z", ".120000Z")), ("another zone", change(".120Z", ".120+00:00")),
        ("lower case time", change("T07", "t07")), ("February 30", change("11-22", "02-30")), ("a leap second", change("15:03", "59:60")),
        ("before 1970", change("2026-", "1969-")), ("hour 24", change("T07", "T24")),
        ("an unsorted head", change("head eu-west-1", "head zz")), ("a head twice", change("head us-east-1", "head eu-west-1")),
        ("a size of 0", change(" 12 " + r.b64(SOME) + " -", " 0 " + r.b64(SOME) + " -")), ("a zero before the size", change("48216", "048216")),
        ("a head without a partition", change(f"{r.b64(SOME)} -", r.b64(SOME))), ("a zero before the partition", change(f"{r.b64(OTHER)} 7", f"{r.b64(OTHER)} 07")),
        ("a head of a whole stream", change("head eu-west-1", f"head {SET}@eu-west-1")), ("upper case region", change("eu-west-1", "EU-west-1")),
        ("another tilde name", change("~quarantine", "~other")), ("a negative partition", change(f"{r.b64(OTHER)} 7", f"{r.b64(OTHER)} -7")),
        ("not the genesis", change("seal 4711", "seal 0")), ("the genesis of another set", change("7#1", "6#1", first)),
        ("the genesis of another trail", change("prod/infra", "prod/other", first)),
        ("no after", without("after ", linked)), ("after in epoch 1", change("\nhead", f"\nafter infra.changes/7#1 1 {r.b64(SOME)}\nhead")),
        ("after in seal 1", change("seal 0", "seal 1", linked)), ("after another partition", change("after infra.changes/7#1", "after infra.changes/6#1", linked)),
        ("after another topic", change("after infra", "after intra", linked)), ("after an epoch too early", change("#2", "#3", linked)),
        ("after another hash", change(f"4712 {r.b64(SOME)}", f"4712 {r.b64(OTHER)}", linked)), ("a zero before the seal in after", change(" 4712", " 04712", linked)),
        ("after twice", change("\nafter", f"\nafter {SET} 4712 {r.b64(SOME)}\nafter", linked)),
        ("resumed before after", moved("resumed", "after")), ("gap before resumed", moved("gap", "resumed")), ("x- before gap", moved("x-note", "gap")), ("head before gap", moved("head eu", "gap")),
        ("an empty gap", change("9190 9200", "9190 9190", whole)), ("a gap backwards", change("9101 9104", "9104 9101", whole)), ("gaps that overlap", change("9101 9104", "9100 9104", whole)),
        ("gaps out of order", moved("gap 9190", "gap 9100")), ("a gap before the input", change("gap 9100", "gap 9099", whole)), ("a gap behind the input", change("9190 9200", "9190 9201", whole)),
        ("a gap where something was read", change("9101 9104", "9101 9108", whole)), ("another cause", change("passed-over", "passed", whole)), ("a gap without a cause", change(" passed-over", "", whole)),
        ("a zero before a gap", change("gap 9101", "gap 09101", whole)), ("x- before resumed", moved("x-note", "resumed")), ("head before x-", moved("head eu", "x-note")),
        ("next-key before head", moved("next-key", "head eu")), ("resumed before time", moved("resumed", "time")),
        ("resumed without a reason", change("resumed metadata-lost", "resumed ", whole)), ("a reason in upper case", change("metadata-lost", "Metadata-lost", whole)),
        ("a reason with a space", change("metadata-lost", "metadata lost", whole)), ("a reason with a digit", change("metadata-lost", "metadata-2", whole)),
        ("resumed twice", change("\nresumed", "\nresumed a\nresumed", whole)), ("x- without a word", change("x-note", "x-", whole)),
        ("x- without text", change("x-a-1 x", "x-a-1", whole)), ("x- with an empty text", change("x-a-1 x", "x-a-1 ", whole)),
        ("x- with two spaces", change("x-a-1 x", "x-a-1  x", whole)), ("x- in upper case", change("x-note", "x-Note", whole)),
        ("x- with a control character", change("any text", "any\ttext", whole)), ("x- that is not ASCII", change("any text", "\u00e4", whole)),
        ("next-key twice", whole + f"next-key {NEW.vkey}\n"), ("next-key that is no vkey", plain + "next-key abc\n"),
        ("next-key with another id", plain + f"next-key {NEW.vkey.replace(NEW.id.hex(), OLD.id.hex())}\n"),
        ("next-key of another name", plain + f"next-key {WITNESS.vkey}\n"), ("signatures", r.sign(plain, [OLD])), ("empty", ""),
        ("a replay with more read than the input holds", change("input 0 2", "input 0 0", replay)), ("a heartbeat with a count", change("0 0 0 0", "1 0 1 0", silent)),
    ]
    return bad(d.seal, cases)


# ---- the committed state

def committed(**change):
    return {"next_offset": 9183, "next_seal": 4712, "last_seal": r.b64(SOME), "sealed_at": TIME, "announced": False,
            "streams": [["eu-west-1", 48216, r.b64(OTHER)], ["~quarantine", 2, r.b64(ZERO)]], **change}


def states():
    many = [[f"region-{at:07}", at + 1, r.b64(r.sha(bytes([at])))] for at in range(54)]
    cases = [("a state", committed(), OLD), ("the next key is announced", committed(announced=True), OLD),
             ("no streams", committed(streams=[], next_offset=0, next_seal=0), OLD), ("another key", committed(), NEW),
             ("the largest numbers", committed(next_offset=MAX, next_seal=MAX, sealed_at="9999-12-31T23:59:59.999Z", streams=[["-", 2**48 - 1, r.b64(ZERO)]]), OLD),
             ("as many streams as fit", committed(streams=many), OLD)]
    valid = []
    for name, fields, key in cases:
        body = d.state_body(TRAIL, SET, fields, key.id)
        text, tag = d.state_text(body, key.metadata)
        d.state(text, TRAIL, SET, [OLD, NEW])
        valid.append({"name": name, "origin": TRAIL, "set": SET, **fields, "vkey": key.vkey, "body": body.hex(),
                      "tag": tag.hex(), "text": text})
    long = [[f"region-{at:07}", 1, r.b64(ZERO)] for at in range(60)]
    return {"valid": valid, "invalid": bad_states(), "too_long": [{"state": committed(streams=long), "fitting": 54}]}


def bad_states():
    body = d.state_body(TRAIL, SET, committed(), OLD.id)
    text = d.state_text(body, OLD.metadata)[0]
    flip = lambda at: text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:]

    def tagged(at, new, of=body):
        return d.state_text(of[:at] + new + of[at + len(new):], OLD.metadata)[0]

    named = lambda *names: d.state_text(d.state_body(TRAIL, SET, committed(
        streams=[[name, 1, r.b64(ZERO)] for name in names]), OLD.id), OLD.metadata)[0]
    cases = [
        ("missing", "", None), ("another string", "checkpoint 7", None), ("another prefix", "aj2." + text[4:], None), ("no prefix", text[4:], None),
        ("upper case prefix", "AJ1." + text[4:], None), ("the prefix alone", "aj1.", None), ("padding", text + "=" * (-len(text[4:]) % 4 or 4), None),
        ("a line feed", text + "\n", None), ("the alphabet with +", text[:60] + "+" + text[61:], None), ("103 bytes", d.state_text(body[:87], OLD.metadata)[0], None),
        ("4,001 characters", "aj1." + "A" * 3997, None), ("bits left over", loose(), None), ("version 2", tagged(0, b"\x02"), None), ("version 0", tagged(0, b"\0"), None),
        ("a flipped tag", flip(len(text) - 5), None), ("a flipped head", flip(len(text) - 40), None), ("a flipped offset", flip(45), None),
        ("a tag of zeros", "aj1." + base64.urlsafe_b64encode(body + bytes(16)).decode().rstrip("="), None),
        ("the tag of another key", d.state_text(body, NEW.metadata)[0], None), ("a cut text", text[:-4], None), ("an unknown key", d.state_text(d.state_body(TRAIL, SET, committed(), WITNESS.id), WITNESS.metadata)[0], None),
        ("of another trail", d.state_text(d.state_body(TRAIL + "x", SET, committed(), OLD.id), OLD.metadata)[0], None),
        ("of another partition", text, "infra.changes/6#1"), ("of another topic", text, "infra.change/7#1"), ("of another epoch", text, "infra.changes/7#2"),
        ("an epoch that is not the set's", tagged(18, bytes(7) + b"\x02"), None), ("an unknown flag", tagged(1, b"\x02"), None), ("a flag of 128", tagged(1, b"\x81"), None),
        ("an offset of 2^63", tagged(26, b"\x80"), None), ("a seal number of 2^63", tagged(34, b"\x80"), None), ("a time after the year 9999", tagged(74, b"\x01"), None), ("a stream too few", tagged(86, b"\0\x03"), None),
        ("a stream too many", tagged(86, b"\0\x01"), None), ("bytes after the streams", d.state_text(body + b"\0", OLD.metadata)[0], None),
        ("streams that are not sorted", named("us", "eu"), None), ("a stream twice", named("eu", "eu"), None), ("an upper case stream", named("EU"), None),
        ("a stream without a name", named(""), None), ("another tilde name", named("~other"), None), ("a size of 0", tagged(98, bytes(6)), None),
    ]
    return [{"reason": reason, "text": text, "origin": TRAIL, "set": set_ or SET, "vkeys": [OLD.vkey, NEW.vkey],
             "error": refused(d.state, text, TRAIL, set_ or SET, [OLD, NEW])} for reason, text, set_ in cases]


def loose():
    """A state whose last character has bits that belong to no byte."""
    body = d.state_body(TRAIL, SET, committed(streams=[]), OLD.id) + b"x"
    text = d.state_text(body, OLD.metadata)[0]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) + 1]


# ---- trust files and anchors

def trusts():
    o, n, w = OLD.vkey, NEW.vkey, WITNESS.vkey
    a, b = "infra.changes/0#1", "infra.changes/1#1"
    files = [("one key", f"{o}\n"), ("no last line feed", o), ("a rotation", f"# keys\n\n{o} - 6 {a}\n{o} - 7 {b}\n{n} 7 - {a}\n{n} 8 - {b}\n"),
             ("a cosigner", f"{o} 0 - -\n{w}\n"), ("spaces and tabs", f"  {o} \t-   5\t\n\t# comment\n{n} 6"),
             ("general and special lines", f"{o} - 6\n{n} 7\n{n} 3 3 {a}\n")]
    valid = []
    for name, text in files:
        entries, problems = d.trust(text)
        assert entries and not problems, problems
        asked = [{"set": s, "seal": at, "signers": d.signers(entries, s, at)} for s in (a, b, SET) for at in (0, 3, 5, 6, 7, 8, MAX)]
        valid.append({"name": name, "text": text, "origin": entries[0][0].split("+")[0], "keys": list(dict.fromkeys(e[0] for e in entries)), "asked": asked})
    cases = [("no key", "# nothing\n"), ("empty", ""), ("not a vkey", "abc\n"), ("a flipped id", o.replace(OLD.id.hex(), NEW.id.hex())),
             ("too many columns", f"{o} - - - -"), ("a comment after a key", f"{o} # mine"), ("a zero before a number", f"{o} 07"), ("a sign", f"{o} +7"),
             ("2^63", f"{o} {2**63}"), ("an empty period", f"{o} 7 6"), ("not a set", f"{o} - - infra"), ("epoch 0", f"{o} - - a/0#0"),
             ("a set in the wrong column", f"{o} {a}"), ("carriage returns", f"{o}\r\n{n}\r\n"), ("the same line twice", f"{o}\n{n}\n{o} - - -\n"),
             ("several problems", f"{o}\nabc\n{n} x y z q\n# fine\n{o} 1\n{o} 1 -\n")]
    invalid = []
    for reason, text in cases:
        entries, problems = d.trust(text)
        assert problems or not entries
        invalid.append({"reason": reason, "text": text, "lines": problems})
    return {"valid": valid, "invalid": invalid}


def anchors():
    h = r.b64(SOME)
    some = [["infra/1#1", 5, h], ["infra/1#10", 6, h], ["infra/10#1", 0, h], ["infra/9#1", MAX, r.b64(ZERO)]]
    texts = [d.anchor_text(TRAIL, TIME, some), d.anchor_text(TRAIL, "1970-01-01T00:00:00.000Z", some[:1])]
    valid = []
    for text, seals in zip(texts, (some, some[:1])):
        d.anchor(text)
        valid.append({"origin": TRAIL, "time": text.split("\n")[2][5:], "seals": seals, "text": text, "note": r.sign(text, [OLD])})
    t = texts[0]
    line = f"anchor infra/1#1 5 {h}\n"
    cases = [("no anchor", d.anchor_text(TRAIL, TIME, [])[:-1] + "\n"), ("a seal", t.replace("audit-anchor", "audit-seal")), ("another version", t.replace("/v1", "/v2")),
             ("not sorted", d.anchor_text(TRAIL, TIME, some[::-1])), ("sorted by number", d.anchor_text(TRAIL, TIME, [some[0], some[1], some[3], some[2]])),
             ("a set twice", t.replace(line, line * 2)), ("a set twice with two seals", t.replace(line, line + line.replace(" 5 ", " 6 "))),
             ("no time", t.replace(f"time {TIME}\n", "")), ("time after the anchors", d.anchor_text(TRAIL, TIME, some).replace(f"time {TIME}\n", "") + f"time {TIME}\n"),
             ("no milliseconds", t.replace(".120Z", "Z")), ("a zero before the seal", t.replace(" 5 ", " 05 ")), ("two spaces", t.replace(" 5 ", "  5 ")),
             ("a carriage return", t.replace("\n", "\r\n")), ("no last line feed", t[:-1]), ("an empty line", t + "\n"), ("an unknown line", t + "x-a b\n"),
             ("a digest without padding", t.replace("=\n", "\n", 1)), ("epoch 0", t.replace("1#1 5", "1#0 5")), ("a stream", t.replace("1#1 5", "1#1@eu 5")),
             ("2^63", t.replace(str(MAX), str(2**63))), ("not ASCII", t.replace("prod", "pr\u00f6d")), ("empty", "")]
    return {"valid": valid, "invalid": bad(d.anchor, cases), "file": anchor_files([entry["note"] for entry in valid])}


def anchor_files(notes):
    one, two = notes
    valid = [{"file": "", "texts": []}, {"file": f"{one}\n", "texts": 1}, {"file": f"{one}\n{two}\n{one}\n", "texts": 3}]
    for entry in valid:
        entry["texts"] = d.anchor_file(entry["file"].encode())
    cases = [("no empty line at the end", one), ("two empty lines between", f"{one}\n\n{two}\n"), ("no empty line between", f"{one}{two}\n"),
             ("an empty line before", f"\n{one}\n"), ("two empty lines at the end", f"{one}\n\n"), ("a note without signatures", one.split("\n\n")[0] + "\n\n"),
             ("a note that was cut off", f"{one}\n{two[:80]}"), ("a signature that was cut off", f"{one}\n{two[:-9]}"), ("carriage returns", f"{one}\n".replace("\n", "\r\n")),
             ("an empty line alone", "\n"), ("two empty lines alone", "\n\n")]
    return {"valid": valid, "invalid": bad(lambda text: d.anchor_file(text.encode()), cases, "file")}
