"""Sessions: named stretches of work with a lifecycle, their own state and artifacts, and one correlation.

Every step is an entry; the table is temporal, so that lists stay right while sessions change and a later view can ask
for the past. Before-hooks of a step may change its fields or refuse it; after-hooks observe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llmspell.errors import Conflict, InvalidInput, NotFound
from llmspell.journal.acting import InSession, enter
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.keys import check_key
from llmspell.model.labels import check_label, check_metadata, check_tags, check_text
from llmspell.model.page import Page, check_limit
from llmspell.model.session import check_status
from llmspell.model.values import encode_value
from llmspell.schema import queries
from llmspell.sessions import units
from llmspell.sessions.info import SessionInfo, first_row
from llmspell.sessions.kinds import SessionCreated
from llmspell.sessions.listing import SessionFilter, list_page
from llmspell.sessions.session import AsyncSession
from llmspell.sessions.steps import Neighbours, Steps

if TYPE_CHECKING:
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.sessions.shredded import Shredded

_SQL = queries("llmspell.sessions")


class AsyncSessions:
    """All sessions of a store: ``store.sessions``."""

    def __init__(self, journal: Journal, hooks: Hooks, acting: Acting, neighbours: Neighbours) -> None:
        self._journal = journal
        self._hooks = hooks
        self._acting = acting
        self._neighbours = neighbours
        self._steps = Steps(journal, hooks, neighbours)

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
            "metadata": check_metadata({} if metadata is None else metadata),
        }
        settings = check_metadata({} if config is None else config)
        author = None if created_by is None else check_label(created_by, "created_by")
        above = None if parent is None else id_text(id_bytes(parent, "parent"))
        values = _initial({} if state is None else state)
        outer = self._acting.context()
        ids = self._journal.ids
        session, correlation = ids.new(), ids.new()
        given = {"config": settings, "created_by": author, "parent": above}
        fields = await self._steps.before(outer, "create", session, fields, given)
        new = SessionCreated(
            id_text(session), fields["name"], fields["description"], fields["tags"], fields["metadata"], settings,
            author,
            above, id_text(correlation),
        )  # fmt: skip
        inside = enter(outer, InSession(session, correlation, outer.cause), anew=True)
        set_initial = told = None
        if values:
            set_initial, told = await self._neighbours.initial_state(inside, f"session:{new.id}", values)
        seq, at, entries = await self._journal.write(
            lambda writer: units.create(writer, new, set_initial), context=inside
        )
        info = SessionInfo(first_row(session, correlation, new, at, entries))
        handle = AsyncSession(self._steps, self._neighbours.rooms, info, InSession(session, correlation, seq))
        if told is not None:
            await told()
        if "after_session_create" in self._hooks.armed:
            await self._steps.point(handle.context(), "after_session_create", "create", handle.info)
        return handle

    async def open(self, session_id: str) -> AsyncSession:
        """The handle of an existing session, whatever its status, by id or by its unique name. Raises NotFound."""
        session = await self._resolve(session_id)
        info = await self._steps.info(session)
        first = await self._journal.database.one(_SQL["first_seq"], (session,))
        handle = AsyncSession(
            self._steps,
            self._neighbours.rooms,
            info,
            InSession(session, id_bytes(info.correlation_id), first[0] if first else 0),
        )
        await self._steps.point(handle.context(), "before_session_open", "open", info)
        await self._steps.point(handle.context(), "after_session_open", "open", info)
        return handle

    async def get(self, session_id: str) -> SessionInfo:
        """A session as it is now, by id or by its unique name. Raises NotFound (``session-not-found``)."""
        return await self._steps.info(await self._resolve(session_id))

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

        ``order_by`` is ``updated_at`` or ``created_at``, with ``-`` newest first. A cursor goes on where its page
        ended, among the sessions as they were when the first page was read: nothing is missed or repeated while they
        change.
        """
        wanted = SessionFilter(
            status=None if status is None else check_status(status),
            tags=tuple(check_tags(tags)),
            created_by=None if created_by is None else check_label(created_by, "created_by"),
            parent=None if parent is None else id_bytes(parent, "parent"),
            name=None if name is None else check_label(name, "a session's name"),
        )
        check_limit(limit)
        return await self._journal.database.read(lambda view: list_page(view, wanted, order_by, limit, cursor))

    async def delete(self, session_id: str) -> None:
        """Delete a session with its state and its artifacts. The journal keeps what happened. Raises NotFound,
        Vetoed.
        """
        session = await self._resolve(session_id)
        info = await self._steps.info(session)
        context = enter(self._acting.context(), InSession(session, id_bytes(info.correlation_id), 0))
        await self._steps.point(context, "before_session_delete", "delete", info)
        await self._journal.write(
            lambda writer: units.delete(writer, session, self._neighbours.removers), context=context
        )
        await self._steps.point(context, "after_session_delete", "delete", info)

    async def shred(self, session_id: str, *, detach: bool = False, dry_run: bool = False) -> Shredded:
        """Destroy a session for good: the payloads of its entries, its state, runs, artifacts and data key.

        The journal keeps that there was something, and when; what was written in the session about other things (global
        state, an agent's record) stays and is counted in ``kept``. ``dry_run`` only looks. Nothing else may depend on
        the session, unless ``detach``. Killed at any point, it is finished by shredding again, and so is one that
        raised Busy. Both files are written anew, so it takes as long as copying them; writers wait meanwhile. Runs the
        hooks of deleting. Raises NotFound (``session-not-found``), Conflict (``session-active``, ``session-needed``,
        ``session-changed``), Vetoed, Busy, StorageFailed, and for a store with a keyring what opening it raises.
        """
        session = await self._resolve(session_id)
        shredder = self._neighbours.shredder
        looked = await shredder.look(session, detach=detach)
        if dry_run:
            return looked
        context, info = self._acting.context(), None
        with suppress(NotFound):  # It was deleted, or this finishes what was begun.
            info = await self._steps.info(session)
            await self._steps.point(context, "before_session_delete", "delete", info, "shred")
        shredded = await shredder.shred(session, context, detach=detach)
        if info is not None:
            await self._steps.point(context, "after_session_delete", "delete", info, "shred")
        return shredded

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _resolve(self, session_id: str) -> bytes:
        if type(session_id) is not str or not session_id:
            raise InvalidInput(f"a session is named by its id or name, not {session_id!r}", code="invalid-id")
        try:
            return id_bytes(session_id)
        except InvalidInput:
            name = check_label(session_id, "a session's name")
            rows = await self._journal.database.read(lambda view: view.all(_SQL["by_name"], (name,)))
        if not rows:
            raise NotFound(f"there is no session {session_id!r}", code="session-not-found")
        if len(rows) > 1:
            raise Conflict(
                f"several sessions are named {session_id!r}", code="ambiguous-name", hint="name the session by its id"
            )
        return rows[0][0]  # type: ignore[no-any-return]


def _initial(state: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(state, Mapping):
        raise InvalidInput(f"state is a dict, not {type(state).__name__}", code="invalid-state")
    values = {check_key(key): value for key, value in state.items()}
    if len(values) != len(state):
        raise InvalidInput("two of the keys are spellings of one key", code="duplicate-key")
    for value in values.values():
        encode_value(value)  # Before anything is asked of hooks.
    return values
