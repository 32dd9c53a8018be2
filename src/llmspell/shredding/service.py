"""The order of a shredding, which a kill at any point leaves to be finished by doing it again:

1.  one unit writes ``session.shredded``, takes the session out of the tables and notes in ``meta`` what is left to do
2.  the keyring destroys the session's data key
3.  chunks that no content names any more leave the content file; their bytes in packs are overwritten
4.  units of 500 entries each erase payloads, by ``payload.erased`` entries; what forks have that only the destroyed key
    opens is deleted there, and then erased
5.  both files are written anew and their WALs emptied, since SQLite leaves copies of what it moved about
6.  the note is removed
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from llmspell.access.units import end_of_session
from llmspell.artifacts.finding.index import forget
from llmspell.errors import Conflict, NotFound
from llmspell.journal.acting import InSession, enter
from llmspell.journal.asking import Asking, driven
from llmspell.journal.room import making_room
from llmspell.model.ids import id_text
from llmspell.sessions.shredded import Shredded
from llmspell.shredding.belonging import Step, next_step, of_bindings, ranges_of, still_there, written_elsewhere
from llmspell.shredding.files import remove_content, write_anew
from llmspell.shredding.forks import drop_in_forks, sealed_in_forks
from llmspell.shredding.kinds import PayloadErased, SessionShredded
from llmspell.shredding.naming import naming
from llmspell.shredding.plan import (
    PENDING,
    Counts,
    Pending,
    chunks_of,
    counts_of,
    demand_shreddable,
    has_rows,
    has_sealed,
    pending_of,
)
from llmspell.shredding.projection import ERASED, SHREDDED

if TYPE_CHECKING:
    from llmspell.adapters.sqlite.store import OpenStore
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.context import Context
    from llmspell.offload import Offload
    from llmspell.ports.content import Place

T = TypeVar("T")
_STEP_ENTRIES = 500
_KEEP_NOTE = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_CORRELATION = (
    "SELECT correlation FROM session WHERE id = ? UNION ALL"
    " SELECT correlation FROM entry WHERE session = ? AND +kind = 'session.shredded' LIMIT 1"
)


class Shredder:
    """Shreds the sessions of one store. ``keyring`` gives the store's keyring if it has one; ``rewrite`` writes a
    database file anew; ``forget`` drops what is in memory of a scope.
    """

    def __init__(
        self, journal: Journal, files: OpenStore, offload: Offload, keyring: Callable[[], Any | None],
        rewrite: Callable[[Path, float], None], forget: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._journal = journal
        self._files = files
        self._offload = offload
        self._keyring = keyring
        self._rewrite = rewrite
        self._forget = forget

    async def look(self, session: bytes, *, detach: bool) -> Shredded:
        """What would be destroyed; nothing is changed. Raises as ``shred``."""
        return await self._offload.run(self._files.engine.read, lambda view: _looked(view, session, detach))

    async def shred(self, session: bytes, context: Context, *, detach: bool) -> Shredded:
        """Destroy a session, or finish what was begun. Raises NotFound, Conflict, Busy, WrongKey, StorageFailed."""
        scope = f"session:{id_text(session)}"
        places = await self._offload.run(self._places, session)
        key = await self._offload.run(self._key_id, session, scope)
        row = await self._journal.database.one(_CORRELATION, (session, session))
        inside = replace(enter(context, InSession(session, row[0] if row else session, 0)), correlation=None, step=None)
        counts, shared, note = await self._write(
            lambda writer: _begin(writer, session, scope, places, key, detach), inside, strong=True
        )
        self._journal.scopes.forget(scope)
        self._forget(scope)
        await making_room(
            partial(self._offload.run, self._destroy_key, scope, note.keys), self._files.content.free_reserve
        )
        chunks = await self._offload.run(remove_content, self._files, note)
        payloads, kept = await self._erase(session, scope, note, inside)
        fork_keys, in_forks = await self._erase_in_forks(session, scope, context, inside)
        await self._offload.run(write_anew, self._files, self._rewrite, bool(note.chunks))
        await self._write(lambda writer: _finish(writer, session), inside, strong=True)
        return Shredded(
            id_text(session), payloads + in_forks, counts.state_keys, counts.artifact_versions, counts.runs,
            counts.contents, chunks, note.keys, shared, len(note.chunks) - chunks, kept, fork_keys,
        )  # fmt: skip

    async def _write(self, unit: Callable[[Writer], Awaitable[T]], context: Context, *, strong: bool = False) -> T:
        """Write a unit; on a full disk in the room that is set aside for deleting."""
        write = partial(self._journal.write, unit, context=context, strong=strong)
        return await making_room(write, self._files.content.free_reserve)

    async def _erase(self, session: bytes, scope: str, note: Pending, context: Context) -> tuple[int, dict[str, int]]:
        payloads, kept, after, more = 0, dict[str, int](), 0, True
        while more:
            step = await self._write(partial(_erase_written, session, scope, after), context)
            after, more, payloads = step.last, step.more, payloads + len(step.own)
            for kind, count in step.kept.items():
                kept[kind] = kept.get(kind, 0) + count
        for start in range(0, len(note.elsewhere), _STEP_ENTRIES):
            seqs = note.elsewhere[start : start + _STEP_ENTRIES]
            payloads += await self._write(partial(_erase_elsewhere, session, seqs), context)
        payloads += await self._write(partial(_erase_bindings, session, scope), context)
        stay = await self._offload.run(self._files.engine.read, lambda view: naming(view, session, scope))
        return payloads, _added(kept, stay)

    async def _erase_in_forks(self, session: bytes, scope: str, outside: Context, context: Context) -> tuple[int, int]:
        """How many keys of forks were deleted, and payloads erased. The keys go first: an erased value is none to
        inherit.
        """
        found = await self._offload.run(self._files.engine.read, lambda view: sealed_in_forks(view, session, scope))
        seqs, keys, payloads = frozenset(found.seqs), 0, 0
        for start in range(0, len(found.keys), _STEP_ENTRIES):
            some = found.keys[start : start + _STEP_ENTRIES]
            keys += await self._write(partial(drop_in_forks, keys=some, seqs=seqs), outside)
        for start in range(0, len(found.seqs), _STEP_ENTRIES):
            part = found.seqs[start : start + _STEP_ENTRIES]
            payloads += await self._write(partial(_erase_elsewhere, session, part), context)
        return keys, payloads

    # -- in a thread ---------------------------------------------------------------------------------------------------

    def _places(self, session: bytes) -> dict[int, Place | None]:
        """Every chunk of the session's contents, with its place if it is in a pack."""
        ids = self._files.engine.read(lambda view: driven(chunks_of(Asking(view), session)))
        found = {place.id: place for place in self._files.content.places(ids)}
        return {number: found.get(number) for number in ids}

    def _key_id(self, session: bytes, scope: str) -> str | None:
        keyring = self._keyring()
        if keyring is None:
            if self._files.path is not None:
                self._demand_none(self._files.engine.read(lambda view: driven(has_sealed(Asking(view), session))))
            return None
        key = keyring.find(scope)
        return None if key is None else key.id.hex()

    def _destroy_key(self, scope: str, keys: list[str]) -> None:
        keyring = self._keyring()
        if keyring is not None:
            keyring.shred(scope)
        elif self._files.path is not None:
            self._demand_none(bool(keys))

    def _demand_none(self, has_key: bool) -> None:
        """A key that is not found here is not destroyed, and opens every copy of what it sealed."""
        if has_key:
            raise NotFound(
                "the session has sealed values, and the keyring with its key is not here",
                code="keyring-missing",
                hint="bring it back; if it is lost for good, make another (llmspell key create) and shred again",
            )


