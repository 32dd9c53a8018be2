"""The entries of a fork as a bundle carries them: those of the sessions it goes back to come first, as if they had been
written in the fork itself, which begins with what it was forked with. So elsewhere it is a session like any other.

What is not carried of the others, and counted as left out: their own steps and fields, their quotas, their rules
of captures and what was counted by them, and their runs.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import msgspec

from llmspell.artifacts.captures.kinds import ArtifactCaptured, CaptureRulesSet, CaptureSkipped
from llmspell.artifacts.kinds import (
    ArtifactAdopted,
    ArtifactDeleted,
    ArtifactErased,
    ArtifactQuotaSet,
    ArtifactRenamed,
    ArtifactStored,
    ArtifactTagged,
    ArtifactUndeleted,
    ArtifactUpdated,
)
from llmspell.artifacts.projection import STORED
from llmspell.artifacts.relations.kinds import ArtifactRelated
from llmspell.errors import Corrupt
from llmspell.journal.reading import COLUMNS, check_row
from llmspell.model.entry import Entry
from llmspell.model.ids import id_text
from llmspell.portable.leaving import Leaving, Read
from llmspell.portable.payloads import CARRIED
from llmspell.portable.records import Carried
from llmspell.ports.database import Reading, Row
from llmspell.runs.kinds import RunFailed, RunFinished, RunRecorded, RunResumed, RunStarted
from llmspell.schema import queries
from llmspell.sessions.kinds import (
    SessionCheckpointed,
    SessionCreated,
    SessionForked,
    SessionMoved,
    SessionRestored,
    SessionSaved,
    SessionUpdated,
)
from llmspell.sessions.projection import CREATED
from llmspell.state.kinds import StateDefaultSet, StateDeleted, StateExpired, StateSet

_SESSIONS = queries("llmspell.sessions")
_FIRST = "SELECT min(seq) FROM entry WHERE session = ?"
_FORKED = f"SELECT {COLUMNS} FROM entry WHERE seq = ?"
_LEVELS = "SELECT ancestor, bound, since_seq FROM fork_level WHERE session = ? AND until_seq IS NULL ORDER BY depth"
_ADOPTIONS = (
    f"SELECT {COLUMNS} FROM entry WHERE session = ? AND +kind = 'artifact.adopted' AND seq BETWEEN ? AND ? ORDER BY seq"
)
_STAY = frozenset(name for name, kind in CARRIED.items() if kind.payload in {
    SessionUpdated, SessionMoved, SessionSaved, SessionRestored, ArtifactQuotaSet, CaptureRulesSet, ArtifactCaptured,
    CaptureSkipped, RunStarted, RunResumed, RunRecorded, RunFinished, RunFailed,
})  # fmt: skip
"""What an ancestor's entry says about itself only."""
_ERASED = (
    "SELECT e.artifact, e.seq, a.name, max(a.since_seq) FROM artifact a JOIN artifact_erased e ON e.artifact = a.id"
    " WHERE a.session = ?1 AND a.since_seq BETWEEN ?2 AND ?3 AND e.seq > ?3 AND e.seq <= ?4 GROUP BY e.artifact"
)
"""What a session had from one entry to another, and deleted for good later, up to a third."""
_encode = msgspec.json.Encoder().encode
Past = list[tuple[bytes, int]]
"""The sessions that a fork goes back to, the nearest first, each with the last entry of it that counts."""


def past_of(view: Reading, session: bytes) -> tuple[Past, int]:
    """What a fork goes back to, without what was shredded, and the entry that made it; nothing for what is no fork."""
    rows = view.all(_LEVELS, (session,))
    past = [(ancestor, bound) for ancestor, bound, _ in rows if view.one(_SESSIONS["shredded"], (ancestor,)) is None]
    return past, rows[0][2] if rows else 0


