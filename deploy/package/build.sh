#!/usr/bin/env bash
# Makes what is installed, in target/package: bash deploy/package/build.sh
#   audit-relay               the program, stripped, with the list of its dependencies inside (cargo-auditable)
#   audit-relay.cdx.json      the same list as a CycloneDX SBOM
#   audit-relay-*.tar.gz      program, unit, man pages, completions, example configuration, alert rules, SBOM
#   audit-relay_*.deb         the same as a Debian package
# Needs cargo, a C toolchain and binutils; the packaging tools are built into target/tools once.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec </dev/null

tools=$PWD/target/tools
out=$PWD/target/package
build=${TMPDIR:-/tmp}/audit-relay-package
PATH=$tools/bin:$PATH

say() { printf '\n==> %s\n' "$*"; }

# tool NAME VERSION
tool() {
    if grep -qF "\"$1 $2 " "$tools/.crates2.json" 2>/dev/null; then return; fi
    say "building $1 $2"
    cargo install --quiet --locked --root "$tools" --version "$2" "$1"
}
tool cargo-auditable 0.7.7
tool cargo-cyclonedx 0.5.9
tool cargo-deb 3.8.0

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
# The time of the commit, so that two builds of it are alike.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

say "the program"
# Compilers write the paths of sources into messages and assertions. Those of this machine are nobody's business. OpenSSL
# also writes the folder that it is built in, and the flags that it is built with: hence a folder with a plain name, and a
# compiler that adds these flags by itself. More of them: sections of their own, so that the linker leaves out what nobody
# calls, and no tables for unwinding through C, which no Rust panic does.
mkdir -p "$build/compilers"
[[ -O "$build" ]] || { echo "$build belongs to someone else: set TMPDIR" >&2 && exit 1; }
cargo_home=${CARGO_HOME:-$HOME/.cargo}
for compiler in cc gcc c++ g++; do
    cat >"$build/compilers/$compiler" <<END
#!/bin/sh
exec $(command -v "$compiler") -ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$PWD=/audit-relay \\
    -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables "\$@"
END
    chmod +x "$build/compilers/$compiler"
done
PATH=$build/compilers:$PATH RUSTFLAGS="--remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$PWD=/audit-relay" \
    cargo auditable build --release --locked --target-dir "$build" --bin audit-relay
rm -rf "$out" && mkdir -p "$out"
strip -o "$out/audit-relay" "$build/release/audit-relay"

say "what belongs to it"
"$out/audit-relay" generate "$out/generated"
gzip --best --no-name "$out"/generated/man1/*.1
gzip --best --no-name --stdout CHANGELOG.md >"$out/changelog.gz"
cargo cyclonedx --quiet --format json --spec-version 1.5 --target all --override-filename audit-relay.cdx
mv audit-relay.cdx.json "$out/"
rm -f crates/*/audit-relay.cdx.json

say "the archive"
name=audit-relay-$version-$(uname -m)-linux-gnu
folder=$out/$name
mkdir -p "$folder/man" "$folder/completions" "$folder/systemd"
cp "$out/audit-relay" "$out/audit-relay.cdx.json" README.md CHANGELOG.md LICENSE audit-relay.example.toml deploy/alerts.yml "$folder/"
cp deploy/systemd/audit-relay.service "$folder/systemd/"
cp "$out"/generated/man1/*.1.gz "$folder/man/"
cp "$out"/generated/completions/* "$folder/completions/"
tar --create --gzip --file "$out/$name.tar.gz" --directory "$out" --sort=name --owner=0 --group=0 --numeric-owner \
    --mtime="@$SOURCE_DATE_EPOCH" "$name"
rm -rf "$folder"

say "the Debian package"
{
    printf 'audit-relay (%s-1) unstable; urgency=medium\n\n' "$version"
    printf '  * See /usr/share/doc/audit-relay/changelog.gz.\n\n'
    printf ' -- audit-relay maintainers <maintainers@audit-relay.invalid>  %s\n' "$(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")"
} >"$out/debian-changelog"
cargo deb --quiet --no-build --no-strip --output "$out/"
ls -l "$out"
