"""The state of a session as its own steps need it: to hash it, and to set it back. A fork's reaches up its lineage."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from llmspell.errors import Corrupt, NotFound
from llmspell.journal.lineage import ALWAYS, Level, Lineage
from llmspell.journal.reading import COLUMNS, check_row
from llmspell.model.entry import subject_digest
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer
    from llmspell.model.entry import Entry

_SQL = queries("llmspell.sessions")
_THEN = f"SELECT {COLUMNS} FROM entry WHERE subject = ? AND seq <= ? ORDER BY seq DESC LIMIT 1"
Redacted = list[dict[str, str]] | msgspec.UnsetType


class Held(msgspec.Struct):
    """What a ``state.set`` entry says of its value."""

    value: msgspec.Raw
    scope: str
    expires_at: int | None = None
    state_class: str = "standard"
    redacted: Redacted = msgspec.UNSET
    sealed_for: str | msgspec.UnsetType = msgspec.UNSET

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Held) and bytes(self.value) == bytes(other.value) and self.expires_at == other.expires_at
        )

    __hash__ = None  # type: ignore[assignment]

    def sealed_in(self, scope: str) -> str | msgspec.UnsetType:
        """The scope to name when the value is set, as it is, in ``scope``."""
        if self.state_class != "sensitive":
            return msgspec.UNSET
        origin = self.scope if self.sealed_for is msgspec.UNSET else self.sealed_for
        return msgspec.UNSET if origin == scope else origin


class Kept(NamedTuple):
    """A key with the seq of its entry; ``value`` is JSON text, None where it stands in the entry."""

    key: str
    seq: int
    deleted: bool
    expires_at: int | None
    value: str | None


async def levels_of(writer: Writer, scope_name: str) -> Sequence[Level]:
    """The lineage of a session's scope; the scope alone when it is no fork's."""
    number, salt = await writer.scope(scope_name)
    return writer.lineage(scope_name) or (Level(b"", number, salt, ALWAYS),)


async def kept_keys(writer: Writer, levels: Sequence[Level]) -> list[Kept]:
    """Every key that has a value, or had one, in order."""
    args = [number for place, level in enumerate(levels) for number in (place, level.scope)]
    rows = await writer.all(_keys_sql(len(levels)), args)
    found = []
    for key, group in groupby(rows, key=itemgetter(0)):
        for _, place, seq, deleted, expires_at, value in group:
            if seq <= levels[place].bound:
                found.append(Kept(key, seq, bool(deleted), expires_at, value))
                break
            then = await entry_at_level(writer, levels[place], key, ALWAYS)
            if then is not None:
                held = held_by(then)
                found.append(Kept(key, then.seq, held is None, None if held is None else held.expires_at, None))
                break
    return found


async def entry_then(writer: Writer, levels: Sequence[Level], key: str, seq: int) -> Entry | None:
    """The newest entry about a key up to ``seq``, in the session or in one that it goes back to."""
    for level in levels:
        entry = await entry_at_level(writer, level, key, seq)
        if entry is not None:
            return entry
    return None


async def entry_at_level(writer: Writer, level: Level, key: str, seq: int) -> Entry | None:
    """The same in one session of the lineage."""
    stored = await writer.one(_THEN, (subject_digest(level.salt, f"state/{key}"), min(seq, level.bound)))
    return None if stored is None else check_row(stored)


def held_by(entry: Entry) -> Held | None:
    """What an entry about a key set; None when it took the key away."""
    if entry.kind != "state.set":
        return None
    if entry.payload is None:
        raise NotFound(f"what entry {entry.seq} set was erased", code="erased", seq=entry.seq)
    return msgspec.json.decode(entry.payload, type=Held)


async def held_at(writer: Writer, seq: int) -> Held | None:
    """What the entry ``seq`` set."""
    stored = await writer.one(f"SELECT {COLUMNS} FROM entry WHERE seq = ?", (seq,))
    entry = check_row(stored) if stored is not None else None
    if entry is None or entry.payload is None:
        return None
    return msgspec.json.decode(entry.payload, type=Held)


async def live_values(writer: Writer, scope_name: str, lineage: Lineage | None) -> list[tuple[str, bytes]]:
    """Keys that have a value now, in order, with it as it is stored. Raises Corrupt."""
    now = writer.origin.clock
    if lineage is None:
        rows = await writer.all(_SQL["live_state"], (scope_name, now))
    else:
        kept = await kept_keys(writer, lineage)
        rows = [
            (one.key, one.value, one.seq)
            for one in kept
            if not one.deleted and (one.expires_at is None or one.expires_at > now)
        ]
    found = []
    for key, value, seq in rows:
        if value is not None:
            found.append((key, value.encode()))
            continue
        held = await held_at(writer, seq)
        if held is None:
            raise Corrupt(f"state key {key!r} points to entry {seq}, which has no value", key=key, seq=seq)
        found.append((key, bytes(held.value)))
    return found


@cache
def _keys_sql(levels: int) -> str:
    scopes = ", ".join("(?, ?)" for _ in range(levels))
    return (
        f"WITH level (place, scope) AS (VALUES {scopes})"
        " SELECT s.key, v.place, s.seq, s.deleted, s.expires_at, s.value FROM level v"
        " CROSS JOIN state s ON s.scope = v.scope ORDER BY s.key, v.place"
    )
