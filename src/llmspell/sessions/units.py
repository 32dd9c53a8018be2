"""The units of work of the sessions room: check first, then append."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from blake3 import blake3

from llmspell.errors import AlreadyExists, Conflict, Corrupt, NotFound
from llmspell.journal.asking import Asks
from llmspell.journal.journal import Writer
from llmspell.journal.lineage import ALWAYS, Level, Lineage
from llmspell.journal.reading import COLUMNS, check_row
from llmspell.model.entry import subject_digest
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.session import check_step
from llmspell.schema import queries
from llmspell.sessions.erasing import Erase, begin
from llmspell.sessions.inherited import Held, entry_then, held_at, held_by, kept_keys, levels_of, live_values
from llmspell.sessions.kinds import (
    SessionCheckpointed,
    SessionCreated,
    SessionDeleted,
    SessionMoved,
    SessionRestored,
    SessionSaved,
    SessionUpdated,
)
from llmspell.sessions.projection import CHECKPOINTED, CREATED, DELETED, MOVED, RESTORED, SAVED, UPDATED, columns_of

_SQL = queries("llmspell.sessions")
SetState = Callable[[Writer, str, str, Held], Awaitable[Any]]
"""Sets a key of a scope inside a unit to what it held: (writer, scope name, key, what an entry of it says)."""
SetInitial = Callable[[Writer], Awaitable[Any]]
"""Sets the state that a session begins with, inside the unit that creates it."""
DeleteState = Callable[[Writer, str, str], Awaitable[Any]]
Remove = Callable[[Writer, bytes], Awaitable[Any]]
"""Removes what belongs to a session inside a unit."""


def scope_of(session: bytes) -> str:
    """Name of a session's own scope."""
    return f"session:{id_text(session)}"


async def create(writer: Writer, new: SessionCreated, set_initial: SetInitial | None) -> tuple[int, int, int]:
    """The session's first entry, and its initial state. Returns the entry's seq and time, and how many there were."""
    if new.parent is not None:
        await require(writer, id_bytes(new.parent), "the parent session")
    seq = await writer.append(CREATED, new, await writer.new_scope(f"session:{new.id}"), "session")
    at = writer.at
    if set_initial is not None:
        await set_initial(writer)
    return seq, at, len(writer.appended)


async def require(writer: Writer, session: bytes, what: str = "session") -> tuple[Any, ...]:
    """The open row of a session. Raises NotFound (``session-not-found``)."""
    row = await writer.one(_SQL["open_row"], (session,))
    if row is None:
        raise missing(session, what)
    return row


def missing(session: bytes, what: str = "session") -> NotFound:
    """The error for a session that is not there."""
    return NotFound(
        f"{what} {id_text(session)} does not exist", code="session-not-found", hint="`llmspell session list` shows all"
    )


async def update(writer: Writer, session: bytes, changed: dict[str, Any]) -> int | None:
    """New values of descriptive fields. None, and nothing is written, when it has all of them."""
    row = await require(writer, session)
    there = {"name": row[0], "description": row[1], "tags": row[4], "metadata": row[5]}
    if columns_of(changed).items() <= there.items():
        return None
    payload = SessionUpdated(id_text(session), changed)
    return await writer.append(UPDATED, payload, await writer.scope(scope_of(session)), "session")


async def move(writer: Writer, session: bytes, to: str, step: str, reason: str | None) -> int:
    """A legal step to another status."""
    row = await require(writer, session)
    was = row[2]
    check_step(id_text(session), was, to)
    payload = SessionMoved(id_text(session), was, to, reason)
    return await writer.append(MOVED[step], payload, await writer.scope(scope_of(session)), "session")


