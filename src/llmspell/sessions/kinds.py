"""What the journal says about sessions: the payloads of its entries. Ids are UUID text."""

from __future__ import annotations

from typing import Any

import msgspec


class SessionCreated(msgspec.Struct):
    """A session began. Its initial state follows as ``state.set`` entries of the same unit."""

    id: str
    name: str
    description: str
    tags: list[str]
    metadata: dict[str, Any]
    config: dict[str, Any]
    created_by: str | None
    parent: str | None
    correlation: str


class SessionForked(SessionCreated):
    """A session began as the fork of another. ``lineage``: the sessions that its history goes back to, the nearest
    first, with the last entry of each that counts. ``of`` is the session that was asked for: it may be a fork itself
    that was to be left before it began.
    """

    of: str
    lineage: list[tuple[str, int]]


class SessionUpdated(msgspec.Struct):
    """Descriptive fields changed; those given have a new value, the others stay."""

    id: str
    changed: dict[str, Any]


class SessionMoved(msgspec.Struct):
    """A session went from one status to another."""

    id: str
    was: str
    now: str
    reason: str | None = None


class SessionSaved(msgspec.Struct):
    """Everything acknowledged was made durable on disk. ``state_hash`` commits to the session's state."""

    id: str
    state_hash: str


class SessionCheckpointed(msgspec.Struct):
    """A named point to come back to. ``state_hash`` commits to the session's state at this entry."""

    id: str
    label: str
    state_hash: str


class SessionRestored(msgspec.Struct):
    """The session's state was set back to what it was at ``seq``; the ``state`` entries before this one did it."""

    id: str
    seq: int
    label: str | None
    changed: int
    state_hash: str


class SessionDeleted(msgspec.Struct, omit_defaults=True):
    """A session was deleted, with its state and artifacts, by the entries before this one.

    Of a cleanup: ``why`` (age, count, size, rule, own-age), and the file ``archive`` that it was exported to before.
    ``hard``: its artifacts go for good, by the entries that follow.
    """

    id: str
    why: str | None = None
    archive: str | None = None
    hard: bool = False


class SessionImported(msgspec.Struct):
    """A session of another store comes here; its entries follow, in the same transaction, each as it happened there.

    ``digest`` is the checksum of the bundle; ``original_id`` the session's id in it.
    """

    id: str
    original_id: str
    store_id: str
    timeline: str
    seq: int
    entries: int
    digest: str


class RetentionSet(msgspec.Struct):
    """The store's policy of how long sessions are kept, applied every so many seconds; None: no policy any more."""

    policy: dict[str, Any] | None
    every_s: float


class SessionsCleaned(msgspec.Struct):
    """A cleanup came to its end: how many sessions went, were exported before, or were left, and by what policy.
    ``codes`` counts those that could not be exported by their errors' codes.
    """

    policy: dict[str, Any]
    deleted: int
    archived: int
    vetoed: int
    changed: int
    failed: int
    orphans: int
    artifact_bytes: int
    codes: dict[str, int] = {}


class TemplateSet(msgspec.Struct):
    """A template of sessions was registered under a name, or (``fields`` None) taken away."""

    name: str
    fields: dict[str, Any] | None


class SessionAutoSaveFailed(msgspec.Struct):
    """A session could not be saved in the background; it is tried again after ``retry_s`` seconds."""

    id: str
    code: str
    message: str
    failures: int
    retry_s: float
