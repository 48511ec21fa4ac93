"""Names the system calls that a unit's SystemCallFilter does not let through.

Arguments: the output of `systemd-analyze syscall-filter`, and the calls. Standard input: the values of the unit's filters.
"""

import sys

sets_file, *asked = sys.argv[1:]
sets, name = {}, None
with open(sets_file, encoding="utf-8") as file:
    for line in file:
        entry = line.strip()
        if line.startswith("@"):
            name = entry
            sets[name] = []
        elif line.startswith(" ") and name and not entry.startswith("#"):
            sets[name].append(entry)


def calls(entry):
    if not entry.startswith("@"):
        return {entry}
    return set().union(*(calls(part) for part in sets[entry]))


allowed = set()
for line in sys.stdin:
    removes = line.startswith("~")
    for entry in line.lstrip("~").split():
        allowed = allowed - calls(entry) if removes else allowed | calls(entry)
# systemd always lets these through, for the start of the program.
allowed |= calls("@default")
forbidden = set(asked) - allowed
if forbidden:
    sys.exit(f"not allowed: {sorted(forbidden)}")
