"""Walking along relations, a step of many artifacts at a time, never visiting one twice.

The same walk runs over a read and inside a unit, so it is written as a generator of statements: who drives it runs each
and sends the rows back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, NamedTuple

import msgspec

from llmspell.ports.database import Reading, Row
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.relations")
STEP_IDS = 500
Statements = Generator[tuple[str, Sequence[Any]], list[Row], "Walk"]


class Edge(NamedTuple):
    """``source`` is ``kind`` ``target``."""

    source: bytes
    kind: str
    target: bytes


class Walk(NamedTuple):
    """What was reached: distance of each artifact (0 the first), the edges, and whether there is more that was not
    looked at.
    """

    distances: dict[bytes, int]
    edges: list[Edge]
    truncated: bool


def walk(start: bytes, kinds: Sequence[str], depth: int | None, limit: int, *, up: bool) -> Statements:
    """Everything above (or below) an artifact, nearest first; at most ``limit`` artifacts besides it."""
    sql = _SQL["up" if up else "down"]
    distances: dict[bytes, int] = {start: 0}
    edges: list[Edge] = []
    border = [start]
    distance = 0
    wanted = packed(kinds)
    while border and (depth is None or distance < depth):
        distance += 1
        found: dict[bytes, None] = {}
        for at in range(0, len(border), STEP_IDS):
            ids = packed([one.hex() for one in border[at : at + STEP_IDS]])
            rows = yield sql, (ids, wanted, limit * 4 + 1)
            for row in rows:
                edge = Edge(*row)
                far = edge.target if up else edge.source
                if far not in distances and len(distances) > limit:
                    return Walk(distances, edges, truncated=True)
                edges.append(edge)
                if far not in distances:
                    distances[far] = distance
                    found[far] = None
            if len(rows) > limit * 4:
                return Walk(distances, edges, truncated=True)
        border = list(found)
    return Walk(distances, edges, truncated=False)


def walk_in(view: Reading, statements: Statements) -> Walk:
    """Run a walk over a read."""
    rows: list[Row] | None = None
    while True:
        try:
            sql, args = statements.send(rows)  # type: ignore[arg-type] # the first send takes None
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        rows = view.all(sql, args)


async def walk_within(run: Callable[[str, Sequence[Any]], Awaitable[list[Row]]], statements: Statements) -> Walk:
    """Run a walk inside a unit."""
    rows: list[Row] | None = None
    while True:
        try:
            sql, args = statements.send(rows)  # type: ignore[arg-type] # the first send takes None
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        rows = await run(sql, args)


def packed(values: Sequence[str]) -> str:
    """Texts as the JSON that ``json_each`` takes apart."""
    return msgspec.json.encode(list(values)).decode()
