#!/usr/bin/env python3
"""Writes vectors.json: examples of every format, to the byte, and texts that must be refused.

    vectors.py > vectors.json        writes them
    vectors.py --check               compares them with the file

Needs Python 3.9 and the package `cryptography`. Each example is read back here as well, and each of
the others is refused, by readers (rules.py) that share nothing with the crate.
"""
import json, os, sys

sys.dont_write_bytecode = True
try:
    import parts, signed
except ImportError as error:
    sys.exit(f"vectors.py: {error}: install the package cryptography (pip install cryptography)")

ABOUT = ("Test vectors of schemas/integrity.md, written by schemas/integrity/vectors.py. "
         "Binary values are hexadecimal, or Base64 where the format has it; null is null.")


def vectors():
    return {"about": ABOUT, "hash": parts.hash_vectors(), "name": parts.names(), "header": parts.headers(),
            "key": parts.keys(), "note": signed.notes(), "seal": signed.seals(), "state": signed.states(),
            "trust": signed.trusts(), "anchor": signed.anchors()}


def main():
    text = json.dumps(vectors(), indent=1) + "\n"
    if sys.argv[1:] == ["--check"]:
        path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors.json")
        with open(path, encoding="utf-8") as file:
            if file.read() != text:
                sys.exit("vectors.json is not what vectors.py writes: run vectors.py > vectors.json")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
