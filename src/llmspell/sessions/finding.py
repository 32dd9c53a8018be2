"""Finding sessions: the reads behind ``list``, ``count`` and the families."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.count import Count, check_exact
from llmspell.model.ids import id_text
from llmspell.model.page import Page, check_limit
from llmspell.model.telling import told
from llmspell.sessions.family import SessionTree, parents_of, tree_of
from llmspell.sessions.info import SessionInfo
from llmspell.sessions.listing import Place, find, infos, list_page
from llmspell.sessions.naming import named
from llmspell.sessions.order import Order
from llmspell.sessions.query import SessionFilter

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal
    from llmspell.ports.database import Reading

_BY_UPDATE = Order("updated_at", falling=True)
_BY_CREATION = Order("created_at", falling=False)


class Finding:
    """Finds the sessions of one store."""

    def __init__(self, journal: Journal, resolve: Callable[[object], Awaitable[bytes]]) -> None:
        """``resolve`` gives the id of a session that is named."""
        self._journal = journal
        self._resolve = resolve

    async def page(self, given: Mapping[str, Any], order_by: str, limit: int, cursor: str | None) -> Page[SessionInfo]:
        """A page of those that fit."""
        wanted = await self._wanted(given)
        check_limit(limit)
        return await self._journal.database.read(lambda view: list_page(view, wanted, order_by, limit, cursor))

    async def count(self, given: Mapping[str, Any], *, exact: bool) -> Count:
        """How many fit: up to the bound, or one read for each so many, all as of the first one's seq, so that none
        lasts for seconds.
        """
        wanted = await self._wanted(given)
        if not check_exact(exact):
            rows, _ = await self._journal.database.read(
                lambda view: find(view, wanted, _BY_UPDATE, limits.COUNT_MAX + 1, Place())
            )
            return Count(min(len(rows), limits.COUNT_MAX), len(rows) <= limits.COUNT_MAX)
        number, place = 0, Place()
        while True:
            most = limits.PAGE_ROWS_MAX
            rows, as_of = await self._journal.database.read(
                partial(find, wanted=wanted, order=_BY_UPDATE, count=most, place=place)
            )
            number += len(rows)
            if len(rows) < most:
                return Count(number, exact=True)
            place = Place(as_of, _BY_UPDATE.key(rows[-1]))

    async def children(self, session: bytes) -> list[SessionInfo]:
        """Those directly below, the oldest first."""
        found: list[SessionInfo] = []
        wanted, place, most = SessionFilter(parent=session), Place(), limits.PAGE_ROWS_MAX
        while True:
            read = partial(_with_infos, wanted=wanted, count=most, place=place)
            rows, as_of, page = await self._journal.database.read(read)
            found += page
            if len(rows) < most:
                return found
            place = Place(as_of, _BY_CREATION.key(rows[-1]))

    async def parents(self, session: bytes) -> list[SessionInfo]:
        """Those above, the nearest first."""
        return await self._journal.database.read(lambda view: parents_of(view, session))

    async def tree(self, info: SessionInfo, limit: int, depth: int | None) -> SessionTree:
        """A session and what is below it."""
        check_limit(limit)
        if depth is not None and (type(depth) is not int or depth < 0):
            raise InvalidInput(f"depth is a number of levels, 0 or more, not {told(depth)}", code="invalid-limit")
        return await self._journal.database.read(lambda view: tree_of(view, info, limit, depth))

    async def _wanted(self, given: Mapping[str, Any]) -> SessionFilter:
        """The conditions, of which the parent may be a name or a handle. Raises NotFound for a name that nobody has."""
        parent = given.get("parent")
        if parent is None:
            return SessionFilter.of(given)
        return SessionFilter.of({**given, "parent": id_text(await self._resolve(named(parent)))})


def _with_infos(
    view: Reading, wanted: SessionFilter, count: int, place: Place
) -> tuple[list[Any], int, list[SessionInfo]]:
    rows, as_of = find(view, wanted, _BY_CREATION, count, place)
    return rows, as_of, infos(view, rows)
