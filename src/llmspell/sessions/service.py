"""Sessions: named stretches of work with a lifecycle, their own state and artifacts, and one correlation.

Every step is an entry; the table is temporal, so that lists stay right while sessions change and a later view can ask
for the past. Before-hooks of a step may change its fields or refuse it; after-hooks observe.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from llmspell.errors import Conflict, InvalidInput, NotFound
from llmspell.journal.acting import InSession, enter
from llmspell.model import limits
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.keys import check_key
from llmspell.model.labels import check_label, check_metadata, check_tags, check_text
from llmspell.model.page import Page, check_limit
from llmspell.model.telling import told
from llmspell.model.values import encode_value
from llmspell.schema import queries
from llmspell.sessions import units
from llmspell.sessions.family import SessionTree, parents_of, tree_of
from llmspell.sessions.info import SessionInfo, first_row
from llmspell.sessions.kinds import SessionCreated
from llmspell.sessions.listing import Order, Place, find, list_page
from llmspell.sessions.query import SessionCount, SessionFilter, session_filter
from llmspell.sessions.session import AsyncSession
from llmspell.sessions.steps import Neighbours, Steps

if TYPE_CHECKING:
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal

_SQL = queries("llmspell.sessions")
_BY_UPDATE = Order("updated_at", falling=True)
_CONDITIONS = frozenset(inspect.signature(session_filter).parameters)


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
        set_initial = notify = None
        if values:
            set_initial, notify = await self._neighbours.initial_state(inside, f"session:{new.id}", values)
        seq, at, entries = await self._journal.write(
            lambda writer: units.create(writer, new, set_initial), context=inside
        )
        info = SessionInfo(first_row(session, correlation, new, at, entries))
        handle = AsyncSession(self._steps, self._neighbours.rooms, info, InSession(session, correlation, seq))
        if notify is not None:
            await notify()
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
        metadata: Mapping[str, Any] | None = None,
        text: str | None = None,
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        updated_after: datetime | str | None = None,
        updated_before: datetime | str | None = None,
        order_by: str = "-updated_at",
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[SessionInfo]:
        """A page of sessions; all conditions given hold together.

        ``tags``: has each of them. ``name``: exactly. ``metadata``: has each value at its path, names joined by dots
        (``{"user.id": 7}``); a list has its items' values, too. ``text``: has all its words, whole ones, in name,
        description, tags or metadata, whatever their case and accents. Times are datetimes or RFC 3339 text, and not
        included. ``order_by`` is ``updated_at`` or ``created_at``, with ``-`` newest first.

        A cursor goes on where its page ended, among the sessions as they were when the first page was read: nothing is
        missed or repeated while they change. Raises InvalidInput (``invalid-search``, ``invalid-cursor`` …).
        """
        wanted = session_filter(
            status=status, tags=tags, created_by=created_by, parent=parent, name=name, metadata=metadata, text=text,
            created_after=created_after, created_before=created_before, updated_after=updated_after,
            updated_before=updated_before,
        )  # fmt: skip
        check_limit(limit)
        return await self._journal.database.read(lambda view: list_page(view, wanted, order_by, limit, cursor))

    async def count(self, *, exact: bool = False, **conditions: Any) -> SessionCount:
        """How many sessions fit conditions as ``list`` takes them. Above 1,000 the count stops, unless it is to be
        ``exact``: some 10 µs for each session then.
        """
        if type(exact) is not bool:
            raise InvalidInput(f"exact is True or False, not {told(exact)}", code="invalid-input")
        wanted = _filter_of(conditions)
        if not exact:
            rows, _ = await self._journal.database.read(
                lambda view: find(view, wanted, _BY_UPDATE, limits.COUNT_MAX + 1, Place())
            )
            return SessionCount(min(len(rows), limits.COUNT_MAX), len(rows) <= limits.COUNT_MAX)
        number, place = 0, Place()
        while True:
            # One read for each so many, all as of the first one's seq: none of them lasts for seconds.
            rows, as_of = await self._journal.database.read(
                partial(find, wanted=wanted, order=_BY_UPDATE, count=limits.PAGE_ROWS_MAX, place=place)
            )
            number += len(rows)
            if len(rows) < limits.PAGE_ROWS_MAX:
                return SessionCount(number)
            place = Place(as_of, (rows[-1][0], rows[-1][1]))

    async def recent(self, n: int = 10) -> Sequence[SessionInfo]:
        """The ``n`` sessions that changed last, newest first."""
        return (await self.list(limit=n)).items

    async def children(self, session_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[SessionInfo]:
        """The sessions directly below this one (by id or unique name), the oldest first. Raises NotFound."""
        info = await self.get(session_id)
        return await self.list(parent=info.id, order_by="created_at", limit=limit, cursor=cursor)

    async def parents(self, session_id: str) -> Sequence[SessionInfo]:
        """The session above this one, then the one above that, up to the top. A deleted one ends the list, and so does
        the thousandth. Raises NotFound.
        """
        info = await self.get(session_id)
        return await self._journal.database.read(lambda view: parents_of(view, id_bytes(info.id)))

    async def tree(
        self, session_id: str, *, limit: int = limits.TREE_SESSIONS_MAX, depth: int | None = None
    ) -> SessionTree:
        """A session and all below it; ``.picture()`` draws it. At most ``limit`` sessions, the nearest first, and
        ``depth`` levels below; where there is more the tree says ``cut``. Raises NotFound.
        """
        check_limit(limit)
        if depth is not None and (type(depth) is not int or depth < 0):
            raise InvalidInput(f"depth is a number of levels, 0 or more, not {told(depth)}", code="invalid-limit")
        info = await self.get(session_id)
        return await self._journal.database.read(lambda view: tree_of(view, info, limit, depth))

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


def _filter_of(conditions: dict[str, Any]) -> SessionFilter:
    unknown = sorted(conditions.keys() - _CONDITIONS)
    if unknown:
        raise InvalidInput(
            f"there is no condition {unknown[0]!r}; there are {', '.join(sorted(_CONDITIONS))}", code="invalid-input"
        )
    return session_filter(**conditions)


def _initial(state: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(state, Mapping):
        raise InvalidInput(f"state is a dict, not {type(state).__name__}", code="invalid-state")
    values = {check_key(key): value for key, value in state.items()}
    if len(values) != len(state):
        raise InvalidInput("two of the keys are spellings of one key", code="duplicate-key")
    for value in values.values():
        encode_value(value)  # Before anything is asked of hooks.
    return values
