"""Forks: a session that goes on from a moment of another one, with a future of its own.

A fork is one entry and one row for each session that its history goes back to; nothing of that history is copied. What
must stay true: a bound lies within the life of the session it bounds, and no lineage is longer than
``FORK_DEPTH_MAX``, so that a read in a fork looks at no more sessions than that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell.errors import InvalidInput, LimitExceeded, NotFound
from llmspell.journal.acting import InSession, enter
from llmspell.journal.asking import Asking, Asks, driven
from llmspell.journal.lineage import ALWAYS, Level, find_scope
from llmspell.model import limits
from llmspell.model.ids import id_text
from llmspell.model.labels import check_label
from llmspell.model.values import decode_value
from llmspell.schema import queries
from llmspell.sessions import units
from llmspell.sessions.bounds import bounds_of
from llmspell.sessions.comparison import (
    CommonAncestor,
    Compared,
    Page,
    SessionComparison,
    common_ancestor,
    differing,
)
from llmspell.sessions.info import SessionInfo, first_row
from llmspell.sessions.kinds import SessionForked
from llmspell.sessions.projection import FORKED
from llmspell.sessions.session import AsyncSession

if TYPE_CHECKING:
    from datetime import datetime

    from llmspell.hooks.registry import Hooks
    from llmspell.journal.journal import Journal, Writer
    from llmspell.journal.lineage import Lineage
    from llmspell.model.context import Context
    from llmspell.ports.database import Reading, Row
    from llmspell.sessions.steps import Neighbours, Steps

_SQL = queries("llmspell.sessions")
_LAST = "SELECT max(seq) FROM entry"
_LAST_OF = "SELECT max(seq) FROM entry WHERE session = ?"
_CHECKPOINT = "checkpoint:"
_SUFFIX = " (fork)"
MomentOf = Callable[["Reading", Any, int], int]
"""The seq of a moment as ``store.at`` takes it: (view, moment, the time of the clock)."""
InheritBindings = Callable[["Writer", str, str, int], Awaitable[None]]
"""Binds what was bound to the keys of a scope at an entry to those of another one: (writer, from, to, seq)."""
DemandSettled = Callable[["Reading", str, int], None]
"""Refuses an entry at which the values of a scope were half of one form, half of another: (view, scope, seq)."""


class Origin(NamedTuple):
    """What a fork is made of: its lineage, the nearest first, and the fields of the session it leaves, as they were."""

    lineage: list[tuple[bytes, int]]
    fields: Row


class Forking:
    """What ``AsyncSessions.fork`` does."""

    def __init__(self, journal: Journal, hooks: Hooks, steps: Steps, neighbours: Neighbours) -> None:
        self._journal = journal
        self._hooks = hooks
        self._steps = steps
        self._near = neighbours

    async def fork(
        self, session: bytes, at: int | str | datetime | None, name: str | None, outer: Context
    ) -> AsyncSession:
        """The handle of a new fork; see ``AsyncSessions``."""
        given = None if name is None else check_label(name, "a session's name")
        now, ids = self._journal.clock.now_ns(), self._journal.ids
        origin = await self._journal.database.read(lambda view: self._look(view, session, at, now))
        key, correlation = ids.new(), ids.new()
        of_name, description, tags, metadata, config, created_by, parent = origin.fields
        fields: dict[str, Any] = {
            "name": given or f"{of_name[: limits.NAME_CHARS_MAX - len(_SUFFIX)]}{_SUFFIX}",
            "description": description,
            "tags": decode_value(tags),
            "metadata": decode_value(metadata),
        }
        kept = {
            "config": decode_value(config), "created_by": created_by,
            "parent": None if parent is None else id_text(parent),
        }  # fmt: skip
        nearest, bound = origin.lineage[0]
        about = {**kept, "forked_from": id_text(nearest), "forked_at": bound}
        fields = await self._steps.before(outer, "fork", key, fields, about)
        new = SessionForked(
            id=id_text(key), correlation=id_text(correlation), of=id_text(session),
            lineage=[(id_text(one), seq) for one, seq in origin.lineage], **fields, **kept,
        )  # fmt: skip
        inside = enter(outer, InSession(key, correlation, outer.cause), anew=True)
        seq, at_ns, entries = await self._journal.write(lambda writer: self._unit(writer, session, new), context=inside)
        info = SessionInfo(first_row(key, correlation, new, at_ns, entries, (nearest, bound)))
        bounds = bounds_of(info, key, self._near)
        handle = AsyncSession(self._steps, self._near.rooms, info, InSession(key, correlation, seq, bounds))
        if "after_session_fork" in self._hooks.armed:
            await self._steps.point(handle.context(), "after_session_fork", "fork", info)
        return handle

    async def compare(self, a: bytes, b: bytes, limit: int, cursor: str | None) -> SessionComparison:
        """See ``AsyncSessions``."""
        infos = await self._steps.info(a), await self._steps.info(b)
        now = self._journal.clock.now_ns()

        def query(view: Reading) -> tuple[CommonAncestor | None, Page]:
            one, other = (driven(levels_in(Asking(view), key)) for key in (a, b))
            compared = Compared(one, other, now)
            return _ancestor(view, compared), self._near.compare(view, compared, limit, cursor)

        ancestor, (state, artifacts, following) = await self._journal.database.read(query)
        return SessionComparison(infos[0].id, infos[1].id, ancestor, differing(*infos), state, artifacts, following)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _look(self, view: Reading, session: bytes, at: Any, now: int) -> Origin:
        scope = driven(find_scope(Asking(view), units.scope_of(session)))
        if scope is None or view.one(_SQL["open_row"], (session,)) is None:
            raise units.missing(session)
        seq = self._seq(view, session, scope.lineage, at, now)
        origin = driven(origin_at(Asking(view), session, scope.lineage, seq))
        nearest, bound = origin.lineage[0]  # Where it left the others was looked at when those forks began.
        self._near.demand_settled(view, units.scope_of(nearest), bound)
        return origin

    def _seq(self, view: Reading, session: bytes, lineage: Lineage | None, at: Any, now: int) -> int:
        if at is None:
            return int((view.one(_LAST) or (0,))[0])
        if isinstance(at, str) and at.startswith(_CHECKPOINT):
            own = _labelled(view, session, lineage, at.removeprefix(_CHECKPOINT))
            return self._near.moment(view, at, now) if own is None else own
        try:
            return self._near.moment(view, at, now)
        except InvalidInput:
            own = _labelled(view, session, lineage, at) if isinstance(at, str) else None
            if own is None:
                raise
            return own

    async def _unit(self, writer: Writer, session: bytes, new: SessionForked) -> tuple[int, int, int]:
        await units.require(writer, session)
        scope_name = f"session:{new.id}"
        seq = await writer.append(FORKED, new, await writer.new_scope(scope_name), "session")
        at = writer.at
        nearest, bound = new.lineage[0]
        await self._near.inherit_bindings(writer, f"session:{nearest}", scope_name, bound)
        writer.unlearn(scope_name)  # It is known as a fork's from its next use on.
        return seq, at, len(writer.appended)


async def origin_at(asks: Asks, session: bytes, lineage: Lineage | None, seq: int) -> Origin:
    """What a fork of ``session`` at the entry ``seq`` is made of: before a fork began, its history was another's.

    Raises InvalidInput (``invalid-seq``) before the first of them began, LimitExceeded (``fork-depth``), NotFound.
    """
    levels = [(session, seq)] if lineage is None else [(one.session, min(one.bound, seq)) for one in lineage]
    while True:
        (first,) = await asks.one(_SQL["first_seq"], (levels[0][0],)) or (None,)
        if first is not None and first <= seq:
            if levels[0][0] == session and await asks.one(_SQL["inherited"], (session, seq)) is None:
                del levels[1:]
            break
        if len(levels) == 1:
            raise InvalidInput(
                f"session {id_text(session)} begins with entry {first}; it cannot be forked at entry {seq}",
                code="invalid-seq",
            )
        del levels[0]
    if len(levels) > limits.FORK_DEPTH_MAX:
        raise LimitExceeded(
            f"session {id_text(session)} is a fork of a fork {limits.FORK_DEPTH_MAX} times over",
            code="fork-depth",
            hint="create a session and copy the state to it: state.copy_to(Scope.session(id))",
        )
    nearest, bound = levels[0]
    fields = await asks.one(_SQL["row_at"], (nearest, bound))
    if fields is None:
        raise NotFound(
            f"nothing is known any more of session {id_text(nearest)} at entry {bound}", code="session-not-found"
        )
    return Origin(levels, fields)


async def levels_in(asks: Asks, session: bytes) -> tuple[Level, ...]:
    """The lineage of a fork, or a session that is none alone. Raises NotFound."""
    scope = await find_scope(asks, units.scope_of(session))
    if scope is None:
        raise units.missing(session)
    return scope.lineage or (Level(session, scope.id, scope.salt, ALWAYS),)


def _ancestor(view: Reading, compared: Compared) -> CommonAncestor | None:
    found = common_ancestor(compared.a, compared.b)
    if found is None:
        return None
    session, seq = found
    if seq == ALWAYS:  # The two are one session: all of it is common.
        seq = (view.one(_LAST_OF, (session,)) or (0,))[0]
    return CommonAncestor(id_text(session), seq)


def _labelled(view: Reading, session: bytes, lineage: Lineage | None, label: str) -> int | None:
    try:
        wanted = check_label(label, "a checkpoint's label")
    except InvalidInput:
        return None
    return driven(units.checkpoint_seq(Asking(view), session, wanted, lineage))
