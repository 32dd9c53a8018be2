"""The fenced blocks of a Markdown document, with what the text around them says about running them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = frozenset({"python", "lua", "console"})
PRINTS = frozenset({"python", "lua"})
FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
NO_RUN = re.compile(r"^<!--\s*no-run\b:?(?P<reason>.*?)-->$")


class Malformed(Exception):
    """The document says something about its blocks that cannot be followed."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. ``line`` is the 1-based line of its first line of text; ``output`` what it must print."""

    language: str
    line: int
    text: str
    no_run: str | None = None
    output: str | None = None


def blocks(document: str) -> list[Block]:
    """The blocks to run, in order; the ones that are not to run carry the reason. Raises Malformed."""
    found: list[Block] = []
    for block, joined in _fenced(document):
        if block.language == "output":
            if not joined or not found or found[-1].language not in PRINTS or found[-1].output is not None:
                raise Malformed(f"line {block.line}: this output block follows no block that prints")
            found[-1] = replace(found[-1], output=block.text)
        elif block.language in RUN:
            found.append(block)
        elif block.no_run is not None:
            raise Malformed(
                f"line {block.line}: no-run before a {block.language or 'nameless'} block, which is never run"
            )
    return found


def _fenced(document: str) -> list[tuple[Block, bool]]:
    """Every fenced block, and whether only blank lines stand between it and the one before."""
    found: list[tuple[Block, bool]] = []
    lines = iter(enumerate(document.splitlines(), start=1))
    before, joined = "", False
    for number, line in lines:
        opening = FENCE.match(line)
        if opening is None:
            if line.strip():
                before, joined = line.strip(), False
            continue
        body = _body(lines, opening, number)
        info = opening["info"].split()
        no_run = _reason(before, number)
        found.append((Block(info[0] if info else "", number + 1, body, no_run), joined))
        before, joined = "", True
    return found


def _body(lines: Iterator[tuple[int, str]], opening: re.Match[str], number: int) -> str:
    text: list[str] = []
    for _, line in lines:
        closing = FENCE.match(line)
        if closing and not closing["info"].strip() and closing["fence"].startswith(opening["fence"]):
            return "".join(f"{one.removeprefix(opening['indent'])}\n" for one in text)
        text.append(line)
    raise Malformed(f"line {number}: this fence is never closed")


def _reason(before: str, number: int) -> str | None:
    marker = NO_RUN.match(before)
    if marker is None:
        return None
    reason = str(marker["reason"]).strip()
    if len(reason.split()) < 2:
        raise Malformed(f"line {number}: no-run needs a reason of at least two words")
    return reason