class Flattened:
    """The entries of a fork up to ``seq``, and of what it goes back to. As ``Leaving`` is used."""

    def __init__(
        self, read: Read, kinds: Any, session: bytes, seq: int, opened: Callable[[StateSet], Any] | None, past: Past,
        forked: int,
    ) -> None:  # fmt: skip
        self._read = read
        self._kinds = kinds
        self._forked = forked
        self._standing = _Standing() if len(read(lambda view: view.all(_LEVELS, (session,)))) > len(past) else None
        self._parts = [_Level(read, kinds, one, last, opened) for one, last in ((session, seq), *past)]
        self.spans = [span for part in self._parts for span in part.spans]
        """What counts: sessions, the nearest first, each with its first and its last entry."""

    @property
    def left_out(self) -> dict[str, int]:
        """By kind, what of the timeline is not carried."""
        found: dict[str, int] = {}
        for part in self._parts:
            for kind, count in part.left_out.items():
                found[kind] = found.get(kind, 0) + count
        return found

    @property
    def redacted(self) -> int:
        """Sealed values, and sealed items of runs, that were replaced."""
        return sum(part.redacted for part in self._parts)

    def seals(self) -> bool:
        """Whether anything would be redacted."""
        self._placed()
        return any(part.seals() for part in self._parts)

    def entries(self) -> Iterator[Carried]:
        """Oldest first, each hash checked."""
        created, first, adopted = self._placed()
        yield msgspec.structs.replace(created, seq=min(first, created.seq))
        own = chain.from_iterable(part.entries() for part in reversed(self._parts))
        yield from heapq.merge(own, self._erased(adopted), key=_seq)

    def _placed(self) -> tuple[Carried, int, dict[str, str]]:
        """Tell the levels what is known of the whole: the entry that creates the session elsewhere, the first seq, and
        what is adopted.
        """
        created, first, adopted, labels = self._read(self._look)
        for place, part in enumerate(self._parts):
            part.place(self.spans[0][0], adopted, labels[place], self._standing, inherited=place > 0)
        return created, first, adopted

    def _erased(self, adopted: dict[str, str]) -> Iterator[Carried]:
        """What was deleted for good where it belongs since the fork's past left there. The fork does not show it: it
        had let it go, or began later, at an earlier moment. Its content may be gone.
        """
        fork, _, now = self.spans[0]
        names: dict[int, str] = {}
        for span in self.spans:
            rows = self._read(partial(_all, _ERASED, (*span, now)))
            names |= {at: name for artifact, at, name, _ in rows if id_text(artifact) not in adopted}
        for at in sorted(names):
            stored = self._read(partial(_all, _FORKED, (at,)))
            entry = check_row(stored[0]) if stored else None
            payload = None if entry is None else self._payload(entry)
            if entry is not None and payload is not None:
                payload = msgspec.structs.replace(payload, session=id_text(fork), name=names[at])
                yield Carried(
                    at, id_text(entry.id), entry.happened_at, entry.kind, entry.kind_version,
                    id_text(entry.correlation), 0, entry.actor, msgspec.Raw(_encode(payload)), inside=False,
                )  # fmt: skip

    def _look(self, view: Reading) -> tuple[Carried, int, dict[str, str], list[frozenset[str]]]:
        """The entry that creates the session elsewhere, the first seq of its history, what versions are the fork's own
        now, and the labels that each level sees taken by the ones after it.
        """
        (first,) = view.one(_FIRST, (self.spans[-1][0],)) or (None,)
        adopted: dict[str, str] = {}
        labels: list[frozenset[str]] = []
        taken: set[str] = set()
        for session, start, bound in self.spans:
            labels.append(frozenset(taken))
            taken.update(row[1] for row in view.all(_SESSIONS["checkpoints"], (session, bound)))
            for row in view.all(_ADOPTIONS, (session, start, bound)):
                one = self._payload(check_row(row))
                if one is not None:
                    adopted[one.source] = adopted.get(one.id, one.id)
        stored = view.one(_FORKED, (self._forked,))
        forked = None if stored is None else check_row(stored)
        new: SessionForked | None = None if forked is None else self._payload(forked)
        if forked is None or new is None or first is None:
            raise Corrupt(f"session {id_text(self.spans[0][0])} is a fork, but no entry made it")
        payload = SessionCreated(
            new.id, new.name, new.description, new.tags, new.metadata, new.config, new.created_by, new.parent,
            new.correlation,
        )  # fmt: skip
        created = Carried(
            forked.seq, id_text(forked.id), forked.happened_at, CREATED.name, CREATED.version,
            id_text(forked.correlation), 0, forked.actor, msgspec.Raw(_encode(payload)),
        )  # fmt: skip
        return created, first, adopted, labels

    def _payload(self, entry: Entry) -> Any:
        return None if entry.payload is None else self._kinds.decode(entry.kind, entry.payload)


def _all(sql: str, args: tuple[Any, ...], view: Reading) -> list[Row]:
    return view.all(sql, args)


def _seq(carried: Carried) -> int:
    return carried.seq


