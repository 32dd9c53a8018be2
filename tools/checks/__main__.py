"""Runs every check: ``python -m tools.checks [ROOT]`` prints the findings and exits 1 when there is one."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.checks import (
    apply_door,
    dependencies,
    docstrings,
    drivers,
    front_door,
    injected,
    raw_files,
    size,
    skips,
    words,
)
from tools.checks.tree import Finding, Tree

CHECKS = (apply_door, dependencies, docstrings, drivers, front_door, injected, raw_files, size, skips, words)


def findings(root: Path) -> list[Finding]:
    """What all checks find below a root, without repeats, in order of file and line."""
    tree = Tree(root)
    return sorted({finding for module in CHECKS for finding in module.check(tree)})


def main(arguments: list[str]) -> int:
    """Exit status 0 when nothing was found, 1 otherwise."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parents[2]
    found = findings(root)
    for finding in found:
        print(finding)
    print(f"checks: {len(found)} finding(s) of {len(CHECKS)} rules' modules")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