async def unarchive(writer: Writer, session: bytes) -> int:
    """Back to the status it was archived from, which its newest ``session.archived`` entry names."""
    row = await require(writer, session)
    if row[2] != "archived":
        raise Conflict(
            f"session {id_text(session)} is {row[2]}, not archived",
            code="illegal-transition",
            **{"from": row[2], "to": "unarchived"},
        )
    scope = await writer.scope(scope_of(session))
    stored = await writer.one(
        f"SELECT {COLUMNS} FROM entry WHERE subject = ? AND kind = 'session.archived' ORDER BY seq DESC LIMIT 1",
        (subject_digest(scope[1], "session"),),
    )
    if stored is None:
        raise Corrupt(f"session {id_text(session)} is archived, but no entry says from what")
    was = check_row(stored).data["was"]
    return await writer.append(MOVED["unarchived"], SessionMoved(id_text(session), "archived", was), scope, "session")


async def save(writer: Writer, session: bytes) -> int:
    """The entry of a save."""
    await require(writer, session)
    payload = SessionSaved(id_text(session), await state_hash(writer, session))
    return await writer.append(SAVED, payload, await writer.scope(scope_of(session)), "session")


async def checkpoint(writer: Writer, session: bytes, label: str) -> int:
    """A labelled point; a label is used once, in a fork also where it goes back to."""
    await require(writer, session)
    scope = await writer.scope(scope_of(session))
    if await checkpoint_seq(writer, session, label, writer.lineage(scope_of(session))) is not None:
        raise AlreadyExists(f"session {id_text(session)} already has a checkpoint {label!r}", code="checkpoint-exists")
    payload = SessionCheckpointed(id_text(session), label, await state_hash(writer, session))
    return await writer.append(CHECKPOINTED, payload, scope, f"checkpoint/{label}")


async def checkpoint_seq(asks: Asks, session: bytes, label: str, lineage: Lineage | None) -> int | None:
    """The entry of a label of a session, or of one that it goes back to; None when there is none."""
    for level in lineage or (Level(session, 0, b"", ALWAYS),):
        row = await asks.one(_SQL["checkpoint"], (level.session, label, level.bound))
        if row is not None:
            return int(row[0])
    return None


async def restore(
    writer: Writer, session: bytes, seq: int, label: str | None, set_state: SetState, delete_state: DeleteState
) -> int:
    """Set the session's state back to what it was at ``seq``. Returns how many keys changed."""
    await require(writer, session)
    scope_name = scope_of(session)
    levels = await levels_of(writer, scope_name)
    changed = 0
    for key, now_seq, deleted, _, _ in await kept_keys(writer, levels):
        then = await entry_then(writer, levels, key, seq)
        if then is not None and then.seq == now_seq:
            continue
        held = None if then is None else held_by(then)
        if held is not None and (held.expires_at is None or held.expires_at > writer.origin.clock):
            if not deleted and await held_at(writer, now_seq) == held:
                continue
            await set_state(writer, scope_name, key, held)
            changed += 1
        elif not deleted:
            changed += bool(await delete_state(writer, scope_name, key))
    payload = SessionRestored(id_text(session), seq, label, changed, await state_hash(writer, session))
    await writer.append(RESTORED, payload, await writer.scope(scope_name), "session")
    return changed


async def delete(
    writer: Writer, session: bytes, removers: tuple[Remove, ...], *, why: str | None = None, archive: str | None = None,
    erase: Erase | None = None,
) -> int:  # fmt: skip
    """Remove what belongs to the session, then the session. With ``erase`` its artifacts go for good: as many as one
    unit does, and the rest is marked.
    """
    await require(writer, session)
    for remove in removers:
        await remove(writer, session)
    payload = SessionDeleted(id_text(session), why, archive, hard=erase is not None)
    seq = await writer.append(DELETED, payload, await writer.scope(scope_of(session)), "session")
    if erase is not None:
        await begin(writer, session, seq, erase)
    return seq


async def state_hash(writer: Writer, session: bytes) -> str:
    """BLAKE3 over the session's keys and values in key order: equal hashes mean equal state."""
    digest = blake3()
    scope_name = scope_of(session)
    await writer.existing_scope(scope_name)
    for key, raw in await live_values(writer, scope_name, writer.lineage(scope_name)):
        name = key.encode()
        digest.update(len(name).to_bytes(4, "big") + name + len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()
