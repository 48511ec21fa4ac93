"""What the examples of vectors.py share: keys, names, and how a text is proven good or bad."""
import rules as r

TRAIL = "audit.example.com/prod/infra"
OLD, NEW = r.Key(bytes(range(32)), TRAIL), r.Key(bytes(range(32, 64)), TRAIL)
WITNESS = r.Key(bytes([7] * 32), "witness.example.org/w1")
KEYS = [OLD, NEW, WITNESS]
NAMED = r.Key(bytes(range(32)), "audit.example.com/prod/other")
SET, STREAM = "infra.changes/7#1", "infra.changes/7#1@eu-west-1"
ZERO, SOME, OTHER = bytes(32), r.sha(b"some"), r.sha(b"other")
MAX = 2**63 - 1
hexa = lambda data: None if data is None else data.hex()


def refused(read, *arguments):
    try:
        read(*arguments)
    except r.Refused as reason:
        return str(reason)
    raise SystemExit(f"not refused: {arguments}")


def bad(read, cases, field="text"):
    """Texts that must be refused, with the reason for each."""
    for _, text in cases:
        refused(read, text)
    return [{"reason": reason, field: text} for reason, text in cases]


def good(read, texts):
    for text in texts:
        read(text)
    return texts
