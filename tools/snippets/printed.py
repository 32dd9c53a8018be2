"""Does what was printed match what the document shows? ``...`` stands for anything on its line, alone for any lines."""

from __future__ import annotations

import difflib
import re

WILDCARD = "..."


def mismatch(expected: str, printed: str) -> str | None:
    """None when they match; else a readable difference. White space at the ends of lines and text does not count."""
    wanted, got = _tidy(expected), _tidy(printed)
    pattern = "".join(
        r"(?:[^\n]*\n)*?" if line.strip() == WILDCARD else _line(line) for line in wanted.splitlines(keepends=True)
    )
    if re.fullmatch(pattern, got):
        return None
    shown, found = wanted.splitlines(keepends=True), got.splitlines(keepends=True)
    return "".join(difflib.unified_diff(shown, found, "shown", "printed"))


def _line(line: str) -> str:
    return r"[^\n]*".join(re.escape(part) for part in line.split(WILDCARD))


def _tidy(text: str) -> str:
    lines = [line.rstrip() for line in text.splitlines()]
    return "".join(f"{line}\n" for line in "\n".join(lines).strip("\n").splitlines())
