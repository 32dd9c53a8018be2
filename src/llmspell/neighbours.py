"""What the sessions room needs of other rooms, put together: state that sessions begin with, are set back to and leave
behind, and the rooms that a session's handle shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from llmspell.access.units import end_of_session
from llmspell.artifacts.erasing import erase_of_session
from llmspell.artifacts.finding.index import indexing as finding
from llmspell.artifacts.units import remove_of_session
from llmspell.comparing import compare_contents
from llmspell.journal.maintenance import Task, indexing, is_failure
from llmspell.migration.halfway import demand_settled
from llmspell.model.context import MAINTENANCE
from llmspell.model.scope import Scope
from llmspell.portable.service import StorePorter
from llmspell.registry.inheriting import end_bindings, inherit_bindings
from llmspell.report import report_maintenance
from llmspell.sessions.cleaning import BackgroundCleaning
from llmspell.sessions.index import indexing_sessions
from llmspell.sessions.saving import AutoSaver
from llmspell.sessions.steps import Neighbours
from llmspell.sessions.timing import Timer
from llmspell.sessions.units import scope_of
from llmspell.state.guarded import Guarded
from llmspell.state.kinds import StateSet
from llmspell.state.units import EXPIRE_STEP_KEYS, clear_scope, delete_key, expire_keys, expiry_is_due, put_back
from llmspell.views import moment_of

if TYPE_CHECKING:
    from llmspell.adapters.sqlite.store import OpenStore
    from llmspell.artifacts.captures.service import AsyncCaptures
    from llmspell.artifacts.service import AsyncArtifacts
    from llmspell.events.service import AsyncEvents
    from llmspell.journal.acting import Acting
    from llmspell.model.entry import Entry
    from llmspell.model.page import Page
    from llmspell.offload import Offload
    from llmspell.ports.database import Reading
    from llmspell.sessions.session import AsyncSession
    from llmspell.state.service import AsyncState
    from llmspell.store import AsyncStore

_AGAIN_NS = 60_000_000_000


def neighbours_of(
    store: AsyncStore, shredder: Any, files: OpenStore, offload: Offload, state_of: Callable[..., AsyncState],
    cleaning: BackgroundCleaning, forget: Callable[[str], None],
) -> Neighbours:  # fmt: skip
    """The neighbours in an open store. ``state_of`` gives the state of a scope for a handle that acts elsewhere;
    ``forget`` ends the ephemeral state of a scope.
    """
    protection = store.protection

    async def set_state(writer: Any, scope: str, key: str, held: Any) -> None:
        told = StateSet(
            scope, key, held.value, 0, 0, held.state_class, held.expires_at, held.redacted,
            sealed_for=held.sealed_in(scope),
        )  # fmt: skip
        await put_back(writer, told, protection)

    async def initial_state(context: Any, scope: str, values: Any) -> Any:
        return await Guarded(store.journal, store.hooks, context, scope, protection).initial(values)

    async def delete_state(writer: Any, scope: str, key: str) -> bool:
        return await delete_key(writer, scope, key, None)

    async def remove_state(writer: Any, session: bytes) -> None:
        await clear_scope(writer, scope_of(session), 0, inherited=False)

    async def remove_bindings(writer: Any, session: bytes) -> None:
        await end_bindings(writer, scope_of(session))

    removers = remove_state, remove_of_session, end_of_session
    rooms = _Rooms(store, state_of)
    engine, clock = files.engine, store.journal.clock
    saver = AutoSaver(store.journal, engine, report_maintenance)
    in_time = CleaningInTime(cleaning, engine.read, engine.after_checkpoint, clock.monotonic_ns, report_maintenance)
    retention = Timer(clock, in_time, read_only=engine.read_only)
    porter = StorePorter(store.journal, files, offload, protection, removers)  # What is bound holds for what comes.
    return Neighbours(
        set_state, initial_state, delete_state, (*removers, remove_bindings), erase_of_session,
        files.content.free_reserve, rooms, shredder, porter, saver, retention,
        lambda view, when, now: moment_of(view, when, now).seq, inherit_bindings, demand_settled, compare_contents,
        lambda session: forget(scope_of(session)),
    )  # fmt: skip


def tasks_of(store: AsyncStore, cleaning: BackgroundCleaning) -> tuple[Task, ...]:
    """What the maintenance of an open store does: indexes, what reached its end, retention."""
    journal = store.journal
    unit = partial(journal.unit_of, lambda writer: expire_keys(writer, EXPIRE_STEP_KEYS), context=MAINTENANCE)
    expiring = Task("expire", lambda view: expiry_is_due(view, journal.clock.now_ns()), unit, EXPIRE_STEP_KEYS)
    return indexing(), finding(), indexing_sessions(), expiring, cleaning.task()


def cleaning_of(store: AsyncStore) -> BackgroundCleaning:
    """What lets sessions go in the background, as the stored policy and they themselves say."""
    armed = store.hooks.armed
    return BackgroundCleaning(
        store.journal, lambda: store.sessions.neighbours, lambda: "before_session_delete" in armed
    )


@dataclass(frozen=True, slots=True)
class CleaningInTime:
    """Retention as its timer does it: with all other maintenance that is due. See ``AtItsTime``."""

    cleaning: BackgroundCleaning
    read: Callable[[Callable[[Reading], int | None]], int | None]
    maintain: Callable[[], None]
    now_ns: Callable[[], int]
    report: Callable[[str, BaseException], None]

    def due_ns(self) -> int | None:
        """When sessions are looked at next. What cannot be read now is reported and asked again in a minute."""
        try:
            return self.read(self.cleaning.due_ns)
        except Exception as exc:  # noqa: BLE001 - a damaged row, too: the store opens and is closed all the same
            if is_failure(exc):
                self.report("retention", exc)
            return self.now_ns() + _AGAIN_NS

    def run(self) -> None:
        """Look at them."""
        self.maintain()


def captures_of(store: AsyncStore, acting: Acting) -> AsyncCaptures:
    """The captures of a handle that acts somewhere. Imported when they are first used."""
    from llmspell.artifacts.captures.service import AsyncCaptures

    artifacts, guard = store.artifacts_of(acting), store.protection
    return AsyncCaptures(store.journal, store.hooks, acting, artifacts, artifacts.inside, guard, guard.offload)


class _Rooms:
    """The rooms of sessions' handles; see ``SessionRooms``."""

    def __init__(self, store: AsyncStore, state_of: Callable[..., AsyncState]) -> None:
        self._store = store
        self._state_of = state_of

    def state(self, session: AsyncSession) -> AsyncState:
        """Its state."""
        return self._state_of(Scope.session(session.id), session.acting)

    def artifacts(self, session: AsyncSession) -> AsyncArtifacts:
        """Its artifacts."""
        return self._store.artifacts_of(session.acting)

    def events(self, session: AsyncSession) -> AsyncEvents:
        """Its events."""
        return self._store.events_of(session.acting)

    def captures(self, session: AsyncSession) -> AsyncCaptures:
        """What becomes of outputs in it."""
        return captures_of(self._store, session.acting)

    async def timeline(self, session: AsyncSession, **filters: Any) -> Page[Entry]:
        """Its entries."""
        return await self._store.timeline(session=session.id, **filters)
