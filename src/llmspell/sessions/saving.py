"""Saving by itself: sessions whose settings ask for it are saved in the background of an open store.

Nobody waits for it: a thread of its own commits the saves, on both faces. A save that fails is tried again later each
time (1 s, 2 s, 4 s … up to 5 minutes), and after five in a row that session is left alone for a minute; the first
failure and that pause are entries of their own, and ``stats`` counts all. Hooks of saving are not asked, since that
thread cannot; ``session.saved`` is there for whoever listens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from llmspell.errors import LlmspellError, NotFound
from llmspell.journal.acting import InSession, enter
from llmspell.journal.journal import Origin
from llmspell.model.context import MAINTENANCE
from llmspell.model.ids import id_text
from llmspell.sessions import units
from llmspell.sessions.kinds import SessionAutoSaveFailed
from llmspell.sessions.projection import AUTO_SAVE_FAILED

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal, Writer
    from llmspell.sessions.config import SessionConfig

FAILURES_MAX = 5
PAUSE_S = 60.0
BACKOFF_S_MAX = 300.0
WAIT_S = 5.0
"""How long a save waits for its turn."""
_CHANGED = (
    "SELECT 1 FROM entry WHERE session = ?1 AND seq > ?2 AND +kind NOT IN ('session.saved', 'session.auto_save_failed')"
    " LIMIT 1"
)
_STATUS = "SELECT status FROM session WHERE id = ? AND until_seq IS NULL"
_S = 1_000_000_000


class Files(Protocol):
    """The open database as auto-save uses it."""

    read_only: bool

    def commit(self, units: Any, *, strong: bool = False, wait_s: float | None = None) -> Any:
        """Commit units under the turn."""
        ...


@dataclass(slots=True)
class _Watched:
    session: bytes
    correlation: bytes
    interval_ns: int | None
    changes_max: int | None
    changes: int = 0
    saved_seq: int = 0
    saved_ns: int = 0
    failures: int = 0
    not_before_ns: int = 0

    def due_ns(self) -> int | None:
        """When it is to be saved, by the monotonic clock; None while nothing asks for it."""
        if not self.changes:
            return None
        due = None if self.interval_ns is None else self.saved_ns + self.interval_ns
        if self.changes_max is not None and self.changes >= self.changes_max:
            due = 0
        return None if due is None else max(due, self.not_before_ns)


class AutoSaver:
    """The auto-saves of one open store. Thread-safe; ``tick`` is what its thread does when a time has come."""

    def __init__(self, journal: Journal, files: Files, report: Callable[[str, BaseException], None]) -> None:
        self._journal = journal
        self._files = files
        self._report = report
        self._watched: dict[bytes, _Watched] = {}
        self._wake = threading.Condition()
        self._one_at_a_time = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._counts = {"saved": 0, "failed": 0, "paused": 0}
        self._last_error: str | None = None

    def watch(self, session: bytes, correlation: bytes, settings: SessionConfig) -> Callable[[int], None] | None:
        """Save a session as its settings ask; gives what is to be told of its changes, None when they do not ask."""
        interval, changes = settings.auto_save_interval_s, settings.auto_save_changes
        if (interval is None and changes is None) or self._files.read_only:
            return None
        now = self._journal.clock.monotonic_ns()
        with self._wake:
            interval_ns = None if interval is None else round(interval * _S)
            mine = _Watched(session, correlation, interval_ns, changes, saved_ns=now)
            watched = self._watched.setdefault(session, mine)
        return lambda count: self._note(watched, count)

    def _note(self, watched: _Watched, count: int) -> None:
        """A session changed (or may have: its unit may yet be undone, which a save looks at itself). One that had ended
        may have been resumed, so it is watched again; whether it was, the next save sees.
        """
        with self._wake:
            if self._closed:
                return
            watched = self._watched.setdefault(watched.session, watched)
            watched.changes += count
            self._start()

    def tick(self, *, ending: bool = False) -> None:
        """Save what is due now; ``ending``: all that changed. Never raises for what the store or the disk does."""
        with self._one_at_a_time:
            now = self._journal.clock.monotonic_ns()
            with self._wake:
                due = [
                    one for one in self._watched.values()
                    if (ending and one.changes) or ((at := one.due_ns()) is not None and at <= now)
                ]  # fmt: skip
            for one in due:
                self._save(one, now)

    def stats(self) -> dict[str, Any]:
        """Counts of this handle: sessions watched, saves, failures, pauses, and the last error's text."""
        with self._wake:
            return {"watched": len(self._watched), **self._counts, "last_error": self._last_error}

    def close(self) -> None:
        """Save what changed, and end the thread. Idempotent."""
        with self._wake:
            ended, self._closed = self._closed, True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        if not ended:
            self.tick(ending=True)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="llmspell-auto-save", daemon=True)
            self._thread.start()
        self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                if self._closed:
                    return
                now = self._journal.clock.monotonic_ns()
                left = [(at - now) / _S for one in self._watched.values() if (at := one.due_ns()) is not None]
                if not left or min(left) > 0:
                    self._wake.wait(min(left, default=None))
                    continue
            self.tick()

    def _save(self, one: _Watched, now: int) -> None:
        with self._wake:
            counted = one.changes
        context = enter(MAINTENANCE, InSession(one.session, one.correlation, 0))
        unit = self._journal.unit_of(
            lambda writer: save_if_changed(writer, one.session, one.saved_seq), context=context
        )
        error: BaseException | None
        try:
            outcome = self._files.commit((unit,), strong=True, wait_s=WAIT_S)[0]
            error, seq = outcome.error, outcome.value
        except LlmspellError as exc:
            error, seq = exc, None
        if isinstance(error, NotFound):
            with self._wake:
                one.changes -= counted
                if not one.changes:
                    self._watched.pop(one.session, None)
        elif error is not None:
            self._failed(one, now, error, context)
        else:
            with self._wake:
                one.changes -= counted
                one.saved_ns, one.failures, one.not_before_ns = now, 0, 0
                one.saved_seq = seq or one.saved_seq
                self._counts["saved"] += seq is not None

    def _failed(self, one: _Watched, now: int, error: BaseException, context: Any) -> None:
        with self._wake:
            one.failures += 1
            paused = one.failures % FAILURES_MAX == 0
            wait_s = PAUSE_S if paused else min(2.0 ** (one.failures - 1), BACKOFF_S_MAX)
            one.not_before_ns = now + round(wait_s * _S)
            self._counts["failed"] += 1
            self._counts["paused"] += paused
            self._last_error = str(error)
            ended = self._closed
        if one.failures == 1 or paused:
            self._report("auto-save", error)
            if not ended:
                self._tell(one, error, wait_s, context)

    def _tell(self, one: _Watched, error: BaseException, wait_s: float, context: Any) -> None:
        code = error.code if isinstance(error, LlmspellError) else "failed"
        payload = SessionAutoSaveFailed(id_text(one.session), code, str(error)[:1000], one.failures, wait_s)

        async def unit(writer: Writer) -> None:
            scope = await writer.scope(units.scope_of(one.session))
            await writer.append(AUTO_SAVE_FAILED, payload, scope, "session")

        try:
            self._files.commit((self._journal.unit_of(unit, context=context),), wait_s=WAIT_S)
        except LlmspellError:
            return  # The store does not take entries now; the counts and the log have it.


async def save_if_changed(writer: Writer, session: bytes, after: int) -> int | None:
    """The entry of a save; None when nothing was written in the session since. Raises NotFound when it has ended."""
    row = await writer.one(_STATUS, (session,))
    if row is None or row[0] not in {"active", "suspended"}:
        raise NotFound(f"session {id_text(session)} has ended", code="session-not-found")
    if await writer.one(_CHANGED, (session, after)) is None:
        return None
    return await units.save(writer, session)


async def save_all(writer: Writer, sessions: list[tuple[bytes, bytes]]) -> list[bytes]:
    """Save those of the sessions (id, correlation) that are still active, in one unit, each as its own; gives which."""
    saved, mine = [], writer.origin
    for session, correlation in sessions:
        row = await writer.one(_STATUS, (session,))
        if row is None or row[0] != "active":
            continue
        inside = enter(mine.context, InSession(session, correlation, 0))
        writer.origin = Origin(inside, mine.clock, mine.id, mine.salt, mine.jumped_s)
        try:
            await units.save(writer, session)
        finally:
            writer.origin = mine
        saved.append(session)
    return saved
