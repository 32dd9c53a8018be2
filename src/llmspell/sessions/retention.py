"""How long sessions are kept: a policy, and which sessions it lets go. Only sessions that ended are ever looked at."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from llmspell.errors import InvalidInput, LlmspellError
from llmspell.journal.asking import Asking, driven
from llmspell.model.arguments import check_flags, check_path, is_async
from llmspell.model.ids import id_bytes
from llmspell.model.session import check_status
from llmspell.model.telling import told
from llmspell.ports.database import Reading, Row
from llmspell.schema import queries
from llmspell.sessions.config import SECONDS_MAX, SessionRetention
from llmspell.sessions.info import SessionInfo
from llmspell.sessions.last_done import last_done, last_inside

Why = Literal["age", "count", "size", "rule", "own-age"]
_INFO = queries("llmspell.sessions")["info"]
_PAGE_ROWS = 500
_AT_ONCE = 20
"""Sessions whose last activity one read asks for: so that it is short, however much they have."""
_ENDED = f"SELECT id, status, updated_at FROM session WHERE until_seq IS NULL AND id > ? ORDER BY id LIMIT {_PAGE_ROWS}"
_OPEN_INFO = f"{_INFO} WHERE s.id = ? AND s.until_seq IS NULL"
_ORPHANS = (
    "SELECT unhex(replace(substr(c.name, 9), '-', '')) AS id FROM scope c WHERE c.name GLOB 'session:*'"
    " AND EXISTS (SELECT 1 FROM state t WHERE t.scope = c.id AND t.deleted = 0)"
    " AND EXISTS (SELECT 1 FROM session s WHERE s.id = unhex(replace(substr(c.name, 9), '-', '')))"
    " AND NOT EXISTS (SELECT 1 FROM session s"
    "   WHERE s.id = unhex(replace(substr(c.name, 9), '-', '')) AND s.until_seq IS NULL)"
    " UNION SELECT a.session FROM artifact a WHERE a.until_seq IS NULL AND EXISTS"
    " (SELECT 1 FROM session s WHERE s.id = a.session) AND NOT EXISTS"
    " (SELECT 1 FROM session s WHERE s.id = a.session AND s.until_seq IS NULL)"
)
Read = Callable[[Callable[[Reading], Any]], Any]
"""Runs a query over one consistent state."""
_Activity = tuple[int, int, bytes]
ENDED = ("completed", "failed", "archived")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """Which sessions go. A session goes when any bound lets it go; ages are in seconds since anything was done in it.

    ``max_age_s``; ``max_count``: so many stay, those in which something was done last; ``max_bytes``: those in which
    something was done last stay as far as their artifacts together have so many bytes; ``rule``: a function of the
    ``SessionInfo`` that says True or False, no async one. ``statuses`` are those looked at: by default completed,
    failed and archived, also suspended when named; never active ones. ``archive_to``: a folder into which each is
    exported before it is deleted. ``orphans``: remove what was written to sessions after their deletion.

    By default what is deleted stays in the journal as history, artifacts too, and takes as much room as before.
    ``hard`` deletes the artifacts for good, as ``sessions.delete(hard=True)`` does: ``collect`` then frees their
    contents, all but those that forks or other sessions' artifacts share.

    A session's own retention comes first: what it says to keep stays and counts towards nothing. Raises InvalidInput
    (``invalid-policy``).
    """

    max_age_s: float | None = None
    max_count: int | None = None
    max_bytes: int | None = None
    rule: Callable[[SessionInfo], bool] | None = None
    statuses: Sequence[str] = ENDED
    archive_to: str | Path | None = None
    orphans: bool = True
    hard: bool = False
    every_s: float | None = field(default=None, init=False, compare=False)
    """Of a stored policy: how often the background applies it at most, in seconds, as ``set_retention`` was told."""

    def __post_init__(self) -> None:
        age: Any = self.max_age_s
        if age is not None and (type(age) not in {int, float} or not 0 <= age <= SECONDS_MAX):
            raise _wrong("max_age_s is a number of seconds", age)
        for name in ("max_count", "max_bytes"):
            bound = getattr(self, name)
            if bound is not None and (type(bound) is not int or not 0 <= bound < 1 << 63):
                raise _wrong(f"{name} is a whole number from 0", bound)
        if self.rule is not None and not callable(self.rule):
            raise _wrong("rule is a function of a SessionInfo", self.rule)
        if is_async(self.rule):
            raise _wrong("rule is a plain function of a SessionInfo, which nobody awaits", self.rule)
        statuses: object = self.statuses
        if isinstance(statuses, str) or not isinstance(statuses, Sequence):
            raise _wrong("statuses are a list", statuses)
        if "active" in [check_status(status) for status in statuses]:
            raise InvalidInput("active sessions are never cleaned up", code="invalid-policy")
        object.__setattr__(self, "statuses", tuple(str(status) for status in statuses))
        folder: Any = self.archive_to
        if folder is not None and not _is_path(folder):
            raise _wrong("archive_to is a folder", folder)
        check_flags(orphans=self.orphans, hard=self.hard)

    def to_dict(self) -> dict[str, Any]:
        """As it is stored. Raises InvalidInput (``rule-not-stored``) when it has a rule."""
        if self.rule is not None:
            raise InvalidInput(
                "a policy that is stored has no rule, since functions are not", code="rule-not-stored",
                hint="call cleanup with it, or store the bounds alone",
            )  # fmt: skip
        return {
            "max_age_s": self.max_age_s, "max_count": self.max_count, "max_bytes": self.max_bytes,
            "statuses": [str(status) for status in self.statuses],
            "archive_to": None if self.archive_to is None else str(self.archive_to), "orphans": self.orphans,
            "hard": self.hard,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Due:
    """A session that may go, and why. ``seq`` is the store's newest entry that was known then: what was done in the
    session since may keep it.
    """

    info: SessionInfo
    why: Why
    seq: int

    def to_dict(self) -> dict[str, Any]:
        """Its fields that a person wants to see, in JSON types."""
        info = self.info
        return {
            "id": info.id, "name": info.name, "status": str(info.status), "why": self.why,
            "updated_at": info.updated_at.isoformat(), "artifact_bytes": info.artifact_bytes,
        }  # fmt: skip


@dataclass(slots=True)
class CleanupReport:
    """What a cleanup did, or with ``dry_run`` would do.

    ``deleted`` (each with its ``why``) and, where they were exported before, ``archived`` paths; ``vetoed`` by a hook;
    ``changed`` while it went on, and so left; ``failed`` to be exported, or in the background to be deleted, and so
    left, with the error's code of each in ``codes``. ``looked_at`` counts sessions of the policy's statuses,
    ``orphans`` deleted ones that something was left of. ``artifact_bytes`` are those of the deleted; after a
    cleanup by a ``hard`` policy ``collect`` frees them, and after no other.
    """

    dry_run: bool
    looked_at: int = 0
    deleted: list[dict[str, Any]] = field(default_factory=list)
    archived: list[str] = field(default_factory=list)
    vetoed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    codes: dict[str, str] = field(default_factory=dict)
    orphans: int = 0
    artifact_bytes: int = 0

    def fail(self, id_: str, error: BaseException) -> None:
        """Note that a session stays because of an error."""
        self.failed.append(id_)
        self.codes[id_] = error.code if isinstance(error, LlmspellError) else "failed"

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {name: getattr(self, name) for name in self.__slots__}


def _is_path(folder: object) -> bool:
    try:
        return bool(check_path(folder))
    except InvalidInput:
        return False


def check_policy(policy: object) -> None:
    """Raises InvalidInput (``invalid-policy``) for what is none."""
    if not isinstance(policy, RetentionPolicy):
        raise InvalidInput(
            f"a policy is a RetentionPolicy, not {told(policy)}", code="invalid-policy",
            hint="RetentionPolicy(max_age_s=…)",
        )  # fmt: skip


def policy_of(stored: dict[str, Any], every_s: float) -> RetentionPolicy:
    """The policy that was stored."""
    policy = RetentionPolicy(**stored)
    object.__setattr__(policy, "every_s", every_s)
    return policy


def due_sessions(read: Read, policy: RetentionPolicy, now: int) -> tuple[list[Due], int]:
    """The sessions that a policy lets go, those last in which nothing was done for the longest time, and how many it
    looked at. A scan of all sessions, a page at a time; where they are counted, also a look-up for each key, artifact,
    checkpoint and run of each, some 20 µs.
    """
    judge, found, looked_at = _Judge(read, policy, now), [], 0
    seq = read(_newest_seq)  # Before anything is judged: what comes after it was not considered.
    counted = policy.max_count is not None or policy.max_bytes is not None
    statuses = frozenset(str(status) for status in policy.statuses)
    active = sorted(_activity(read, statuses, exact=counted), reverse=True)
    for info, done_ns in _infos(read, active, statuses):
        looked_at += 1
        why = judge.why(info, done_ns)
        if why is not None:
            found.append(Due(info, why, seq))
    return found, looked_at


def orphans(view: Reading) -> list[bytes]:
    """Deleted sessions of which something is left."""
    return [session for (session,) in view.all(_ORPHANS)]


class _Judge:
    """Goes through sessions, those in which something was done last first, and counts those that stay."""

    def __init__(self, read: Read, policy: RetentionPolicy, now: int) -> None:
        self._read = read
        self._policy = policy
        self._now = now
        self._count = self._bytes = 0

    def why(self, info: SessionInfo, done_ns: int) -> Why | None:
        """Why it goes; None when it stays. ``done_ns`` is when something was last done in it."""
        policy, own = self._policy, info.settings.retention
        if own.keep:
            return None
        if own != SessionRetention() and own.max_age_s is not None:
            return "own-age" if self._older(info, done_ns, own.max_age_s) else None
        if policy.max_age_s is not None and self._older(info, done_ns, policy.max_age_s):
            return "age"
        if policy.rule is not None and _said(policy.rule(info)):
            return "rule"
        if policy.max_count is not None and self._count >= policy.max_count:
            return "count"
        size = info.artifact_bytes if policy.max_bytes is not None else 0
        if policy.max_bytes is not None and self._bytes + size > policy.max_bytes:
            return "size"
        self._count += 1
        self._bytes += size
        return None

    def _older(self, info: SessionInfo, done_ns: int, age_s: float) -> bool:
        if self._now - done_ns <= age_s * 1e9:
            return False
        _, at = self._read(partial(_last_done, id_bytes(info.id)))  # It costs more.
        return bool(self._now - at > age_s * 1e9)


def _said(answer: object) -> bool:
    if type(answer) is not bool:
        if isinstance(answer, Coroutine):
            answer.close()
        raise _wrong("a rule says True or False", answer)
    return answer


def _activity(read: Read, statuses: frozenset[str], *, exact: bool) -> Iterator[_Activity]:
    """When something was last done in each session of some statuses: its seq, its time, the session. What was written
    from outside of a session counts only when it is to be ``exact``.
    """
    after = b""
    while rows := read(partial(_all, _ENDED, (after,))):
        after = rows[-1][0]
        asked = [(session, updated_at) for session, status, updated_at in rows if status in statuses]
        for start in range(0, len(asked), _AT_ONCE):
            yield from read(partial(_last_of, asked[start : start + _AT_ONCE], exact))


def _last_of(asked: list[tuple[bytes, int]], exact: bool, view: Reading) -> list[_Activity]:
    look, found = last_done if exact else last_inside, []
    for session, updated_at in asked:
        seq, at = driven(look(Asking(view), session))
        found.append((seq, max(at, updated_at), session))
    return found


def _infos(read: Read, active: list[_Activity], statuses: frozenset[str]) -> Iterator[tuple[SessionInfo, int]]:
    """The sessions as they are by now, in the order given, each with when something was last done in it."""
    for start in range(0, len(active), _PAGE_ROWS):
        part = active[start : start + _PAGE_ROWS]
        rows = read(partial(_rows, [session for _, _, session in part]))
        for row, (_, done_ns, _) in zip(rows, part, strict=True):
            if row is not None and row[3] in statuses:
                yield SessionInfo(row), done_ns


def _rows(sessions: list[bytes], view: Reading) -> list[Row | None]:
    return [view.one(_OPEN_INFO, (session,)) for session in sessions]


def _last_done(session: bytes, view: Reading) -> tuple[int, int]:
    return driven(last_done(Asking(view), session))


def _all(sql: str, args: tuple[object, ...], view: Reading) -> list[Row]:
    return view.all(sql, args)


def _newest_seq(view: Reading) -> int:
    row = view.one("SELECT max(seq) FROM entry")
    return (row[0] if row else 0) or 0


def _wrong(rule: str, value: object) -> InvalidInput:
    return InvalidInput(f"{rule}, not {told(value)}", code="invalid-policy")
