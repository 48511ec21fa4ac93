"""Compares the lists of dependencies: the one in the program, the SBOM's, and cargo's own.

Arguments: the section .dep-v0 of the program, the SBOM, lines "name version" of cargo tree, and Cargo.lock.
"""

import json
import sys
import tomllib
import zlib

section, sbom, tree, lock = sys.argv[1:]

with open(section, "rb") as file:
    embedded = json.loads(zlib.decompress(file.read()))
inside = {
    (package["name"], package["version"])
    for package in embedded["packages"]
    if package.get("kind", "runtime") == "runtime"
}
with open(sbom, encoding="utf-8") as file:
    components = json.load(file)["components"]
listed = {(component["name"], component["version"]) for component in components}
with open(tree, encoding="utf-8") as file:
    needed = {tuple(line.split()) for line in file}
with open(lock, "rb") as file:
    locked = {(package["name"], package["version"]) for package in tomllib.load(file)["package"]}

# The program itself is what the SBOM is about, not one of its components.
itself = {package for package in inside if package[0] == "audit-relay"}
problems = [
    f"{what}: {sorted(packages)}"
    for what, packages in [
        ("in the program, and not in Cargo.lock", inside - locked),
        ("needed by cargo, and not in the program", needed - inside),
        ("in the program, and not in the SBOM", inside - listed - itself),
    ]
    if packages
]
if len(inside) < 100:
    problems.append(f"only {len(inside)} dependencies in the program")
print(f"{len(inside)} dependencies in the program, {len(listed)} in the SBOM")
sys.exit("\n".join(problems) or 0)
