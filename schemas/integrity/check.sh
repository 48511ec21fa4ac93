#!/usr/bin/env bash
# Checks vectors.json with tools that share no code with the crate: OpenSSL and Go's package for signed notes verify its seals
# and anchors and refuse changed ones, OpenSSL reads its keys, and vectors.py writes the same file again.
# Needs OpenSSL 3.0 or later, awk, Go (which fetches golang.org/x/mod), Python 3.9 or later and its package cryptography.
set -euo pipefail
cd "$(dirname "$0")"
export PYTHONDONTWRITEBYTECODE=1

fail() {
    echo "check.sh: $*" >&2
    exit 1
}
for tool in openssl awk base64 od go python3; do
    command -v "$tool" >/dev/null || fail "missing: $tool"
done
[[ "$(openssl version)" =~ ^OpenSSL\ ([0-9]+)\. && ${BASH_REMATCH[1]} -ge 3 ]] || fail "OpenSSL is older than 3.0: $(openssl version)"
python3 -c 'import cryptography' 2>/dev/null ||
    fail "missing: the Python package cryptography (pip install cryptography, or the package python3-cryptography)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 vectors.py --check
echo "vectors.py writes the same vectors"

# One folder for each note and key, and one for each key pair.
python3 - "$work" <<'PYTHON'
import json, os, sys
work, vectors = sys.argv[1], json.load(open("vectors.json", encoding="utf-8"))

def put(folder, **files):
    os.makedirs(os.path.join(work, folder))
    for name, text in files.items():
        with open(os.path.join(work, folder, name), "w", encoding="utf-8", newline="") as file:
            file.write(text)

trail = vectors["key"]["valid"][0]["vkey"]
for at, seal in enumerate(vectors["seal"]["valid"]):
    for key, vkey in enumerate(seal["vkeys"]):
        put(f"notes/seal-{at}-{key}", note=seal["note"], text=seal["text"], vkey=vkey)
for at, anchor in enumerate(vectors["anchor"]["valid"]):
    put(f"notes/anchor-{at}", note=anchor["note"], text=anchor["text"], vkey=trail)
for at, note in enumerate(vectors["note"]["valid"]):
    for key, vkey in enumerate(note["signers"]):
        put(f"notes/note-{at}-{key}", note=note["note"], text=note["text"], vkey=vkey)
for at, key in enumerate(vectors["key"]["valid"]):
    put(f"keys/{at}", private=key["private_pem"], public=key["public_pem"])
PYTHON

(cd go && go build -mod=readonly -o "$work/verify-note" .)
verifiers=(./verify-note.sh "$work/verify-note")

# assert_refused NOTE VKEY WHAT
assert_refused() {
    local verifier
    for verifier in "${verifiers[@]}"; do
        if "$verifier" "$1" "$2" >/dev/null 2>&1; then fail "$verifier accepts $3"; fi
    done
}

notes=0
for folder in "$work"/notes/*; do
    vkey=$(<"$folder/vkey")
    for verifier in "${verifiers[@]}"; do
        "$verifier" "$folder/note" "$vkey" >"$folder/read" || fail "$verifier refuses ${folder##*/}"
        cmp -s "$folder/read" "$folder/text" || fail "$verifier reads another text in ${folder##*/}"
    done
    # A character of the text, and one of a signature.
    awk 'NR == 1 { $0 = "X" $0 } { print }' "$folder/note" >"$folder/other-text"
    assert_refused "$folder/other-text" "$vkey" "a changed text of ${folder##*/}"
    python3 - "$folder" "$vkey" <<'PYTHON'
import base64, sys
folder, vkey = sys.argv[1:]
name, identity, _ = vkey.split("+", 2)
with open(f"{folder}/note", encoding="utf-8") as file:
    text, lines = file.read().rsplit("\n\n", 1)
changed = []
for line in lines.splitlines():
    dash, signer, encoded = line.split(" ")
    data = bytearray(base64.b64decode(encoded))
    if signer == name and data[:4].hex() == identity:
        data[20] ^= 1
    changed.append(f"{dash} {signer} {base64.b64encode(data).decode()}\n")
with open(f"{folder}/other-signature", "w", encoding="utf-8") as file:
    file.write(text + "\n\n" + "".join(changed))
PYTHON
    assert_refused "$folder/other-signature" "$vkey" "a changed signature of ${folder##*/}"
    notes=$((notes + 1))
done
((notes > 20)) || fail "only $notes notes were found"
echo "OpenSSL and Go verify $notes notes, and refuse each with a changed text or signature"

keys=0
for folder in "$work"/keys/*; do
    openssl pkey -in "$folder/private" -pubout -out "$folder/read" || fail "OpenSSL does not read the private key ${folder##*/}"
    cmp -s "$folder/read" "$folder/public" || fail "OpenSSL prints another public key of ${folder##*/}"
    openssl pkey -in "$folder/private" -out "$folder/written"
    cmp -s "$folder/written" "$folder/private" || fail "OpenSSL writes the private key ${folder##*/} in another form"
    keys=$((keys + 1))
done
((keys > 2)) || fail "only $keys keys were found"
echo "OpenSSL reads $keys private keys, writes the same files, and prints the same public keys"
