"""Filling the lagging index of artifacts: what they were as of a seq, its watermark.

``step`` is a unit of the maintenance task. It goes on from what the artifacts were as of the old watermark to what they
were as of the new one, so what the index holds depends on the projection and the watermark alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from llmspell.artifacts.finding.terms import Indexed, indexed
from llmspell.journal.maintenance import Task
from llmspell.ports.database import Reading, Row, Transaction
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.finding")
STEP_CHANGES = 250
"""Changes of artifacts that one step takes in; 20 µs for each new one, so that a writer never waits long for it."""
TAIL_CHANGES_MAX = 250
"""A longer tail than this is worth indexing: queries look at each of its artifacts."""


def indexing() -> Task:
    """The task that keeps the index from lagging by more than ``TAIL_CHANGES_MAX`` changes."""

    def due(view: Reading) -> bool:
        seq = watermark_of(view)
        rows = view.all(_SQL["lag"], (seq, TAIL_CHANGES_MAX + 1, seq, TAIL_CHANGES_MAX + 1))
        return bool(sum(count for (count,) in rows) > TAIL_CHANGES_MAX)

    return Task("find", due, lambda: step, STEP_CHANGES)


def watermark_of(view: Reading) -> int:
    """The seq up to which the index is complete."""
    row = view.one(_SQL["watermark"])
    return row[0] if row else 0


async def step(tx: Transaction, changes_max: int = STEP_CHANGES) -> int:
    """Take in the next changes; returns how many. Less than ``changes_max`` means that nothing is left."""
    row = await tx.one(_SQL["watermark"])
    old = row[0] if row else 0
    bounds = await tx.all(_SQL["next"], (old, changes_max, old, changes_max))
    full = [last for last, count in bounds if count >= changes_max]
    new = min(full) if full else tx.head.seq
    if new == old:
        return 0
    ids = await tx.all(_SQL["changed"], (old, new, old, new))
    for (artifact,) in ids:
        await _carry(tx, artifact, old, new)
    await tx.run(_SQL["set_watermark"], (new,))
    return changes_max if full else min(len(ids), changes_max - 1)


async def _carry(tx: Transaction, artifact: bytes, old: int, new: int) -> None:
    first = await tx.one(_SQL["number"], (artifact,))
    if first is None:
        return
    number = first[0]
    was = None if number > old else await _as_of(tx, artifact, old)
    now = await _as_of(tx, artifact, new)
    gone = was.terms - (now.terms if now else frozenset()) if was else ()
    for term in gone:
        await tx.run(_SQL["delete_term"], (term, number))
    if was is not None and (now is None or now.name != was.name):
        await tx.run(_SQL["delete_named"], (was.name, number))
    if now is None:
        if was is not None:
            for sql in ("delete_found", "delete_words", "delete_grams"):
                await tx.run(_SQL[sql], (number,))
        return
    for term in now.terms - (was.terms if was else frozenset()):
        await tx.run(_SQL["insert_term"], (term, number))
    await tx.run(_SQL["put_found"], (number, artifact, now.since_seq, now.size))
    if was is None or now.name != was.name:
        await tx.run(_SQL["insert_named"], (now.name, number))
    if was is None or was.words != now.words:
        await tx.run(_SQL["put_words"], (number, now.words))
    if was is None or was.folded != now.folded:
        await tx.run(_SQL["put_grams"], (number, now.folded))


async def _as_of(tx: Forgetting, artifact: bytes, seq: int) -> Indexed | None:
    row: tuple[Any, ...] | None = await tx.one(_SQL["as_of"], (artifact, seq, seq))
    return None if row is None else indexed(row)


async def forget(tx: Forgetting, session: bytes) -> None:
    """Take a session's artifacts out of the index, in the transaction that destroys their rows, and before it does.

    None of their words is left in the file: what FTS5 deletes stays in its segments until they are merged, so both are,
    which takes some seconds for 1,000,000 artifacts.
    """
    row = await tx.one(_SQL["watermark"])
    seq = row[0] if row else 0
    for (artifact,) in await tx.all(_SQL["ids_of_session"], (session,)):
        first = await tx.one(_SQL["number"], (artifact,))
        held = await _as_of(tx, artifact, seq)
        if first is None or held is None:
            continue
        for term in held.terms:
            await tx.run(_SQL["delete_term"], (term, first[0]))
        await tx.run(_SQL["delete_named"], (held.name, first[0]))
        for sql in ("delete_found", "delete_words", "delete_grams"):
            await tx.run(_SQL[sql], (first[0],))
    await tx.run(_SQL["merge_words"])
    await tx.run(_SQL["merge_grams"])


class Forgetting(Protocol):
    """What of a transaction, or of a unit's writer, it takes."""

    @property
    def one(self) -> Callable[..., Awaitable[Row | None]]:
        """The first row, or None."""
        ...

    @property
    def all(self) -> Callable[..., Awaitable[list[Row]]]:
        """All rows."""
        ...

    @property
    def run(self) -> Callable[..., Awaitable[None]]:
        """Change rows."""
        ...
