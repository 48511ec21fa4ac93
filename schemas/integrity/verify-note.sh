#!/bin/sh
# verify-note.sh NOTE VKEY: verifies a signed note (C2SP signed-note, Ed25519) by one key, with awk, base64 and OpenSSL 3.0 or
# later alone. Prints the text that the key signed. Exit 0: every line of the key is true, and there is one. 1: it is not so.
# 2: wrong usage, or a tool is missing.
set -eu
if [ $# != 2 ] || [ ! -r "$1" ]; then
    echo "usage: verify-note.sh NOTE VKEY" >&2
    exit 2
fi
for tool in awk base64 openssl od tail head tr mktemp; do
    command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 2; }
done
note=$1
name=${2%%+*} rest=${2#*+}
id=${rest%%+*} key=${rest#*+}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
refuse() {
    echo "refused: $*" >&2
    exit 1
}

# Control characters other than the line feed have no place in a note.
[ -z "$(LC_ALL=C tr -d '\012\040-\176\200-\377' <"$note" | od -An -tx1)" ] || refuse "a control character"
# The text ends before the last empty line; the lines of signatures follow it.
LC_ALL=C awk -v text="$work/text" -v lines="$work/lines" '
    { line[NR] = $0 }
    $0 == "" { empty = NR }
    END {
        if (empty < 2 || empty == NR) exit 1
        for (i = 1; i < empty; i++) print line[i] > text
        for (i = empty + 1; i <= NR; i++) print line[i] > lines
    }' "$note" || refuse "no lines of signatures after an empty line"
# A last line without its line feed would pass the above.
[ "$(tail -c 1 "$note" | od -An -tx1 | tr -d ' ')" = 0a ] || refuse "no line feed at the end"

# The public key as DER: the header of RFC 8410, and 32 bytes.
{
    printf '\060\052\060\005\006\003\053\145\160\003\041\000'
    printf %s "$key" | base64 -d | tail -c 32
} >"$work/key.der"

true_lines=0
dash=$(printf '\342\200\224')
while IFS= read -r line; do
    case $line in
    "$dash $name "*) encoded=${line#"$dash $name "} ;;
    "$dash "*" "*) continue ;;
    *) refuse "a malformed line" ;;
    esac
    printf %s "$encoded" | base64 -d >"$work/raw" 2>/dev/null || refuse "a line that is not Base64"
    [ "$(base64 <"$work/raw" | tr -d '\n')" = "$encoded" ] || refuse "Base64 that is not canonical"
    [ "$(head -c 4 "$work/raw" | od -An -tx1 | tr -d ' \n')" = "$id" ] || continue
    tail -c +5 "$work/raw" >"$work/signature"
    openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key.der" -rawin -in "$work/text" \
        -sigfile "$work/signature" >/dev/null 2>&1 || refuse "the signature of $name+$id is false"
    true_lines=$((true_lines + 1))
done <"$work/lines"
[ "$true_lines" -gt 0 ] || refuse "no signature of $name+$id"
cat "$work/text"
