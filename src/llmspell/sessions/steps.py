"""The steps of a session's life, as its handle asks for them: hooks, a unit of work, hooks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from llmspell.errors import Conflict, InvalidInput, NotFound
from llmspell.hooks.moment import run_point
from llmspell.journal.asking import Asking, driven
from llmspell.journal.lineage import ALWAYS, Level
from llmspell.model.ids import id_in, id_text
from llmspell.model.labels import check_label, check_metadata, check_tags, check_text
from llmspell.model.telling import told
from llmspell.schema import queries
from llmspell.sessions import units
from llmspell.sessions.history import SessionChange, read_history
from llmspell.sessions.info import Checkpoint, SessionInfo

if TYPE_CHECKING:
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.journal import Journal
    from llmspell.journal.room import FreeReserve
    from llmspell.model.context import Context
    from llmspell.ports.database import Reading, Row
    from llmspell.sessions.comparison import Comparer
    from llmspell.sessions.erasing import Erase
    from llmspell.sessions.forking import DemandSettled, InheritBindings, MomentOf
    from llmspell.sessions.ported import Porter
    from llmspell.sessions.saving import AutoSaver
    from llmspell.sessions.session import AsyncSession, SessionRooms
    from llmspell.sessions.shredded import Shredded
    from llmspell.sessions.timing import Timer

_SQL = queries("llmspell.sessions")
_OPEN_INFO = f"{_SQL['info']} WHERE s.id = ? AND s.until_seq IS NULL"
_STEPS = {
    "suspend": ("suspended", "suspended"),
    "resume": ("active", "resumed"),
    "complete": ("completed", "completed"),
    "fail": ("failed", "failed"),
    "archive": ("archived", "archived"),
}


InitialState = Callable[
    ["Context", str, Mapping[str, Any]], Awaitable[tuple[units.SetInitial, Callable[[], Awaitable[None]]]]
]
"""Asks whoever has a say in values that a new scope begins with. Gives what sets them in a unit, and what to call when
that is committed.
"""


class Shredder(Protocol):
    """Destroys a session in every room."""

    async def look(self, session: bytes, *, detach: bool) -> Shredded:
        """What would be destroyed."""
        ...

    async def shred(self, session: bytes, context: Context, *, detach: bool) -> Shredded:
        """Destroy it, or finish what was begun."""
        ...


class Neighbours:
    """What the sessions room needs of other rooms, handed over by the wiring."""

    def __init__(
        self,
        set_state: units.SetState,
        initial_state: InitialState,
        delete_state: units.DeleteState,
        removers: tuple[units.Remove, ...],
        erase: Erase,
        free_reserve: FreeReserve,
        rooms: SessionRooms,
        shredder: Shredder,
        porter: Porter,
        saver: AutoSaver,
        retention: Timer,
        moment: MomentOf,
        inherit_bindings: InheritBindings,
        demand_settled: DemandSettled,
        compare: Comparer,
        forget: Callable[[bytes], None],
    ) -> None:
        self.set_state = set_state
        self.initial_state = initial_state
        self.delete_state = delete_state
        self.removers = removers
        self.erase = erase
        self.free_reserve = free_reserve
        self.rooms = rooms
        self.shredder = shredder
        self.porter = porter
        self.saver = saver
        self.retention = retention
        self.moment = moment
        self.inherit_bindings = inherit_bindings
        self.demand_settled = demand_settled
        self.compare = compare
        self.forget = forget
        """What this process holds of a session that is no more."""

    def close(self) -> None:
        """Save what changed, and end the threads of the background. Idempotent."""
        self.retention.close()
        self.saver.close()


class Steps:
    """The steps of all sessions of a store. Each gives the session as it is afterwards."""

    def __init__(self, journal: Journal, hooks: Hooks, neighbours: Neighbours) -> None:
        self._journal = journal
        self._hooks = hooks
        self._neighbours = neighbours

    async def step(self, handle: AsyncSession, verb: str, reason: str | None = None) -> SessionInfo:
        """A step of the lifecycle, with its hooks; ``verb`` as in ``_STEPS``."""
        to, kind = _STEPS[verb]
        context = handle.context()
        outcome = await self.point(context, f"before_session_{verb}", verb, handle.info, reason)
        if outcome is not None and verb == "fail":
            reason = outcome["reason"]
        await self._journal.write(lambda writer: units.move(writer, handle.key, to, kind, reason), context=context)
        info = await self.info(handle.key)
        await self.point(context, f"after_session_{verb}", verb, info, reason)
        return info

    async def unarchive(self, handle: AsyncSession) -> SessionInfo:
        """Back to the status before it was archived."""
        context = handle.context()
        await self.point(context, "before_session_unarchive", "unarchive", handle.info)
        await self._journal.write(lambda writer: units.unarchive(writer, handle.key), context=context)
        info = await self.info(handle.key)
        await self.point(context, "after_session_unarchive", "unarchive", info)
        return info

    async def update(self, handle: AsyncSession, changed: dict[str, Any]) -> SessionInfo:
        """New values of descriptive fields; where nothing changes nothing happened, and no hook is told so."""
        if not changed:
            raise InvalidInput("nothing to update: give name, description, tags or metadata", code="nothing-to-do")
        checked = check_fields(changed)
        context = handle.context()
        fields = await self.before(context, "update", handle.key, checked, {})
        seq = await self._journal.write(lambda writer: units.update(writer, handle.key, fields), context=context)
        info = await self.info(handle.key)
        if seq is None:
            return info
        await self.point(context, "after_session_update", "update", info)
        return info

    async def save(self, handle: AsyncSession) -> SessionInfo:
        """Write ``session.saved`` and make everything acknowledged durable on disk."""
        context = handle.context()
        await self.point(context, "before_session_save", "save", handle.info)
        await self._journal.write(lambda writer: units.save(writer, handle.key), context=context, strong=True)
        info = await self.info(handle.key)
        await self.point(context, "after_session_save", "save", info)
        return info

    async def checkpoint(self, handle: AsyncSession, label: str) -> int:
        """Write a labelled checkpoint; gives its seq."""
        label = check_label(label, "a checkpoint's label")
        context = handle.context()
        await self.point(context, "before_session_checkpoint", "checkpoint", handle.info, label)
        seq = await self._journal.write(lambda writer: units.checkpoint(writer, handle.key, label), context=context)
        await self.point(context, "after_session_checkpoint", "checkpoint", handle.info, label)
        return seq

    async def checkpoints(self, handle: AsyncSession) -> list[Checkpoint]:
        """The session's checkpoints, oldest first; a fork's begin with those of the session it left."""
        levels = await self._levels(handle)

        def query(view: Reading) -> list[Row]:
            inherits = view.one(_SQL["inherits"], (handle.key,)) is not None
            asked = levels[::-1] if inherits else levels[:1]
            return [row for level in asked for row in view.all(_SQL["checkpoints"], level)]

        rows = await self._journal.database.read(query)
        return [Checkpoint(*row) for row in rows]

    async def history(self, session: bytes, limit: int, before: int | None) -> list[SessionChange]:
        """The changes of a session's fields, newest first; a fork's go on into those of the session it left."""
        if before is not None and (type(before) is not int or not 1 <= before < 1 << 63):
            raise InvalidInput(f"before is a seq, not {told(before)}", code="invalid-seq")
        scope = await self._journal.scope(units.scope_of(session))
        if scope is None:
            return []
        levels = self._journal.scopes.lineages.get(units.scope_of(session)) or (Level(session, *scope, ALWAYS),)
        return await self._journal.database.read(lambda view: read_history(view, levels, limit, before))

    async def restore(self, handle: AsyncSession, to: str | int) -> int:
        """Set the session's state back to a checkpoint's label or a seq; gives the number of keys changed."""
        seq, label = await self._restore_point(handle, to)
        await self._demand_settled(handle, seq)
        context = handle.context()
        await self.point(context, "before_session_restore", "restore", handle.info, label)
        near = self._neighbours
        changed = await self._journal.write(
            lambda writer: units.restore(writer, handle.key, seq, label, near.set_state, near.delete_state),
            context=context,
        )
        await self.point(context, "after_session_restore", "restore", handle.info, label)
        return changed

    async def refresh(self, handle: AsyncSession) -> SessionInfo:
        """The session as it is now."""
        return await self.info(handle.key)

    async def _restore_point(self, handle: AsyncSession, to: str | int) -> tuple[int, str | None]:
        if isinstance(to, str):
            to = check_label(to, "a checkpoint's label", empty=True)
            lineage = await self._journal.lineage(units.scope_of(handle.key))
            seq = await self._journal.database.read(
                lambda view: driven(units.checkpoint_seq(Asking(view), handle.key, to, lineage))
            )
            if seq is None:
                raise NotFound(f"session {handle.id} has no checkpoint {to!r}", code="checkpoint-not-found")
            return seq, to
        oldest = (await self._levels(handle))[-1][0]
        row = None if oldest == handle.key else await self._journal.database.one(_SQL["first_seq"], (oldest,))
        first = handle.opened if row is None or row[0] is None else row[0]
        last = await self._journal.database.one("SELECT max(seq) FROM entry")
        if type(to) is not int or not first <= to <= (last[0] if last else 0):
            raise InvalidInput(
                f"a session is restored to a checkpoint's label or a seq from {first} on, not {told(to)}",
                code="invalid-seq",
            )
        return to, None

    async def _demand_settled(self, handle: AsyncSession, seq: int) -> None:
        """Refuse a moment at which a migration had changed some values and not yet others."""
        session = [key for key, bound in await self._levels(handle) if bound >= seq][-1]
        await self._journal.database.read(
            lambda view: self._neighbours.demand_settled(view, units.scope_of(session), seq)
        )

    async def _levels(self, handle: AsyncSession) -> list[tuple[bytes, int]]:
        """The sessions that a fork goes back to after itself, each with the last entry that counts; or it alone."""
        lineage = await self._journal.lineage(units.scope_of(handle.key))
        if lineage is None:
            return [(handle.key, ALWAYS)]
        return [(level.session, level.bound) for level in lineage]

    async def resolve(self, session_id: object) -> bytes:
        """The id of a session that is named by its id or its unique name. Whoever has ids of their own names sessions
        by them, so a text that could be an id is a name where there never was a session of that id. Raises
        InvalidInput, NotFound, Conflict.
        """
        if type(session_id) is not str or not session_id:
            raise InvalidInput(f"a session is named by its id or name, not {told(session_id)}", code="invalid-id")
        name, key = check_label(session_id, "a session's name"), id_in(session_id)

        def query(view: Reading) -> list[Row]:
            rows = view.all(_SQL["by_name"], (name,))
            return [] if key is not None and rows and view.one(_SQL["wrote"], (key,)) is not None else rows

        rows = await self._journal.database.read(query)
        if not rows and key is not None:
            return key
        if not rows:
            raise NotFound(f"there is no session {session_id!r}", code="session-not-found")
        if len(rows) > 1:
            raise Conflict(
                f"several sessions are named {session_id!r}", code="ambiguous-name", hint="name the session by its id"
            )
        return rows[0][0]  # type: ignore[no-any-return]

    async def find(self, session_id: str) -> SessionInfo:
        """A session as it is now, by its id, with one read then, or its unique name."""
        key = id_in(session_id)
        row = None if key is None else await self._row(key)
        return SessionInfo(row) if row is not None else await self.info(await self.resolve(session_id))

    async def _row(self, session: bytes) -> Row | None:
        return await self._journal.database.one(_OPEN_INFO, (session,))

    async def info(self, session: bytes) -> SessionInfo:
        """A session as it is now."""
        row = await self._row(session)
        if row is None:
            if await self._journal.database.one(_SQL["shredded"], (session,)) is not None:
                raise NotFound(f"session {id_text(session)} was shredded", code="erased")
            raise units.missing(session)
        return SessionInfo(row)

    async def before(
        self, context: Context, verb: str, session: bytes, fields: dict[str, Any], given: dict[str, Any]
    ) -> dict[str, Any]:
        """Ask the before-hooks of a step that has fields; gives the fields as they are to be."""
        if f"before_session_{verb}" not in self._hooks.armed:
            return fields
        data = {"id": id_text(session), "reason": None, "info": {**fields, **given}, **fields}
        outcome = await run_point(self._hooks, context, f"before_session_{verb}", "session", verb, data)
        if outcome is None or not outcome.changed:
            return fields
        return fields | check_fields({name: outcome.data[name] for name in outcome.changed})

    async def point(
        self, context: Context, point: str, verb: str, info: SessionInfo, reason: str | None = None
    ) -> dict[str, Any] | None:
        """Run the hooks of a point; gives the data as they left it, None when there are none."""
        if point not in self._hooks.armed:
            return None
        data = {"id": info.id, "info": info.to_dict(), "reason": reason}
        outcome = await run_point(self._hooks, context, point, "session", verb, data)
        return None if outcome is None else outcome.data


def check_fields(changed: Mapping[str, Any]) -> dict[str, Any]:
    """Descriptive fields, checked by name."""
    checks: dict[str, Callable[[Any], Any]] = {
        "name": lambda value: check_label(value, "a session's name"),
        "description": lambda value: check_text(value, "a description"),
        "tags": check_tags,
        "metadata": check_metadata,
    }
    return {name: checks[name](value) for name, value in changed.items()}
