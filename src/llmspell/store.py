"""The handle of an open store, and the one place where its parts are wired together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from llmspell.access.ledger import Ledger
from llmspell.access.service import AsyncAccess
from llmspell.adapters.sqlite.scrub import rewrite
from llmspell.adapters.sqlite.store import OpenStore
from llmspell.agentstate.service import AsyncAgents
from llmspell.artifacts.service import AsyncArtifacts
from llmspell.entry_kinds import KINDS
from llmspell.errors import InvalidInput, LlmspellError
from llmspell.events.dispatcher import Dispatcher
from llmspell.events.service import AsyncEvents
from llmspell.events.source import JournalEvents
from llmspell.hooks.registry import Hooks
from llmspell.journal.acting import Acting
from llmspell.journal.journal import Journal
from llmspell.journal.kinds import STORE_CREATED, StoreCreated
from llmspell.journal.maintenance import Maintenance
from llmspell.migration.service import AsyncMigrations
from llmspell.model.clock import Clock
from llmspell.model.context import ROOT, Correlation, current
from llmspell.model.entry import Entry
from llmspell.model.ids import Ids, id_bytes, id_text
from llmspell.model.labels import check_label
from llmspell.model.page import Page, check_limit, cursor_seq
from llmspell.model.scope import GLOBAL, Scope
from llmspell.neighbours import captures_of, cleaning_of, neighbours_of, tasks_of
from llmspell.principals.handle import AsyncPrincipal
from llmspell.principals.parts import Parts
from llmspell.principals.sharing import AsyncSharing
from llmspell.registry.service import AsyncSchemas
from llmspell.report import report_callback, report_hook, report_maintenance
from llmspell.schema import FORMAT
from llmspell.security.care import AsyncKeys
from llmspell.sessions.service import AsyncSessions
from llmspell.sessions.session import AsyncSession, close_block
from llmspell.shredding.service import Shredder
from llmspell.state.classes import Protection, StateClass, check_class
from llmspell.state.defaults import ClassDefaults
from llmspell.state.ephemeral import Ephemeral
from llmspell.state.past import Comparison, Moment
from llmspell.state.rows import read_changes_of
from llmspell.state.service import AsyncState
from llmspell.timeline import read_timeline
from llmspell.views import AsyncView, When, check_scope, moment_of

if TYPE_CHECKING:
    from llmspell.adapters.sqlite.connection import Durability
    from llmspell.artifacts.captures.service import AsyncCaptures
    from llmspell.artifacts.collect import CollectReport, Orphans
    from llmspell.hooks.callers import Caller
    from llmspell.state.values import StateChange, StateDifference
    from llmspell.verify import Verification


class AsyncStore:
    """An open store on asyncio, its rooms as attributes. Belongs to the event loop it was opened in.

    Get one from ``llmspell.open_async``; it is an async context manager. ``sessions``, ``state`` (the global scope),
    ``agents``, ``artifacts``, ``captures``, ``events``, ``hooks``, ``access``, ``sharing``, ``schemas`` and
    ``migrations`` are the rooms.
    """

    def __init__(
        self, files: OpenStore, database: Any, clock: Clock, ids: Ids, caller: Caller, offload: Any,
        protection: Protection,
    ) -> None:  # fmt: skip
        self._files = files
        self._database = database
        self._acting = Acting()
        self._offload = offload
        self._validators: dict[str, Any] = {}
        self._ephemeral = Ephemeral()
        self.protection = protection
        protection.offload = offload
        self.hooks = Hooks(caller, report=report_hook, monotonic_ns=clock.monotonic_ns)
        self._source = JournalEvents(files.engine.read, files.timeline)
        self._dispatcher = Dispatcher(self._source, now_ns=clock.now_ns, report=report_callback)
        self.journal = Journal(database, KINDS, clock, ids, watched=lambda: self._dispatcher.active)
        bindings: Any = protection.schemas
        bindings.of(self.journal)
        self.journal.defaults = ClassDefaults()
        files.engine.listeners.append(self._offer)
        files.engine.report = report_maintenance
        self._maintenance = Maintenance(files.engine, tasks_of(self, cleaning := cleaning_of(self)), report_maintenance)
        files.engine.after_checkpoint = self._maintenance.run
        self._ledger = Ledger(self.journal, read_only=files.engine.read_only, report=report_maintenance)
        self.state = self.state_of(GLOBAL)
        self.events = self.events_of(self._acting)
        self.artifacts = self.artifacts_of(self._acting)
        self.keys = AsyncKeys(self._store_sealer, protection.sealer.demand_keyring, offload)
        self.agents = AsyncAgents(self.journal, self.hooks, self._acting, protection.scan, offload)
        self.access = AsyncAccess(self.journal, self._acting)
        self.sharing = AsyncSharing(self.journal, self._acting)
        self.schemas = AsyncSchemas(self.journal, self.hooks, self._acting, offload, bindings)
        self.migrations = self._migrations(bindings.validators)
        near = neighbours_of(self, self._shredder(), files, offload, self._state, cleaning, self._ephemeral.forget)
        self.sessions = AsyncSessions(self.journal, self.hooks, self._acting, near)

    async def start(self) -> None:
        """Bring files of an older format to this version's, and write the first entry of a new store. Called once by
        whoever opens; a crash before it is made good by the next.
        """
        if self._files.outdated:
            await self._migrate()
        self.sessions.neighbours.retention.begin()
        if self._files.engine.read_only or self._source.head():
            return

        async def unit(writer: Any) -> None:
            if writer.head_seq == 0:
                payload = StoreCreated(self.id, self.timeline_id, FORMAT)
                await writer.append(STORE_CREATED, payload, await writer.scope("global"), "store")

        await self.journal.write(unit, context=ROOT)

    async def _migrate(self) -> None:
        from llmspell.formats import bring_up_to_date

        try:
            await self._offload.run(bring_up_to_date, self._files, self.journal)
        except BaseException:
            await self._offload.close()  # When only the waiting was cancelled, the work still goes on.
            self._files.close()  # First of all: what closing a store still writes would go to tables it does not know.
            await self.close()
            raise

    @cached_property
    def captures(self) -> AsyncCaptures:
        """Which outputs of tools, agents and users become artifacts."""
        return captures_of(self, self._acting)

    @property
    def path(self) -> Path | None:
        """The store's folder; None in memory."""
        return self._files.path

    @property
    def id(self) -> str:
        """The store's own id, given at its creation."""
        return self._files.store_id

    @property
    def timeline_id(self) -> str:
        """Id of the history this store is on; a restore starts a new one."""
        return self._files.timeline

    @property
    def durability(self) -> Durability:
        """What an acknowledged write survives: ``full`` a power cut, ``process`` a kill, ``none`` nothing."""
        return self._files.durability

    @property
    def encrypted(self) -> bool:
        """Whether the files of the store are sealed whole."""
        return self._files.cipher is not None

    def state_of(self, scope: Scope, *, state_class: StateClass | str | None = None) -> AsyncState:
        """The state of a scope, ``Scope.agent("researcher")`` for instance. ``state_class`` is the class of keys that
        this handle makes without naming one.
        """
        if not isinstance(scope, Scope):
            raise InvalidInput(
                f"state_of takes a Scope, not a {type(scope).__name__}",
                code="invalid-scope",
                hint='like Scope.agent("researcher"), or Scope.parse("agent:researcher")',
            )
        return self._state(scope, self._acting, check_class(state_class))

    def _state(self, scope: Scope, acting: Acting, default: str | None = None) -> AsyncState:
        return AsyncState(self.journal, self.hooks, scope, acting, self.protection, self._ephemeral, default)

    def acting_as(self, principal: str | Scope) -> AsyncPrincipal:
        """A handle that sees and does only what ``principal`` may: all in the scope of its own name, and what grants
        and boundaries open (``store.access``). ``principal`` is a text like ``agent:researcher``; text of no known kind
        is a custom one. Raises InvalidInput (``invalid-principal``). This handle here is the owner's and is not
        checked.
        """
        return AsyncPrincipal(
            Parts(
                self.journal, self.hooks, self.protection, self._ephemeral, self._dispatcher, self._ledger,
                self._files.engine.read,
            ),
            principal,
        )  # fmt: skip

    def session(self, name: str, **fields: Any) -> AbstractAsyncContextManager[AsyncSession]:
        """A block that is a session: created (with ``fields`` as ``sessions.create`` takes them) when it is entered,
        completed when it ends, failed with the error that went through it. Everything done inside belongs to it.
        """
        return self._session_block(name, fields)

    @asynccontextmanager
    async def _session_block(self, name: str, fields: dict[str, Any]) -> Any:
        session = await self.sessions.create(name, **fields)
        session.enter(session)
        try:
            try:
                yield session
            except BaseException as exc:
                await close_block(session, exc)
                raise
            await close_block(session, None)
        finally:
            session.leave()

    @contextmanager
    def correlate(self, name: str) -> Iterator[str]:
        """Give everything done inside a correlation of its own; gives its id. Nests: the inner one knows the outer.

        Follows tasks started inside. The correlation is in the journal from its first entry on.
        """
        context = current.get()
        correlation = Correlation(
            self.journal.ids.new(), check_label(name, "a correlation's name"), context.correlation
        )
        token = current.set(replace(context, correlation=correlation))
        try:
            yield id_text(correlation.id)
        finally:
            current.reset(token)

    async def timeline(
        self,
        *,
        session: str | None = None,
        correlation: str | None = None,
        kinds: Iterable[str] = (),
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        limit: int = 100,
        cursor: str | None = None,
        newest_first: bool = False,
    ) -> Page[Entry]:
        """What happened, in order: the journal's entries that fit all conditions, hashes checked, a page at a time.

        ``session`` and ``correlation`` are ids; ``kinds`` names of kinds, their aliases, or patterns like ``state.*``;
        ``since`` and ``until`` are datetimes or RFC 3339 text, inclusive. The cursor leads to the next page, or to what
        happened since. A fork's begins with that of the session it left.
        """
        key = None if session is None else id_bytes(session, "session")
        thread = None if correlation is None else id_bytes(correlation, "correlation")
        return await read_timeline(
            self.journal, key, thread, KINDS.names(), kinds, since, until, limit, cursor, newest_first
        )

    def at(self, when: When) -> AsyncView:
        """The store as it was: after an entry (a seq), at a time (a datetime, or RFC 3339 text), some time ago
        (``"-5m"``; s, m, h, d or w), or at the newest checkpoint of a label (``"checkpoint:before-deploy"``).

        Raises InvalidInput (``invalid-moment``), NotFound (``entry-not-found``, ``checkpoint-not-found``).
        """
        return AsyncView(self.journal, self._moment(when))

    async def diff(
        self, a: When, b: When, *, scope: Scope | None = None, limit: int = 100, cursor: str | None = None
    ) -> Page[StateDifference]:
        """What state differs between two moments (as ``at`` takes them), in one scope or in all, a page at a time.

        Reads what was written after the earlier one: some 20 µs a key, after a scan of the keys there are. What a fork
        inherits is in the diff of its scope; in that of all, it stands with the session that wrote it.
        """
        comparison = Comparison(self._moment(a), self._moment(b), None if scope is None else check_scope(scope).name)
        wanted = check_limit(limit)
        return await self._database.read(lambda view: comparison.page(view, wanted, cursor))  # type: ignore[no-any-return]

    async def verify(self, *, progress: Callable[[int, int], None] | None = None) -> Verification:
        """Check everything: the hash chain, every payload, the projections against a rebuild, and all content.

        Reads the whole store; ``progress`` is told how many of how many entries are done. The report's ``findings``
        name what is damaged, ``checked`` what was looked at; nothing is changed. With the key sealed values are opened.
        """
        from llmspell.verify import verify_store

        return await self._offload.run(verify_store, self._files, KINDS, self.protection, progress)  # type: ignore[no-any-return]

    async def collect(
        self, *, dry_run: bool = False, progress: Callable[[int, int], None] | None = None
    ) -> CollectReport:
        """Take content away that nothing refers to any more, and give its room back. Others may read and write.

        What goes: contents whose versions were all deleted for good, and what puts left that never ended. Soft deleted
        versions keep theirs. ``progress`` is told how many of how many contents and chunks were looked at, in the
        thread that collects. Costs a scan of all lists of chunks. Raises Busy (``collect-running``), Corrupt when
        something needed is missing, StorageFailed.
        """
        from llmspell.artifacts.collect import collect

        return await self._offload.run(  # type: ignore[no-any-return]
            collect, self._files.engine, self._files.content, dry_run=dry_run, progress=progress
        )

    async def estimate(self) -> CollectReport:
        """What ``collect`` would do now, and what it would keep and why. Changes nothing."""
        return await self.collect(dry_run=True)

    async def orphans(self) -> Orphans:
        """The contents, chunks and files that nothing refers to. Changes nothing."""
        from llmspell.artifacts.collect import find_orphans

        return await self._offload.run(find_orphans, self._files.engine, self._files.content)  # type: ignore[no-any-return]

    async def stats(self) -> dict[str, Any]:
        """Counts and bytes: entries, sessions, artifacts, content before and after deduplication and compression."""
        from llmspell.stats import collect_stats

        saves = self.sessions.neighbours.saver.stats
        return await self._offload.run(collect_stats, self._files, self.journal, self._dispatcher, saves)  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Finish what is under way and close the files, also when finishing fails. Idempotent."""
        try:
            await self._offload.run(self.sessions.neighbours.close)
            self._dispatcher.close()
            await self._ledger.flush()
            await self._database.close()
            self.hooks.close()
            if self.path is not None and self._maintenance.due():
                await self._offload.run(self._maintenance.finish)
        finally:
            await self._offload.close()
            self.protection.close()
            self._files.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def changes_of(self, artifact_id: str, *, limit: int = 100, before: int | None = None) -> list[StateChange]:
        """Changes of state that named an artifact, newest first; the next page is ``before`` the last one's seq."""
        artifact, wanted = id_bytes(artifact_id, "artifact"), check_limit(limit)
        bound = (1 << 63) - 1 if before is None else cursor_seq(before)
        shown = self.protection.shown
        return await self._database.read(lambda view: read_changes_of(view, artifact, bound, wanted, shown))  # type: ignore[no-any-return]

    def _moment(self, when: When) -> Moment:
        return self._files.engine.read(lambda view: moment_of(view, when, self.journal.clock.now_ns()))

    # -- wiring --------------------------------------------------------------------------------------------------------

    def _offer(self, entries: list[Entry]) -> None:
        """Hand committed entries to the subscribers. They are committed: nothing that goes wrong here may say else."""
        try:
            events = self._source.convert(entries)
        except LlmspellError:
            events = []  # The dispatcher then reads the journal, and its readers are told what is wrong there.
        self._dispatcher.offer(events)

    def _shredder(self) -> Shredder:
        def keyring() -> Any | None:
            sealer = None if self.path is None else self.protection.sealer.sealer()
            return sealer.keyring() if sealer is not None and sealer.path.exists() else None

        return Shredder(self.journal, self._files, self._offload, keyring, rewrite, self._ephemeral.forget)

    def _store_sealer(self) -> Any:
        if self.path is None:
            raise InvalidInput("a store in memory has no keys to keep", code="no-folder")
        return self.protection.sealer.sealer()

    def _migrations(self, validators: Any) -> AsyncMigrations:
        return AsyncMigrations(
            self.journal, self.hooks, self._acting, self.protection, self.protection.scan, self._offload,
            (self.id, self.path), self.schemas, validators, self.state_of, self.agents,
        )  # fmt: skip

    def artifacts_of(self, acting: Acting) -> AsyncArtifacts:
        """The artifacts room for a handle that acts elsewhere."""
        parts = self._files.content, self._offload, self._validators, self._ledger.note_level
        return AsyncArtifacts(self.journal, self.hooks, acting, *parts)

    def events_of(self, acting: Acting) -> AsyncEvents:
        """The events room for a handle that acts elsewhere."""
        return AsyncEvents(self.journal, self.hooks, acting, self._dispatcher)
