"""Sessions: named stretches of work with a lifecycle, their own state and artifacts, and one correlation.

Every step is an entry; the table is temporal, so that lists stay right while sessions change and a later view can ask
for the past. Before-hooks of a step may change its fields or refuse it; after-hooks observe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llmspell.errors import NotFound
from llmspell.journal.acting import InSession, enter
from llmspell.model import limits
from llmspell.model.arguments import check_flags
from llmspell.model.count import Count
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.labels import check_creator, check_label, check_metadata, check_tags, check_text
from llmspell.model.page import Page, check_limit
from llmspell.schema import queries
from llmspell.sessions import units
from llmspell.sessions.batches import Batches
from llmspell.sessions.bounds import bounds_of
from llmspell.sessions.cleaning import Cleaning
from llmspell.sessions.config import SessionConfig, check_config
from llmspell.sessions.deleting import Deleting
from llmspell.sessions.family import SessionTree
from llmspell.sessions.finding import Finding
from llmspell.sessions.forking import Forking
from llmspell.sessions.info import SessionInfo, first_row
from llmspell.sessions.initial import check_initial_state
from llmspell.sessions.kinds import SessionCreated
from llmspell.sessions.naming import HasId, named
from llmspell.sessions.ported import Exported, Imported, OnConflict, PortProgress
from llmspell.sessions.porting import Porting
from llmspell.sessions.registered import EVERY_S, Registered, check_template, filled, retention_of
from llmspell.sessions.retention import CleanupReport, RetentionPolicy, policy_of
from llmspell.sessions.session import AsyncSession
from llmspell.sessions.steps import Neighbours, Steps

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.sessions.comparison import SessionComparison
    from llmspell.sessions.ported import BundleKey
    from llmspell.sessions.shredded import Shredded

_SQL = queries("llmspell.sessions")


class AsyncSessions:
    """All sessions of a store: ``store.sessions``."""

    def __init__(self, journal: Journal, hooks: Hooks, acting: Acting, neighbours: Neighbours) -> None:
        self._journal = journal
        self._hooks = hooks
        self._acting = acting
        self.neighbours = neighbours
        self._steps = Steps(journal, hooks, neighbours)
        self._deleting = Deleting(journal, self._steps, neighbours)
        self._cleaning = Cleaning(journal, self._steps, neighbours)
        self._registered = Registered(journal)
        self._finding = Finding(journal, self._steps.resolve)
        self._batches = Batches(journal, self._steps)
        self._porting = Porting(self._steps, hooks, neighbours.porter)
        self._forking = Forking(journal, hooks, self._steps, neighbours)

    async def create(
        self,
        name: str,
        *,
        description: str = "",
        tags: Iterable[str] = (),
        created_by: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        parent: str | HasId | None = None,
        config: SessionConfig | Mapping[str, Any] | None = None,
        state: Mapping[str, Any] | None = None,
        template: str | None = None,
    ) -> AsyncSession:
        """Begin a session; it is active. Everything given is stored and comes back in ``.info``.

        ``parent`` is a session, by id, unique name or handle; ``config`` are its settings (``SessionConfig``), or a
        dict of them and of the caller's own; ``state``, at most 10,000 keys, is set in its scope in the same
        transaction; ``template`` names a template whose fields it begins with (config and metadata are merged at every
        depth, state by key, tags added; what is given here wins). Writes ``session.created`` and a ``state.set`` a key.
        Raises InvalidInput, LimitExceeded, NotFound (the parent, the template), Conflict (``ambiguous-name``), Vetoed.
        """
        if template is not None:
            return await self._from_template(
                template, name, description=description, tags=tags, created_by=created_by, metadata=metadata,
                parent=parent, config=config, state=state,
            )  # fmt: skip
        fields: dict[str, Any] = {
            "name": check_label(name, "a session's name"),
            "description": check_text(description, "a description"),
            "tags": check_tags(tags),
            "metadata": {} if metadata is None else check_metadata(metadata),
        }
        settings = check_config(config)
        author = None if created_by is None else check_creator(created_by)
        above = None if parent is None else id_text(await self._steps.resolve(named(parent)))
        values = None if state is None else check_initial_state(state)
        outer = self._acting.context()
        ids = self._journal.ids
        session, correlation = ids.new(), ids.new()
        if "before_session_create" in self._hooks.armed:
            given = {"config": settings, "created_by": author, "parent": above}
            fields = await self._steps.before(outer, "create", session, fields, given)
        new = SessionCreated(
            id_text(session), fields["name"], fields["description"], fields["tags"], fields["metadata"], settings,
            author, above, id_text(correlation),
        )  # fmt: skip
        inside = enter(outer, InSession(session, correlation, outer.cause), anew=True)
        set_initial = told = None
        if values:
            set_initial, told = await self.neighbours.initial_state(inside, f"session:{new.id}", values)
        seq, at, entries = await self._journal.write(
            lambda writer: units.create(writer, new, set_initial), context=inside
        )
        info = SessionInfo(first_row(session, correlation, new, at, entries))
        bounds = bounds_of(info, session, self.neighbours) if settings else None
        handle = AsyncSession(self._steps, self.neighbours.rooms, info, InSession(session, correlation, seq, bounds))
        if told is not None or "after_session_create" in self._hooks.armed:
            await self._created(handle, told)
        return handle

    async def open(self, session_id: str) -> AsyncSession:
        """The handle of an existing session, whatever its status, by id or by its unique name. Raises NotFound."""
        info = await self._steps.find(session_id)
        session = id_bytes(info.id)
        first = await self._journal.database.one(_SQL["first_seq"], (session,))
        bounds = bounds_of(info, session, self.neighbours)
        place = InSession(session, id_bytes(info.correlation_id), first[0] if first else 0, bounds)
        handle = AsyncSession(self._steps, self.neighbours.rooms, info, place)
        await self._steps.point(handle.context(), "before_session_open", "open", info)
        await self._steps.point(handle.context(), "after_session_open", "open", info)
        return handle

    async def get(self, session_id: str) -> SessionInfo:
        """A session as it is now, by id or by its unique name. Raises NotFound (``session-not-found``)."""
        return await self._steps.find(session_id)

    async def count(self, *, exact: bool = False, **filters: Any) -> Count:
        """How many sessions fit the conditions of ``list``. Above 1,000 the count stops and says only that there are
        more, unless it is to be ``exact``: some 10 µs for each session then.
        """
        return await self._finding.count(filters, exact=exact)

    async def recent(self, count: int = 10) -> list[SessionInfo]:
        """The sessions that changed last, newest first."""
        return (await self.list(limit=count)).items

    async def children(self, session_id: str) -> list[SessionInfo]:
        """The sessions opened directly under one, oldest first. Raises NotFound. ``list(parent=…)`` gives pages."""
        info = await self.get(session_id)
        return await self._finding.children(id_bytes(info.id))

    async def parents(self, session_id: str) -> list[SessionInfo]:
        """The sessions above one, the nearest first, up to the top or to one that is gone. Raises NotFound."""
        info = await self.get(session_id)
        return await self._finding.parents(id_bytes(info.id))

    async def tree(
        self, session_id: str, *, limit: int = limits.TREE_SESSIONS_MAX, depth: int | None = None
    ) -> SessionTree:
        """A session with all below it; ``picture()`` draws it. At most ``limit`` sessions, the nearest first, and
        ``depth`` levels below; where there is more the tree says ``cut``. Raises NotFound.
        """
        return await self._finding.tree(await self.get(session_id), limit, depth)

    async def fork(
        self,
        session: str | HasId,
        at: int | str | datetime | None = None,
        name: str | None = None,
    ) -> AsyncSession:
        """A new session that goes on from a moment of another one (now by default), with a future of its own.

        ``at`` is what ``store.at`` takes, or a label of this session's checkpoints. State, artifacts and timeline begin
        with what was there; nothing of it is copied, and what either does from here on the other never sees. It has the
        other's fields as they were (``name``: that name with `` (fork)``). Writes ``session.forked``; about 1 ms,
        whatever the history. Raises NotFound, InvalidInput (``invalid-moment``, ``invalid-seq``), Conflict
        (``migration-running``: at that moment a migration had changed half of its values), LimitExceeded
        (``fork-depth``), Vetoed.
        """
        key = await self._steps.resolve(named(session))
        return await self._forking.fork(key, at, name, self._acting.context())

    async def compare(
        self, a: str | HasId, b: str | HasId, *, limit: int = 100, cursor: str | None = None
    ) -> SessionComparison:
        """What ``b`` has otherwise than ``a``: fields, keys and artifacts, a page at a time, and the session that both
        were forked from. Sealed values show as ``[REDACTED]``. For forks it costs what they changed; else some 20 µs a
        key. Raises NotFound.
        """
        keys = await self._steps.resolve(named(a)), await self._steps.resolve(named(b))
        return await self._forking.compare(*keys, check_limit(limit), cursor)

    async def delete(self, session_id: str, *, hard: bool = False) -> None:
        """Delete a session with its state and its artifacts. The journal keeps what happened, and with it what the
        artifacts held: it takes room for good. ``hard`` deletes them for good, in units of 500 versions (killed in
        between, the next cleanup goes on), so that ``collect`` frees the contents that no other version has; what
        forks show stays as long as they do. By its id also of a session that was deleted before. Raises NotFound,
        Vetoed, Conflict (``session-needed``: forks show all that a deleted one left).
        """
        await self._deleting.delete(self._acting.context(), await self._steps.resolve(session_id), hard=hard)

    async def shred(self, session_id: str, *, detach: bool = False, dry_run: bool = False) -> Shredded:
        """Destroy a session for good: the payloads of its entries, its state, runs, artifacts and data key.

        The journal keeps that there was something, and when; what was written in the session about other things (global
        state, an agent's record) stays and is counted in ``kept``. ``dry_run`` only looks. Nothing else may depend on
        the session, unless ``detach``. Killed at any point, it is finished by shredding again, and so is one that
        raised Busy. Both files are written anew, so it takes as long as copying them; writers wait meanwhile. Runs the
        hooks of deleting. Raises NotFound (``session-not-found``), Conflict (``session-active``, ``session-needed``,
        ``session-changed``), Vetoed, Busy, StorageFailed, and for a store with a keyring what opening it raises.
        """
        check_flags(detach=detach, dry_run=dry_run)
        session = await self._steps.resolve(session_id)
        shredder = self.neighbours.shredder
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

    async def export(
        self,
        session_id: str,
        path: str | Path,
        *,
        key: BundleKey | None = None,
        secrets: bool = False,
        overwrite: bool = False,
        progress: PortProgress | None = None,
    ) -> Exported:
        """Write a whole session to one file: state with history, checkpoints, artifacts with versions and labels,
        events, runs, timeline. It is as of the moment of the call; writers go on. Memory is bounded.

        ``overwrite`` replaces a plain file or a link to one. ``key``, a passphrase or 32 bytes, encrypts it. Sensitive
        values show as ``[REDACTED]``, unless ``secrets`` asks an encrypted bundle to carry them. ``progress`` is called
        in a thread with what is done and how many. Raises NotFound, AlreadyExists (``file-exists``), InvalidInput
        (``weak-passphrase``, ``secrets-need-key``, ``path-in-store``, ``path-of-key``), Conflict
        (``migration-running``; ``session-changed``: some of it was deleted for good meanwhile), Vetoed, StorageFailed,
        Corrupt.
        """
        session, context = await self._steps.resolve(session_id), self._acting.context()
        return await self._porting.export(session, path, key, progress, context, secrets=secrets, overwrite=overwrite)

    async def import_(
        self,
        path: str | Path,
        *,
        on_conflict: OnConflict = "fail",
        key: BundleKey | None = None,
        dry_run: bool = False,
        progress: PortProgress | None = None,
    ) -> Imported:
        """Take in a session that was exported: all of it or, whatever the file is, nothing.

        When the session is here already: ``fail``, ``skip`` it, ``rename`` (new ids and a free name), or ``replace``
        (delete the one here). Its entries are appended as imported ones: by ``imported:`` and who acted there, with the
        time it happened. The entries' unit holds the writers' turn, some 60 µs an entry.
        ``dry_run`` reads and checks the file, says what would be done, and asks no hooks. ``progress`` may not use the
        store. When others import the session or collect contents meanwhile, it begins again, eight times at most.
        Raises Corrupt (``invalid-bundle``), WrongKey, AlreadyExists (``session-exists``, ``artifact-exists``), Conflict
        (``session-shredded``, ``content-collected``, ``bundle-changed``), InvalidInput, Vetoed.
        """
        return await self._porting.import_(path, on_conflict, key, progress, self._acting.context(), dry_run=dry_run)

    async def cleanup(
        self,
        policy: RetentionPolicy | None = None,
        *,
        archive_key: BundleKey | None = None,
        dry_run: bool = False,
        progress: PortProgress | None = None,
    ) -> CleanupReport:
        """Delete the sessions that ``policy`` (the stored one by default) lets go, and say which and why. Where none is
        stored, those go that are older than they say themselves.

        Active sessions are never touched, nor one in which anything is done meanwhile. Each goes in a transaction of
        its own, after it was exported if the policy says so; its ``session.deleted`` says why, ``session.cleaned`` what
        was done in all. ``archive_key``, a passphrase or 32 bytes, encrypts the archives, which then carry what is
        sealed; without it a session with sealed values stays, as ``failed`` with the code ``archive-needs-key``.
        ``dry_run`` only looks, and foresees that. The hooks of deleting are asked for each. Raises NotFound
        (``no-policy``), InvalidInput (``weak-passphrase``, ``invalid-key``, and as ``set_retention``).
        """
        return await self._cleaning.cleanup(
            policy, self._acting.context(), archive_key=archive_key, dry_run=dry_run, progress=progress
        )

    async def set_retention(self, policy: RetentionPolicy | None, *, every_s: float = EVERY_S) -> None:
        """Store the policy that an open store applies in the background, at most every ``every_s`` seconds, whoever had
        it open; None: no policy any more, but what sessions say themselves. While a ``before_session_delete`` hook is
        registered, only ``cleanup`` lets sessions go. Raises InvalidInput (``invalid-policy``, ``rule-not-stored``,
        ``path-in-store``, ``path-of-key``).
        """
        if policy is not None:
            self._cleaning.check(policy)
        await self._registered.set_retention(self._acting.context(), policy, every_s)
        self.neighbours.retention.begin()

    async def retention(self) -> RetentionPolicy | None:
        """The stored policy; its ``every_s`` says how often it is applied."""
        found = await self._journal.database.read(retention_of)
        return None if found is None or found.policy is None else policy_of(found.policy, found.every_s)

    async def set_template(self, name: str, fields: Mapping[str, Any] | None) -> None:
        """Register a template: fields that ``create(template=name)`` begins with, each held to the rules of
        ``create``. None takes it away. Raises InvalidInput (``invalid-template`` and those of the fields),
        LimitExceeded, NotFound (``template-not-found``: there is none to take away).
        """
        checked = None if fields is None else check_template(fields)
        await self._registered.set_template(self._acting.context(), name, checked)

    async def templates(self) -> dict[str, dict[str, Any]]:
        """Registered templates by name."""
        return await self._registered.templates()

    async def save_all_active(self, *, progress: PortProgress | None = None) -> tuple[SessionInfo, ...]:
        """Save every active session in one transaction, durable on disk: all of them, or none. The hooks of saving
        are asked for each before; one that refuses stops all. Gives them as they are then. Raises Vetoed.
        """
        return await self._batches.save_all_active(self._acting.context(), progress)

    async def restore_recent(self, count: int, *, progress: PortProgress | None = None) -> tuple[SessionInfo, ...]:
        """Take up the ``count`` sessions that changed last and have not ended: suspended ones are active again.
        Gives them, the last changed first, without those that others end or delete meanwhile.
        """
        return await self._batches.restore_recent(self.open, check_limit(count), progress)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _created(self, handle: AsyncSession, told: Any) -> None:
        if told is not None:
            await told()
        await self._steps.point(handle.context(), "after_session_create", "create", handle.info)

    async def _from_template(self, template: str, name: str, **given: Any) -> AsyncSession:
        return await self.create(name, **filled(await self._registered.template(template), given))

    async def list(
        self,
        *,
        status: str | Iterable[str] | None = None,
        tags: Iterable[str] = (),
        created_by: str | None = None,
        parent: str | HasId | None = None,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        text: str | None = None,
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        updated_after: datetime | str | None = None,
        updated_before: datetime | str | None = None,
        ended_after: datetime | str | None = None,
        ended_before: datetime | str | None = None,
        order_by: str = "-updated_at",
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[SessionInfo]:
        """A page of sessions; all conditions given hold together. ``SessionQuery`` asks the same.

        ``status``: one, or several of which it has one. ``tags``: has each of them. ``name``: exactly. ``parent``: as
        for ``create``. ``metadata``: has each value at its path, names joined by dots (``{"user.id": 7}``); a list has
        its items' values, too.
        ``text`` are words of name, description, tags and metadata, which must all be there: ``"in a row"`` in quotes,
        ``beg*`` by their beginning, whatever their case and accents. Times are datetimes or RFC 3339 text, inclusive.

        ``order_by`` is ``updated_at``, ``created_at`` or ``name`` (by code point), which have an index; ``ended_at`` or
        ``last_activity`` (the last entry written in the session), for which all that fit are sorted at each page, some
        2 µs each. With ``-`` the newest, or last, come first; what has no end comes before all that have one.
        ``updated_at`` orders by the journal: an imported session stands where its import does, though its times, by
        which conditions go, may be older.

        A cursor goes on where its page ended, among the sessions as they were when the first page was read: nothing is
        missed or repeated while they change. Raises InvalidInput (``invalid-text-query``, ``invalid-cursor`` …).
        """
        given = {
            "status": status, "tags": tags, "created_by": created_by, "parent": parent, "name": name,
            "metadata": metadata, "text": text, "created_after": created_after, "created_before": created_before,
            "updated_after": updated_after, "updated_before": updated_before,
            "ended_after": ended_after, "ended_before": ended_before,
        }  # fmt: skip
        return await self._finding.page(given, order_by, limit, cursor)
