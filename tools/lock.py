"""Writes requirements-dev.txt: every package a check needs, and all they need, each at one exact version.

``python tools/lock.py`` asks pip what it would install into an empty environment of this Python for the package itself,
its ``test`` extra and requirements-dev.in, and writes the answer down. Run it with the oldest Python we support: the
lock is then complete for it, and newer ones need no more. There are no hashes in it: pip reports them for one wheel of
one platform only. ``--check`` says whether the lock still satisfies its sources; it writes nothing and asks no index.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements-dev.txt"
SOURCE = ROOT / "requirements-dev.in"
HEADER = """\
# Exact versions of everything `make check` and the tests use. Written by `make lock` from pyproject.toml and
# requirements-dev.in; do not edit. Install with: pip install -r requirements-dev.txt
"""


def wanted() -> list[Requirement]:
    """The requirements the lock must satisfy: the package's, its test extra's, its build's and the workshop's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    own = [line.partition("#")[0].strip() for line in SOURCE.read_text(encoding="utf-8").splitlines()]
    lines = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["test"],
        *project["build-system"]["requires"],
        *filter(None, own),
    ]
    return [Requirement(line) for line in lines]


def resolve(requirements: list[Requirement]) -> list[str]:
    """What pip would install for these into an empty environment, as sorted ``name==version; marker`` lines."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    lines = [str(requirement) for requirement in requirements]
    report = subprocess.run([*command, *lines], cwd=ROOT, check=True, capture_output=True, text=True)
    installs: list[dict[str, Any]] = json.loads(report.stdout)["install"]
    # A marker of ours must stay: the package it excludes may not even be installable where it is excluded.
    markers = {canonicalize_name(one.name): f"; {one.marker}" for one in requirements if one.marker}
    pins = {canonicalize_name(item["metadata"]["name"]): str(item["metadata"]["version"]) for item in installs}
    return [f"{name}=={version}{markers.get(name, '')}" for name, version in sorted(pins.items())]


def unsatisfied(requirements: list[Requirement], lock: str) -> list[str]:
    """The requirements that no line of the lock satisfies. Asks no index, so it cannot see what these need in turn."""
    lines = [line for line in lock.splitlines() if line and not line.startswith("#")]
    pins = {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in map(Requirement, lines)}
    return [
        str(one)
        for one in requirements
        if canonicalize_name(one.name) not in pins
        or not one.specifier.contains(pins[canonicalize_name(one.name)], prereleases=True)
    ]


def main(arguments: list[str]) -> int:
    """Exit status 0 when the lock was written (or, with ``--check``, satisfies its sources), else 1."""
    if arguments == ["--check"]:
        missing = unsatisfied(wanted(), LOCK.read_text(encoding="utf-8"))
        if missing:
            print(f"requirements-dev.txt does not satisfy {', '.join(missing)}: run `make lock`")
        return 1 if missing else 0
    LOCK.write_text(HEADER + "\n".join(resolve(wanted())) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
