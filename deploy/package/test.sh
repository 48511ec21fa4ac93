#!/usr/bin/env bash
# The check of what deploy/package/build.sh makes: bash deploy/package/test.sh
# Needs what the build needs, and python3, lintian, mandoc, bash, zsh, fish, strace and systemd-analyze. It installs nothing: the
# Debian package is unpacked into a folder, and run from there.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec </dev/null

out=$PWD/target/package
work=$PWD/target/package-test
# OpenSSL is some 3.5 MB of it, librdkafka 1.4, zstd 0.8; our own code with what it instantiates 4.5. It could be 3 MB smaller, at a
# price: without unwinding, so that a panic ends the process instead of one thread; with packed relocations, which need
# glibc 2.36; with the loop compiled for size.
most_bytes=$((16200 * 1000))

say() { printf '\n==> %s\n' "$*"; }
fail() {
    printf 'failed: %s\n' "$*" >&2
    exit 1
}

for needed in python3 lintian mandoc zsh fish strace systemd-analyze dpkg-deb; do
    command -v "$needed" >/dev/null 2>&1 || fail "missing: $needed"
done

# The program of the package: small, stripped, and silent about the machine that built it.
check_program() { # PROGRAM
    local bytes
    bytes=$(stat --format=%s "$1")
    ((bytes <= most_bytes)) || fail "$1 has $bytes bytes; the limit is $most_bytes"
    [[ "$(nm "$1" 2>&1)" == *"no symbols"* ]] || fail "$1 is not stripped"
    ! grep --text --only-matching --extended-regexp "($HOME|$PWD)/[[:graph:]]{0,60}" "$1" | sort | uniq -c | head >"$work/paths" || true
    [[ ! -s "$work/paths" ]] || fail "$1 has paths of this machine: $(cat "$work/paths")"
}

# The dependencies that it names, in itself and in the SBOM, are those that cargo builds into it, in the versions of Cargo.lock.
check_dependencies() { # PROGRAM SBOM
    objcopy --dump-section .dep-v0="$work/dependencies" "$1" "$work/discarded"
    cargo tree --locked --package audit-relay --edges normal,no-proc-macro --prefix none --format '{p}' |
        sed 's/ (.*//; s/ v/ /' | sort -u >"$work/tree"
    python3 deploy/package/dependencies.py "$work/dependencies" "$2" "$work/tree" Cargo.lock
}

# The unit grants everything that the relay asked of the kernel: calls, kinds of sockets, memory.
check_grants() { # UNIT TRACE
    local calls families filter
    filter=$(sed -n 's/^SystemCallFilter=//p' "$1")
    systemd-analyze syscall-filter >"$work/sets" 2>/dev/null
    calls=$(sed -n 's/^[0-9]* *\([a-z0-9_]*\)(.*/\1/p' "$2" | sort -u)
    (($(wc -w <<<"$calls") > 30)) || fail "strace saw only: $calls"
    # shellcheck disable=SC2086
    python3 deploy/package/allowed.py "$work/sets" $calls <<<"$filter" || return 1
    families=$(sed -n 's/^RestrictAddressFamilies=//p' "$1")
    # shellcheck disable=SC2013
    for family in $(sed -n 's/^[0-9]* *socket(\(AF_[A-Z0-9]*\),.*/\1/p' "$2" | sort -u); do
        [[ " $families " == *" $family "* ]] || { echo "$family is not allowed" >&2 && return 1; }
    done
    if grep --quiet 'PROT_WRITE|PROT_EXEC' "$2"; then echo "memory is writable and executable" >&2 && return 1; fi
}

rm -rf "$work" && mkdir -p "$work"
say "the program"
check_program "$out/audit-relay"
check_dependencies "$out/audit-relay" "$out/audit-relay.cdx.json"

say "the archive"
mkdir "$work/archive"
tar --extract --file "$out"/audit-relay-*.tar.gz --directory "$work/archive" --strip-components=1
"$work/archive/audit-relay" --version
bash -n "$work/archive/completions/audit-relay"
zsh -n "$work/archive/completions/_audit-relay"
fish -n "$work/archive/completions/audit-relay.fish"
# What a person gets who types "audit-relay che" and the tab key.
completed=$(bash -c 'source "$1"; COMP_WORDS=(audit-relay che); COMP_CWORD=1; _audit__relay audit-relay che audit-relay; echo "${COMPREPLY[*]}"' \
    complete "$work/archive/completions/audit-relay")
[[ "$completed" == check ]] || fail "bash completes che by: $completed"
count=0
for page in "$work"/archive/man/*.1.gz; do
    gunzip --stdout "$page" | mandoc -Tlint -Werror
    count=$((count + 1))
done
((count > 10)) || fail "only $count man pages"

say "the Debian package"
# It closes no bug of Debian's, since it is not made for its archive.
lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs "$out"/audit-relay_*.deb
dpkg-deb --extract "$out"/audit-relay_*.deb "$work/root"
"$work/root/usr/bin/audit-relay" demo --records 60 >"$work/demo"
tail -n 12 "$work/demo"
grep --quiet 'accounted       read 60 = ' "$work/demo" || fail "the demo did not account for its records"
unit=$work/root/usr/lib/systemd/system/audit-relay.service

say "the unit"
# With the program where it is unpacked.
mkdir "$work/verified"
sed "s#=/usr/bin/#=$work/root/usr/bin/#" "$unit" >"$work/verified/audit-relay.service"
if ! answer=$(systemd-analyze verify --man=no "$work/verified/audit-relay.service" 2>&1) || [[ -n "$answer" ]]; then
    fail "systemd-analyze verify: $answer"
fi
systemd-analyze security --offline=true --threshold=20 "$unit" | tail -n 1
strace --follow-forks --output="$work/trace" "$work/root/usr/bin/audit-relay" demo --records 60 >/dev/null
check_grants "$unit" "$work/trace" || fail "the unit forbids what the relay does"

say "planted faults"
sed '/^Protect\|^Private\|^Restrict\|^System/d' "$unit" >"$work/open.service"
if systemd-analyze security --offline=true --threshold=20 "$work/open.service" >/dev/null; then fail "an open unit passes"; fi
sed 's/^SystemCallFilter=~.*/SystemCallFilter=~@network-io/' "$unit" >"$work/closed.service"
if check_grants "$work/closed.service" "$work/trace" 2>/dev/null; then fail "a unit without sockets passes"; fi
sed 's/ AF_NETLINK//' "$unit" >"$work/closed.service"
if check_grants "$work/closed.service" "$work/trace" 2>/dev/null; then fail "a unit without a kind of socket passes"; fi
cp "$out/audit-relay" "$work/fat" && truncate --size="$((most_bytes + 1))" "$work/fat"
if (check_program "$work/fat") 2>/dev/null; then fail "a large program passes"; fi
{ cat "$out/audit-relay" && printf '%s/src/main.rs' "$HOME"; } >"$work/talkative"
if (check_program "$work/talkative") 2>/dev/null; then fail "a program with a path passes"; fi
sed 's/"version": "0/"version": "9/' "$out/audit-relay.cdx.json" >"$work/wrong.cdx.json"
if (check_dependencies "$out/audit-relay" "$work/wrong.cdx.json") >/dev/null 2>&1; then fail "a wrong SBOM passes"; fi
say "the packages are as they should be"
