"""Builds the wheel and compares it with the tree: every file of the package is in it, and nothing else.

The files that are not Python (queries, Lua, the demo, the typing marker) are the ones a packaging rule forgets without
anybody noticing in an editable install. Builds without isolation, so it needs hatchling here and no network.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src/llmspell"
# At least one file of each of these must be there, or the comparison below compares too little.
EXPECTED = ("llmspell/py.typed", "llmspell/demo/research.lua", ".sql", ".lua", ".py")


def in_tree() -> set[str]:
    """Paths of the package's files, as they should stand in the wheel."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(PACKAGE.parent).as_posix() for path in files}


def in_wheel() -> set[str]:
    """Paths of the files in a wheel built now, without its metadata."""
    with tempfile.TemporaryDirectory() as folder:
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run([*build, "--wheel-dir", folder, str(ROOT)], check=True)
        (wheel,) = Path(folder).glob("llmspell-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return {name for name in archive.namelist() if ".dist-info/" not in name and not name.endswith("/")}


def problems(tree: set[str], wheel: set[str]) -> list[str]:
    """What is wrong with a wheel of these files, made from a tree of those."""
    return [
        *(f"missing in the wheel: {name}" for name in sorted(tree - wheel)),
        *(f"only in the wheel: {name}" for name in sorted(wheel - tree)),
        *(f"no file {end} in the wheel" for end in EXPECTED if not any(name.endswith(end) for name in wheel)),
    ]


def main() -> int:
    """Exit status 0 when wheel and tree hold the same files, 1 otherwise."""
    wheel = in_wheel()
    found = problems(in_tree(), wheel)
    for problem in found:
        print(problem)
    print(f"wheel: {len(wheel)} files")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