# -- units ----------------------------------------------------------------------------------------------------------


async def _begin(
    writer: Writer, session: bytes, scope_name: str, places: dict[int, Place | None], key: str | None, detach: bool
) -> tuple[Counts, list[str], Pending]:
    begun = Pending()
    if not await demand_shreddable(writer, session, detach=detach):
        begun = await pending_of(writer, session)
        if not await has_rows(writer, session):
            return Counts(0, 0, 0, 0), [], begun
    counts, shared = await counts_of(writer, session)
    chunks = await chunks_of(writer, session)
    if not chunks <= places.keys():
        raise Conflict(f"session {id_text(session)} got artifacts meanwhile; shred it again", code="session-changed")
    scope = await writer.scope(scope_name)
    note = Pending(
        sorted(chunks), [place for number in sorted(chunks) if (place := places[number]) is not None],
        await written_elsewhere(writer, session, scope), [] if key is None else [key],
    ).joined(begun)  # fmt: skip
    await writer.run(_KEEP_NOTE, (f"{PENDING}{id_text(session)}", msgspec.json.encode(note).decode()))
    await end_of_session(writer, session)
    await forget(writer, session)
    await writer.append(SHREDDED, SessionShredded(id_text(session), scope_name, note.keys), scope, "session")
    return counts, shared, note


