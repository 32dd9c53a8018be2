"""Prints one of the commands that README.md promises, word for word, so that nothing else has to repeat it.

``python tools/readme_command.py test`` prints the command in the fenced block that follows ``<!-- command: test -->``.
It exits 1 with a reason when the marker, the block or the command in it is not exactly one. Needs nothing but Python.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
MARKED = r"^<!-- command: {name} -->\n```(?:sh|bash|console|shell)?\n(.*?)^```$"


class NotOneCommand(Exception):
    """The README does not hold exactly one command of this name."""


def command(text: str, name: str) -> str:
    """The one command marked with this name in the text of a README; a leading ``$ `` is not part of it."""
    blocks = re.findall(MARKED.format(name=re.escape(name)), text, re.MULTILINE | re.DOTALL)
    if len(blocks) != 1:
        raise NotOneCommand(f"README.md has {len(blocks)} fenced blocks right after <!-- command: {name} -->, not one")
    lines = [line.removeprefix("$ ").strip() for line in blocks[0].splitlines() if line.strip()]
    if len(lines) != 1:
        raise NotOneCommand(f"the block after <!-- command: {name} --> in README.md has {len(lines)} commands, not one")
    return str(lines[0])


def main(arguments: list[str]) -> int:
    """Exit status 0 with the command on stdout, 1 with the reason on stderr, 2 for a wrong call."""
    if len(arguments) != 1:
        print("usage: readme_command.py NAME", file=sys.stderr)
        return 2
    try:
        print(command(README.read_text(encoding="utf-8"), arguments[0]))
    except NotOneCommand as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