class _Standing:
    """The versions and keys that a bundle has so far, where a session that the fork goes back to was shredded: what
    entries say about those of that one is about nothing, unless the fork had made a version its own.
    """

    def __init__(self) -> None:
        self._ids: dict[str, tuple[str, int]] = {}
        self._versions: set[tuple[str, int]] = set()
        self._keys: set[str] = set()

    def __contains__(self, artifact: str) -> bool:
        return artifact in self._ids

    def admits(self, payload: Any) -> bool:
        """Whether it is about what is there, if it is about a version or a key; it is noted then."""
        if isinstance(payload, ArtifactStored):
            self._ids[payload.id] = payload.name, payload.version
            self._versions.add((payload.name, payload.version))
        elif isinstance(payload, ArtifactRenamed):
            moved = {id_: (payload.to, number) for id_, (name, number) in self._ids.items() if name == payload.name}
            self._ids |= moved
            self._versions.update(moved.values())
            return bool(moved)
        elif isinstance(payload, ArtifactTagged):
            return (payload.name, payload.version) in self._versions
        elif isinstance(payload, ArtifactRelated):
            return payload.artifact in self._ids
        elif isinstance(payload, ArtifactUpdated | ArtifactDeleted | ArtifactUndeleted | ArtifactErased):
            return payload.id in self._ids
        elif isinstance(payload, StateSet):
            self._keys.add(payload.key)
        elif isinstance(payload, StateDeleted | StateExpired):
            there = payload.key in self._keys
            self._keys.discard(payload.key)
            return there
        return True


class _Level(Leaving):
    """The entries of one of the sessions, as the fork's."""

    def place(
        self, fork: bytes, adopted: dict[str, str], taken: frozenset[str], standing: _Standing | None, *,
        inherited: bool,
    ) -> None:  # fmt: skip
        """Whose entries they become, and what is known of the whole."""
        self._standing = standing
        self._fork = id_text(fork)
        self._adopted = adopted
        self._taken = taken
        self._inherited = inherited

    def _carried(self, entry: Entry) -> Carried | None:
        if entry.kind == "artifact.adopted":
            return self._adoption(entry)
        if entry.kind == "session.forked" or (self._inherited and entry.kind == CREATED.name):
            return None  # It is told as the creation.
        if self._inherited and entry.kind in _STAY:
            self._leave(entry)
            return None
        carried = super()._carried(entry)
        if carried is None:
            return None
        payload = self._kinds.decode(carried.kind, bytes(carried.payload))
        if self._inherited and isinstance(payload, SessionCheckpointed) and payload.label in self._taken:
            self._leave(entry)
            return None
        placed = self._placed(payload)
        if self._standing is not None and not self._standing.admits(placed):
            self._leave(entry)
            return None
        return msgspec.structs.replace(carried, payload=msgspec.Raw(_encode(placed)))

    def _adoption(self, entry: Entry) -> Carried | None:
        """It only gives a version another id, unless the one that it was made of is gone for good: then it is all there
        is of the version, which is told as stored.
        """
        one: ArtifactAdopted | None = None if entry.payload is None else self._kinds.decode(entry.kind, entry.payload)
        if self._standing is None or one is None or self._id_of(one.id) in self._standing:
            return None
        sources = [self._id_of(source) for source in one.derived_from]
        stored = ArtifactStored(
            self._id_of(one.id), self._fork, one.name, one.version, one.type, one.mime_type, one.description, one.tags,
            one.metadata, sources, one.size, one.digest,
        )  # fmt: skip
        self._standing.admits(stored)
        return Carried(
            entry.seq, id_text(entry.id), one.created_at, STORED.name, STORED.version, id_text(entry.correlation),
            0, entry.actor, msgspec.Raw(_encode(stored)), entry.session == self._session,
        )  # fmt: skip

    def _placed(self, payload: Any) -> Any:
        """The same as the fork's own."""
        changed: dict[str, Any] = {}
        if isinstance(payload, StateSet | StateDeleted | StateExpired | StateDefaultSet):
            changed["scope"] = f"session:{self._fork}"
            if isinstance(payload, StateSet):
                changed["sealed_for"] = msgspec.UNSET
                if payload.artifacts is not msgspec.UNSET:
                    changed["artifacts"] = [self._id_of(one) for one in payload.artifacts]
        elif isinstance(payload, SessionCheckpointed):
            changed["id"] = self._fork
        elif isinstance(payload, ArtifactStored):
            changed = {"session": self._fork, "derived_from": [self._id_of(one) for one in payload.derived_from]}
        elif isinstance(payload, ArtifactDeleted | ArtifactUndeleted):
            changed = {"session": self._fork, "inherited": False}
        elif isinstance(payload, ArtifactRelated):
            changed = {"artifact": self._id_of(payload.artifact), "other": self._id_of(payload.other)}
            changed["session"] = self._fork
        elif isinstance(payload, ArtifactErased | ArtifactTagged | ArtifactRenamed):
            changed["session"] = self._fork
        if isinstance(payload, ArtifactStored | ArtifactUpdated | ArtifactDeleted | ArtifactUndeleted | ArtifactErased):
            changed["id"] = self._id_of(payload.id)
        return msgspec.structs.replace(payload, **changed)

    def _id_of(self, artifact: str) -> str:
        return self._adopted.get(artifact, artifact)