async def _erase_written(session: bytes, scope: str, after: int, writer: Writer) -> Step:
    step = await next_step(writer, session, scope, after)
    await _append_erased(writer, session, step.own)
    return step


async def _erase_elsewhere(session: bytes, seqs: list[int], writer: Writer) -> int:
    left = await still_there(writer, seqs)
    await _append_erased(writer, session, left)
    return len(left)


async def _erase_bindings(session: bytes, scope: str, writer: Writer) -> int:
    """In one unit: no binding is half of what the journal says."""
    seqs = await of_bindings(writer, scope)
    await _append_erased(writer, session, seqs, bindings=True)
    if seqs and writer.guard is not None:
        writer.guard.doubt()
    return len(seqs)


async def _append_erased(writer: Writer, session: bytes, seqs: list[int], *, bindings: bool = False) -> None:
    if seqs:
        scope = await writer.scope(f"session:{id_text(session)}")
        await writer.append(ERASED, PayloadErased(id_text(session), ranges_of(seqs), bindings), scope, "session")


async def _finish(writer: Writer, session: bytes) -> None:
    await writer.run("DELETE FROM meta WHERE name = ?", (f"{PENDING}{id_text(session)}",))


# -- looking --------------------------------------------------------------------------------------------------------


def _looked(view: Any, session: bytes, detach: bool) -> Shredded:
    asks = Asking(view)
    fresh = driven(demand_shreddable(asks, session, detach=detach))
    left = fresh or driven(has_rows(asks, session))
    counts, shared = driven(counts_of(asks, session)) if left else (Counts(0, 0, 0, 0), [])
    chunks = driven(chunks_of(asks, session))
    scope = f"session:{id_text(session)}"
    payloads, kept, after, more = _look_elsewhere(asks, session, scope), dict[str, int](), 0, True
    while more:
        step = driven(next_step(asks, session, scope, after))
        after, more, payloads = step.last, step.more, payloads + len(step.own)
        for kind, count in step.kept.items():
            kept[kind] = kept.get(kind, 0) + count
    payloads += len(driven(of_bindings(asks, scope)))
    forks = sealed_in_forks(view, session, scope)
    return Shredded(
        id_text(session), payloads + len(forks.seqs), counts.state_keys, counts.artifact_versions, counts.runs,
        counts.contents, len(chunks), [], shared, 0, _added(kept, naming(view, session, scope)), len(forks.keys),
        dry_run=True,
    )  # fmt: skip


def _added(kept: dict[str, int], more: dict[str, int]) -> dict[str, int]:
    return {kind: kept.get(kind, 0) + more.get(kind, 0) for kind in sorted({*kept, *more})}


def _look_elsewhere(asks: Asking, session: bytes, scope_name: str) -> int:
    """How many payloads outside of the session would go."""
    scope = driven(asks.one("SELECT id, salt FROM scope WHERE name = ?", (scope_name,)))
    seqs = set(driven(pending_of(asks, session)).elsewhere)
    if scope is not None:
        seqs.update(driven(written_elsewhere(asks, session, (scope[0], scope[1]))))
    return len(driven(still_there(asks, seqs)))
