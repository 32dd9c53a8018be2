"""Sessions: named stretches of work with a lifecycle, their own state and artifacts, and one correlation.

Every step is an entry; the table is temporal, so that lists stay right while sessions change and a later view can ask
for the past. Before-hooks of a step may change its fields or refuse it; after-hooks observe.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.errors import Conflict, InvalidInput, NotFound
from llmspell.hooks.moment import run_point
from llmspell.journal.acting import InSession, enter
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.keys import check_key
from llmspell.model.labels import check_label, check_metadata, check_tags, check_text
from llmspell.model.page import Page, check_limit
from llmspell.model.session import check_status
from llmspell.model.values import encode_value
from llmspell.schema import queries
from llmspell.sessions import units
from llmspell.sessions.info import Checkpoint, SessionInfo
from llmspell.sessions.kinds import SessionCreated
from llmspell.sessions.listing import SessionFilter, list_page
from llmspell.sessions.session import AsyncSession

if TYPE_CHECKING:
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.model.context import Context

_SQL = queries("llmspell.sessions")
_STEPS = {
    "suspend": ("suspended", "suspended"),
    "resume": ("active", "resumed"),
    "complete": ("completed", "completed"),
    "fail": ("failed", "failed"),
    "archive": ("archived", "archived"),
}


class Neighbours:
    """What the sessions room needs of other rooms, handed over by the wiring."""

    def __init__(
        self,
        set_state: units.SetState,
        delete_state: units.DeleteState,
        removers: tuple[units.Remove, ...],
        bind: Callable[[AsyncSession], None],
        sync_content: Callable[[], Awaitable[None]],
    ) -> None:
        self.set_state = set_state
        self.delete_state = delete_state
        self.removers = removers
        self.bind = bind
        self.sync_content = sync_content


class AsyncSessions:
    """All sessions of a store: ``store.sessions``."""

    def __init__(self, journal: Journal, hooks: Hooks, acting: Acting, neighbours: Neighbours) -> None:
        self._journal = journal
        self._hooks = hooks
        self._acting = acting
        self._neighbours = neighbours

    async def create(
        self,
        name: str,
        *,
        description: str = "",
        tags: Iterable[str] = (),
        created_by: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        parent: str | None = None,
        config: Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
    ) -> AsyncSession:
        """Begin a session; it is active. Everything given is stored and comes back in ``.info``.

        ``parent`` is a session's id; ``config`` is the caller's own settings, kept as they are; ``state`` is set in the
        session's scope in the same transaction. Writes ``session.created`` and a ``state.set`` for each key. Raises
        InvalidInput, NotFound (the parent), Vetoed.
        """
        fields: dict[str, Any] = {
            "name": check_label(name, "a session's name"),
            "description": check_text(description, "a description"),
            "tags": check_tags(tags),
            "metadata": check_metadata(dict(metadata or {})),
        }
        settings = check_metadata(dict(config or {}))
        author = None if created_by is None else check_label(created_by, "created_by")
        above = None if parent is None else id_text(id_bytes(parent, "parent"))
        raws = {check_key(key): msgspec.Raw(encode_value(value)) for key, value in (state or {}).items()}
        outer = self._acting.context()
        ids = self._journal.ids
        session, correlation = ids.new(), ids.new()
        given = {"config": settings, "created_by": author, "parent": above}
        fields = await self._before(outer, "create", session, fields, given)
        new = SessionCreated(
            id_text(session), fields["name"], fields["description"], fields["tags"], fields["metadata"], settings, author,
            above, id_text(correlation),
        )  # fmt: skip
        inside = enter(outer, InSession(session, correlation, outer.cause), anew=True)
        seq = await self._journal.write(
            lambda writer: units.create(writer, new, raws, self._neighbours.set_state), context=inside
        )
        handle = await self._handle(session, correlation, seq)
        await self._after(handle, "create")
        return handle

    async def open(self, session_id: str) -> AsyncSession:
        """The handle of an existing session, whatever its status, by id or by its unique name. Raises NotFound."""
        session = await self._resolve(session_id)
        info = await self._info(session)
        first = await self._journal.database.one(_SQL["first_seq"], (session,))
        handle = AsyncSession(self, info, InSession(session, id_bytes(info.correlation_id), first[0] if first else 0))
        await self._point(handle.context(), "before_session_open", "open", info)
        self._neighbours.bind(handle)
        await self._point(handle.context(), "after_session_open", "open", info)
        return handle

    async def get(self, session_id: str) -> SessionInfo:
        """A session as it is now, by id or by its unique name. Raises NotFound (``session-not-found``)."""
        return await self._info(await self._resolve(session_id))

    async def list(
        self,
        *,
        status: str | None = None,
        tags: Iterable[str] = (),
        created_by: str | None = None,
        parent: str | None = None,
        name: str | None = None,
        order_by: str = "-updated_at",
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[SessionInfo]:
        """A page of sessions; all conditions given hold together (``tags``: has each of them; ``name``: exactly).

        ``order_by`` is ``updated_at`` or ``created_at``, with ``-`` newest first. A cursor goes on where its page ended,
        among the sessions as they were when the first page was read: nothing is missed or repeated while they change.
        """
        wanted = SessionFilter(
            status=None if status is None else check_status(status),
            tags=tuple(check_tags(tags)),
            created_by=created_by,
            parent=None if parent is None else id_bytes(parent, "parent"),
            name=name,
        )
        check_limit(limit)
        return await self._journal.database.read(lambda view: list_page(view, wanted, order_by, limit, cursor))

    async def delete(self, session_id: str) -> None:
        """Delete a session with its state and its artifacts. The journal keeps what happened. Raises NotFound, Vetoed."""
        session = await self._resolve(session_id)
        info = await self._info(session)
        context = enter(self._acting.context(), InSession(session, id_bytes(info.correlation_id), 0))
        await self._point(context, "before_session_delete", "delete", info)
        await self._journal.write(
            lambda writer: units.delete(writer, session, self._neighbours.removers), context=context
        )
        await self._point(context, "after_session_delete", "delete", info)

    # -- what handles ask ----------------------------------------------------------------------------------------------

    async def step(self, handle: AsyncSession, verb: str, reason: str | None = None) -> SessionInfo:
        """A step of the lifecycle, with its hooks; ``verb`` as in ``_STEPS``."""
        to, kind = _STEPS[verb]
        context = handle.context()
        outcome = await self._point(context, f"before_session_{verb}", verb, handle.info, reason)
        if outcome is not None and verb == "fail":
            reason = outcome["reason"]
        await self._journal.write(lambda writer: units.move(writer, handle.key, to, kind, reason), context=context)
        info = await self._info(handle.key)
        await self._point(context, f"after_session_{verb}", verb, info, reason)
        return info

    async def unarchive(self, handle: AsyncSession) -> SessionInfo:
        """Back to the status before it was archived."""
        await self._journal.write(lambda writer: units.unarchive(writer, handle.key), context=handle.context())
        return await self._info(handle.key)

    async def update(self, handle: AsyncSession, changed: dict[str, Any]) -> SessionInfo:
        """New values of descriptive fields."""
        if not changed:
            raise InvalidInput("nothing to update: give name, description, tags or metadata", code="nothing-to-do")
        checked = _check_fields(changed)
        context = handle.context()
        fields = await self._before(context, "update", handle.key, checked, {})
        await self._journal.write(lambda writer: units.update(writer, handle.key, fields), context=context)
        info = await self._info(handle.key)
        await self._point(context, "after_session_update", "update", info)
        return info

    async def save(self, handle: AsyncSession) -> SessionInfo:
        """Write ``session.saved`` and make everything acknowledged durable on disk."""
        context = handle.context()
        await self._point(context, "before_session_save", "save", handle.info)
        await self._neighbours.sync_content()
        await self._journal.write(lambda writer: units.save(writer, handle.key), context=context, strong=True)
        info = await self._info(handle.key)
        await self._point(context, "after_session_save", "save", info)
        return info

    async def checkpoint(self, handle: AsyncSession, label: str) -> int:
        """Write a labelled checkpoint; gives its seq."""
        check_label(label, "a checkpoint's label")
        context = handle.context()
        await self._point(context, "before_session_checkpoint", "checkpoint", handle.info, label)
        seq = await self._journal.write(lambda writer: units.checkpoint(writer, handle.key, label), context=context)
        await self._point(context, "after_session_checkpoint", "checkpoint", handle.info, label)
        return seq

    async def checkpoints(self, handle: AsyncSession) -> list[Checkpoint]:
        """The session's checkpoints, oldest first."""
        rows = await self._journal.database.read(lambda view: view.all(_SQL["checkpoints"], (handle.key,)))
        return [Checkpoint(*row) for row in rows]

    async def restore(self, handle: AsyncSession, to: str | int) -> int:
        """Set the session's state back to a checkpoint's label or a seq; gives the number of keys changed."""
        seq, label = await self._restore_point(handle, to)
        context = handle.context()
        await self._point(context, "before_session_restore", "restore", handle.info, label)
        near = self._neighbours
        changed = await self._journal.write(
            lambda writer: units.restore(writer, handle.key, seq, label, near.set_state, near.delete_state), context=context
        )
        await self._point(context, "after_session_restore", "restore", handle.info, label)
        return changed

    async def refresh(self, handle: AsyncSession) -> SessionInfo:
        """The session as it is now."""
        return await self._info(handle.key)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _restore_point(self, handle: AsyncSession, to: str | int) -> tuple[int, str | None]:
        if isinstance(to, str):
            row = await self._journal.database.one(_SQL["checkpoint"], (handle.key, to))
            if row is None:
                raise NotFound(f"session {handle.id} has no checkpoint {to!r}", code="checkpoint-not-found")
            return row[0], to
        first = handle.opened
        last = await self._journal.database.one("SELECT max(seq) FROM entry")
        if type(to) is not int or not first <= to <= (last[0] if last else 0):
            raise InvalidInput(f"a session is restored to a checkpoint's label or a seq from {first} on, not {to!r}", code="invalid-seq")
        return to, None

    async def _resolve(self, session_id: str) -> bytes:
        if type(session_id) is not str or not session_id:
            raise InvalidInput(f"a session is named by its id or name, not {session_id!r}", code="invalid-id")
        try:
            return id_bytes(session_id)
        except InvalidInput:
            rows = await self._journal.database.read(lambda view: view.all(_SQL["by_name"], (session_id,)))
        if not rows:
            raise NotFound(f"there is no session {session_id!r}", code="session-not-found")
        if len(rows) > 1:
            raise Conflict(
                f"several sessions are named {session_id!r}", code="ambiguous-name", hint="name the session by its id"
            )
        return rows[0][0]  # type: ignore[no-any-return]

    async def _info(self, session: bytes) -> SessionInfo:
        row = await self._journal.database.read(
            lambda view: view.one(f"{_SQL['info']} WHERE s.id = ? AND s.until_seq IS NULL", (session,))
        )
        if row is None:
            raise units.missing(session)
        return SessionInfo(row)

    async def _handle(self, session: bytes, correlation: bytes, seq: int) -> AsyncSession:
        handle = AsyncSession(self, await self._info(session), InSession(session, correlation, seq))
        self._neighbours.bind(handle)
        return handle

    async def _before(
        self, context: Context, verb: str, session: bytes, fields: dict[str, Any], given: dict[str, Any]
    ) -> dict[str, Any]:
        data = {"id": id_text(session), "reason": None, "info": {**fields, **given}, **fields}
        outcome = await run_point(self._hooks, context, f"before_session_{verb}", "session", verb, data)
        if outcome is None or not outcome.changed:
            return fields
        return fields | _check_fields({name: outcome.data[name] for name in outcome.changed})

    async def _after(self, handle: AsyncSession, verb: str) -> None:
        await self._point(handle.context(), f"after_session_{verb}", verb, handle.info)

    async def _point(
        self, context: Context, point: str, verb: str, info: SessionInfo, reason: str | None = None
    ) -> dict[str, Any] | None:
        if point not in self._hooks.armed:
            return None
        data = {"id": info.id, "info": info.to_dict(), "reason": reason}
        outcome = await run_point(self._hooks, context, point, "session", verb, data)
        return None if outcome is None else outcome.data


def _check_fields(changed: Mapping[str, Any]) -> dict[str, Any]:
    checks: dict[str, Callable[[Any], Any]] = {
        "name": lambda value: check_label(value, "a session's name"),
        "description": lambda value: check_text(value, "a description"),
        "tags": check_tags,
        "metadata": check_metadata,
    }
    return {name: checks[name](value) for name, value in changed.items()}


