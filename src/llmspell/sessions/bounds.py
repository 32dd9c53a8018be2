"""Limits of a session, held in the very transaction that would pass them.

They travel with the context of whatever is done in the session, so nothing is asked of sessions without limits. Steps
of the lifecycle are never refused: a session that is full can be saved, completed, restored and deleted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from llmspell.errors import LimitExceeded
from llmspell.model.ids import id_bytes, id_text
from llmspell.sessions.config import SessionConfig, SessionLimits

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer
    from llmspell.sessions.info import SessionInfo
    from llmspell.sessions.steps import Neighbours

T = TypeVar("T")
_KINDS = "SELECT DISTINCT kind FROM entry WHERE seq BETWEEN ? AND ?"
_ENTRIES = (
    "SELECT coalesce((SELECT entries FROM session_activity WHERE session = ?1), 0)"
    " + (SELECT count(*) FROM entry WHERE session = ?1"
    " AND seq > coalesce((SELECT seq FROM watermark WHERE name = 'terms'), 0))"
)
_HELD = "SELECT count(*), coalesce(sum(size), 0) FROM artifact WHERE session = ? AND until_seq IS NULL"
_GROWING = frozenset({"artifact.stored", "artifact.undeleted", "artifact.adopted"})
_FREE = frozenset({"run", "access", "correlation", "clock", "store"})
"""Rooms whose entries only tell about others: they count, and are not refused."""


class Bounds:
    """The limits of one session. See ``model.context.Bounds``."""

    __slots__ = ("_created_ns", "_limits", "_note", "_session")

    def __init__(
        self, session: bytes, limits: SessionLimits | None, created_ns: int, note: Callable[[int], None] | None
    ) -> None:
        """``limits`` None: it has none. ``note`` is told how much each unit wrote, before it is committed."""
        self._note = note
        self._session = session
        self._limits = limits
        self._created_ns = created_ns

    def around(self, work: Callable[[Writer], Awaitable[T]]) -> Callable[[Writer], Awaitable[T]]:
        """``work``, and then a look whether the session is within its limits with what it wrote."""

        async def bounded(writer: Writer) -> T:
            before = len(writer.appended)
            value = await work(writer)
            if len(writer.appended) > before:
                if self._limits is not None:
                    await self._check(writer, self._limits, writer.appended[before], writer.appended[-1])
                if self._note is not None:
                    self._note(len(writer.appended) - before)
            return value

        return bounded

    async def _check(self, writer: Writer, limits: SessionLimits, first: int, last: int) -> None:
        kinds = {kind for (kind,) in await writer.all(_KINDS, (first, last))}
        rooms = {kind.partition(".")[0] for kind in kinds}
        if "session" in rooms or rooms <= _FREE:
            return
        if limits.duration_s is not None:
            passed = (writer.origin.clock - self._created_ns) / 1e9
            if passed > limits.duration_s:
                raise self._passed("duration", "session-duration-limit", "seconds", limits.duration_s, passed)
        if limits.operations is not None:
            (entries,) = await writer.one(_ENTRIES, (self._session,)) or (0,)
            if entries > limits.operations:
                raise self._passed("operations", "session-operations-limit", "entries", limits.operations, entries)
        if kinds & _GROWING and not (limits.artifacts is None and limits.storage_bytes is None):
            count, size = await writer.one(_HELD, (self._session,)) or (0, 0)
            if limits.artifacts is not None and count > limits.artifacts:
                raise self._passed("artifacts", "session-artifacts-limit", "versions", limits.artifacts, count)
            if limits.storage_bytes is not None and size > limits.storage_bytes:
                raise self._passed("storage", "session-storage-limit", "bytes", limits.storage_bytes, size)

    def _passed(self, what: str, code: str, unit: str, limit: float, found: float) -> LimitExceeded:
        return LimitExceeded(
            f"session {id_text(self._session)} has a limit of {limit:,} {unit} ({what}); this would make it {found:,}",
            code=code, hint="complete it and go on in another session", limit=limit, found=found,
        )  # fmt: skip


def bounds_of(info: SessionInfo, session: bytes, near: Neighbours) -> Bounds | None:
    """The bounds of a session, None for one without limits that is not saved by itself."""
    config = info.config
    if not config.keys() & {"limits", "auto_save_interval_s", "auto_save_changes", "retention"}:
        return None
    settings = SessionConfig.of(config)
    if settings.retention.max_age_s is not None:
        near.retention.begin()
    limits = None if settings.limits == SessionLimits() else settings.limits
    note = near.saver.watch(session, id_bytes(info.correlation_id), settings)
    return None if limits is None and note is None else Bounds(session, limits, info.created_ns, note)
