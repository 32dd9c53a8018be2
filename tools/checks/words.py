"""Words that do not belong in a commit: paths of somebody's machine, and notes of work not done.

A note of work not done is an issue in the tracker or it is nothing. The patterns are written so that this file does
not contain what it forbids.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.checks.tree import Finding, Tree

RULE = "word"
FORBIDDEN = {
    "a note of work not done": re.compile(r"\b(?:T[O]DO|F[I]XME|X[X]X|H[A]CK)\b"),
    "a path of one machine": re.compile(
        r"(?<![\w./~<])/(?:w[o]rk|r[o]ot|h[o]me/(?!you\b|user\b)\w+|U[s]ers/(?!you\b)\w+|o[p]t/wheels|o[p]t/pypi)\b"
    ),
    "a merge that was not finished": re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE),
    "a debugger": re.compile(r"\bbreakpoint\(\)|\bpdb\.set_trace\("),
}


def check(tree: Tree) -> Iterator[Finding]:
    """Forbidden words in every text file that git would commit."""
    for source in tree.tracked():
        for what, pattern in FORBIDDEN.items():
            for found in pattern.finditer(source.text):
                line = source.text.count("\n", 0, found.start()) + 1
                yield source.finding(RULE, line, f"{found[0].strip()!r} is {what}")
