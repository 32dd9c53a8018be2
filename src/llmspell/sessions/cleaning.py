"""Letting sessions go by a policy: asked for, or in the background of an open store.

Each session goes in a unit of its own, which looks again whether it has ended and whether anything was done in it
since it was judged; so a session that somebody resumed or wrote in meanwhile stays. What is to be archived is exported,
durable, before that, and the session goes only when the archive holds the last that was done.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell.errors import InvalidInput, NotFound, Vetoed
from llmspell.journal.acting import InSession, enter
from llmspell.journal.maintenance import Task, is_failure
from llmspell.journal.room import is_full, making_room
from llmspell.model.arguments import check_flags, check_function
from llmspell.model.context import MAINTENANCE, Context
from llmspell.model.ids import id_bytes
from llmspell.schema import queries
from llmspell.security.key_files import check_output
from llmspell.sessions import erasing, units
from llmspell.sessions.archiving import archived, plain
from llmspell.sessions.kinds import SessionsCleaned
from llmspell.sessions.last_done import last_done
from llmspell.sessions.projection import CLEANED
from llmspell.sessions.registered import EVERY_S, policy_now
from llmspell.sessions.retention import (
    CleanupReport,
    Due,
    RetentionPolicy,
    check_policy,
    due_sessions,
    orphans,
)

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal, Writer
    from llmspell.journal.maintenance import Result
    from llmspell.ports.database import Reading
    from llmspell.sessions.ported import BundleKey, PortProgress
    from llmspell.sessions.steps import Neighbours, Steps

T = TypeVar("T")
_OPEN = "SELECT status FROM session WHERE id = ? AND until_seq IS NULL"
_SQL = queries("llmspell.sessions")
_RUN = "retention-run"
"""The watermark that holds, in place of a seq, when the background came to its end last (ns): it need not write an
entry of having done nothing, and still is not due again when the store is opened anew.
"""
_STAYED, _WENT = 1, 2
"""What a step of the background came to; either is more than nothing."""


class Cleaning:
    """Cleanups of one store."""

    def __init__(self, journal: Journal, steps: Steps, neighbours: Neighbours) -> None:
        self._journal = journal
        self._steps = steps
        self._near = neighbours

    def check(self, policy: RetentionPolicy) -> None:
        """Raises InvalidInput (``invalid-policy``, ``path-in-store`` for a folder of archives in the store's own,
        ``path-of-key``).
        """
        check_policy(policy)
        if policy.archive_to is not None:
            check_output(policy.archive_to)

    async def cleanup(
        self,
        given: RetentionPolicy | None,
        context: Context,
        *,
        archive_key: BundleKey | None,
        dry_run: bool,
        progress: PortProgress | None,
    ) -> CleanupReport:
        """See ``AsyncSessions.cleanup``."""
        policy = given if given is not None else await self._journal.database.read(policy_now)
        if policy is None:
            raise NotFound(
                "no policy is stored, and none was given", code="no-policy",
                hint="say what may go, or store a policy (`llmspell session retention`)",
            )  # fmt: skip
        self.check(policy)
        check_flags(dry_run=dry_run)
        check_function(progress)
        porter = self._near.porter
        if archive_key is not None:
            porter.check_key(archive_key)
            if policy.archive_to is None:
                raise InvalidInput("archive_key goes with a policy that has archive_to", code="invalid-policy")
        now = self._journal.clock.now_ns()
        due, looked_at = await porter.off(due_sessions, porter.read, policy, now)
        left = await porter.off(porter.read, orphans) if policy.orphans else []
        report = CleanupReport(dry_run, looked_at=looked_at, orphans=len(left))
        for done, one in enumerate(due, 1):
            if dry_run:
                await self._foresee(one, policy, archive_key, report)
            else:
                await self._let_go(one, policy, archive_key, context, report)
            if progress is not None:
                progress("sessions", done)
        if dry_run:
            return report
        await self._write(policy, context, lambda writer: finish(writer, policy, report, left, self._near))
        await self._erase_marked(context)
        return report

    async def _write(self, policy: RetentionPolicy, context: Context, unit: Callable[[Writer], Awaitable[T]]) -> T:
        """Write a unit; what goes for good by the policy may use the room that is set aside for it."""
        write = partial(self._journal.write, unit, context=context)
        return await (making_room(write, self._near.free_reserve) if policy.hard else write())

    async def _erase_marked(self, context: Context) -> None:
        """Go on with what is to go for good: of this cleanup, and of those that were killed."""
        for session in await self._journal.database.read(erasing.marked):
            await erasing.to_the_end(self._journal, context, session, self._near.erase, self._near.free_reserve)

    async def _foresee(self, one: Due, policy: RetentionPolicy, key: BundleKey | None, report: CleanupReport) -> None:
        porter, id_ = self._near.porter, one.info.id
        without_key = policy.archive_to is not None and key is None
        if not without_key or await porter.off(plain, porter, id_, report):
            _count(report, one)

    async def _let_go(
        self, one: Due, policy: RetentionPolicy, key: BundleKey | None, context: Context, report: CleanupReport
    ) -> None:
        info, near = one.info, self._near
        session = id_bytes(info.id)
        inside = enter(context, InSession(session, id_bytes(info.correlation_id), 0))
        try:
            await self._steps.point(inside, "before_session_delete", "cleanup", info, one.why)
        except Vetoed:
            report.vetoed.append(info.id)
            return
        archive = None
        if policy.archive_to is not None:
            archive = await near.porter.off(archived, near.porter, policy, info.id, key, report)
            if archive is None:
                return
        went = await self._write(policy, inside, lambda writer: let_go(writer, one, policy, archive, near))
        settle(report, one, archive, went=went)
        if went:
            near.forget(session)
            await self._steps.point(inside, "after_session_delete", "cleanup", info, one.why)


class BackgroundCleaning:
    """The same as a task of maintenance, by the stored policy, every so many seconds of an open store.

    Hooks cannot be asked in its thread: while one may refuse a deletion (``may_refuse``), nothing goes here.
    """

    def __init__(self, journal: Journal, neighbours: Callable[[], Neighbours], may_refuse: Callable[[], bool]) -> None:
        self._journal = journal
        self._neighbours = neighbours
        self._may_refuse = may_refuse
        self._lock = threading.Lock()
        self._begun_ns: int | None = None
        self._asked_ns: int | None = None
        self._due: list[Due] | None = None
        self._marked: list[tuple[bytes, erasing.Position | None]] = []
        self._report = CleanupReport(dry_run=False)
        self._settle: Callable[[Result], None] = _unheard
        self._policy = RetentionPolicy()

    def task(self) -> Task:
        """The task. Each of its steps lets one session go; the last one says what was done."""
        return Task("retention", self._is_due, self._unit, 1, self._ended)

    def due_ns(self, view: Reading) -> int | None:
        """When it is to be done without other occasion, by the monotonic clock; None while there is nothing to go by.
        The first time is as long after this was asked first as the others are after each other.
        """
        policy, now = policy_now(view), self._journal.clock.monotonic_ns()
        if policy is None:
            return None
        every_ns = _every_ns(policy)
        if self._may_refuse():
            return now + every_ns
        if self._asked_ns is None:
            self._asked_ns = now
        last_ns = self._last_ns(view)
        return now if self._due is not None else (self._asked_ns if last_ns is None else last_ns) + every_ns

    def _is_due(self, view: Reading) -> bool:
        policy = None if self._may_refuse() else policy_now(view)
        if policy is None or self._due is not None:
            return policy is not None
        last_ns = self._last_ns(view)
        return last_ns is None or last_ns + _every_ns(policy) <= self._journal.clock.monotonic_ns()

    def _last_ns(self, view: Reading) -> int | None:
        """When it was done last, here or by whoever had the store open, by the monotonic clock."""
        clock = self._journal.clock
        (done_ns,) = view.one(_SQL["indexed_until"], (_RUN,)) or (None,)
        ago_ns = None if done_ns is None else clock.now_ns() - done_ns
        if ago_ns is None or ago_ns < 0:  # The clock was set back: nobody knows how long it was.
            return self._begun_ns
        found: int = clock.monotonic_ns() - ago_ns
        return found if self._begun_ns is None else max(found, self._begun_ns)

    def _unit(self) -> Any:
        with self._lock:
            near, self._settle = self._neighbours(), _unheard
            policy = None if self._may_refuse() else near.porter.read(policy_now)
            if self._due is not None and policy != self._policy:
                self._due = []  # The rest is not to go, or not by this; what went is told.
            elif policy is None:
                return self._journal.unit_of(_nothing, context=MAINTENANCE)
            elif self._due is None:
                self._begin(near, policy)
            if self._marked:
                return self._erase_step(near, *self._marked[-1])
            if self._due:
                return self._step(near, self._due.pop())
            return self._end(near)

    def _begin(self, near: Neighbours, policy: RetentionPolicy) -> None:
        now = self._journal.clock.now_ns()
        self._policy = policy
        self._begun_ns = self._journal.clock.monotonic_ns()
        self._due, self._report.looked_at = due_sessions(near.porter.read, policy, now)
        self._marked = [(session, None) for session in near.porter.read(erasing.marked)]

    def _erase_step(self, near: Neighbours, session: bytes, after: erasing.Position | None) -> Any:
        """Go on with what is to go for good of one session."""
        at = after

        async def unit(writer: Writer) -> int:
            nonlocal at
            at = await erasing.step(writer, session, after, near.erase)
            return _WENT

        def settled(result: Result) -> None:
            if result.error is None or not self._again(result.error, near):
                self._marked.pop()
            if result.error is None and at is not None:
                self._marked.append((session, at))

        self._settle = settled
        return self._journal.unit_of(unit, context=MAINTENANCE)

    def _again(self, error: BaseException, near: Neighbours) -> bool:
        """Whether the same is tried again: nothing was tried, or there is room now for what makes room."""
        return not is_failure(error) or (self._policy.hard and is_full(error) and near.free_reserve())

    def _step(self, near: Neighbours, one: Due) -> Any:
        info, policy, report = one.info, self._policy, self._report
        session, archive = id_bytes(info.id), None
        if policy.archive_to is not None:
            archive = archived(near.porter, policy, info.id, None, report)
            if archive is None or near.porter.read(policy_now) != policy:
                return self._journal.unit_of(_stayed, context=MAINTENANCE)

        async def unit(writer: Writer) -> int:
            return _WENT if await let_go(writer, one, policy, archive, near) else _STAYED

        def settled(result: Result) -> None:
            if result.error is None:
                settle(report, one, archive, went=result.value == _WENT)
                if result.value == _WENT:
                    near.forget(session)
                if policy.hard and result.value == _WENT:
                    self._marked.append((session, None))
            elif self._again(result.error, near):
                self._due = [*(self._due or ()), one]
            else:
                report.fail(info.id, result.error)

        self._settle = settled
        context = enter(MAINTENANCE, InSession(session, id_bytes(info.correlation_id), 0))
        return self._journal.unit_of(unit, context=context)

    def _end(self, near: Neighbours) -> Any:
        policy, report = self._policy, self._report
        left = near.porter.read(orphans) if policy.orphans else []
        report.orphans = len(left)

        async def unit(writer: Writer) -> int:
            await finish(writer, policy, report, left, near)
            await writer.run(_SQL["set_indexed"], (_RUN, self._journal.clock.now_ns()))
            return 0

        def settled(result: Result) -> None:
            if result.error is None:
                self._report = CleanupReport(dry_run=False)
            if result.error is None or is_failure(result.error):
                self._due = None  # What could not be told is told with the next run.

        self._settle = settled
        return self._journal.unit_of(unit, context=MAINTENANCE)

    def _ended(self, result: Result) -> None:
        with self._lock:
            self._settle(result)


# -- units -------------------------------------------------------------------------------------------------------------


async def let_go(writer: Writer, one: Due, policy: RetentionPolicy, archive: Path | None, near: Neighbours) -> bool:
    """Delete a session, unless anything was done in it since it was judged; an archive was made later than that, and so
    holds it all.
    """
    session = id_bytes(one.info.id)
    row = await writer.one(_OPEN, (session,))
    if row is None or row[0] not in {str(status) for status in policy.statuses}:
        return False
    if (await last_done(writer, session))[0] > one.seq:
        return False
    await units.delete(
        writer, session, near.removers, why=one.why, archive=None if archive is None else str(archive),
        erase=near.erase if policy.hard else None,
    )  # fmt: skip
    return True


async def finish(
    writer: Writer, policy: RetentionPolicy, report: CleanupReport, left: list[bytes], near: Neighbours
) -> None:
    """Remove what is left of deleted sessions, and say what was done; nothing when there was nothing to do."""
    for session in left:
        if await writer.one(_OPEN, (session,)) is None:
            for remove in near.removers:
                with suppress(NotFound):  # Of whom the session itself is asked, and that is gone.
                    await remove(writer, session)
            if policy.hard:
                await erasing.begin(writer, session, writer.head_seq, near.erase)
    counts = [len(one) for one in (report.deleted, report.archived, report.vetoed, report.changed, report.failed)]
    if not any(counts) and not left:
        return
    deleted, exported, vetoed, changed, failed = counts
    payload = SessionsCleaned(
        policy_dict(policy), deleted, exported, vetoed, changed, failed, len(left), report.artifact_bytes,
        dict(sorted(Counter(report.codes.values()).items())),
    )  # fmt: skip
    await writer.append(CLEANED, payload, await writer.scope("global"), "session-cleanup")


def _every_ns(policy: RetentionPolicy) -> int:
    return round((policy.every_s or EVERY_S) * 1e9)


async def _nothing(_: Writer) -> int:
    return 0


async def _stayed(_: Writer) -> int:
    return _STAYED


def _unheard(_: Result) -> None:
    pass


def settle(report: CleanupReport, one: Due, archive: Path | None, *, went: bool) -> None:
    """Note what became of a session."""
    if not went:
        report.changed.append(one.info.id)
        return
    _count(report, one)
    if archive is not None:
        report.archived.append(str(archive))


def _count(report: CleanupReport, one: Due) -> None:
    report.deleted.append(one.to_dict())
    report.artifact_bytes += one.info.artifact_bytes


def policy_dict(policy: RetentionPolicy) -> dict[str, Any]:
    """A policy as the audit shows it."""
    return replace(policy, rule=None).to_dict() | {"rule": policy.rule is not None}
