"""What the journal says about runs of scripts: the payloads of their entries. Ids are UUID text, digests hex."""

from __future__ import annotations

from typing import Any

import msgspec


class RunStarted(msgspec.Struct):
    """A script began. With this entry alone the run can be done again: source, arguments, engine, seeds.

    ``mode`` is ``script``, ``exec`` or ``repl``; ``then`` what becomes of the session at the end (``complete``,
    ``suspend`` or ``keep``). ``grants`` says what beyond the store the script may touch.
    """

    id: str
    session: str
    name: str
    mode: str
    source: str
    source_digest: str
    args: Any
    config: dict[str, Any]
    engine: dict[str, Any]
    limits: dict[str, Any]
    grants: dict[str, Any]
    then: str


class RunResumed(msgspec.Struct):
    """A run goes on, in its ``attempt``-th attempt.

    Records of the steps ``dropped`` (with all below them) do not count any more: those steps are tried again.
    ``source`` is given when the run goes on with another text than it began with.
    """

    id: str
    attempt: int
    dropped: list[str]
    source: str | None = None
    source_digest: str | None = None


class RunRecorded(msgspec.Struct):
    """Part of a run's record: items as ``llmspell.runs.items`` describes them, in the order they came about.

    A step that changed the store is recorded by the same transaction that made the change.
    """

    id: str
    items: list[msgspec.Raw]


class RunFinished(msgspec.Struct):
    """The script came to its end with this value. ``packed`` when the value holds bytes (base64 of MessagePack).

    Of a run that had a secret at hand, ``sealed`` holds both, and ``value`` shows ``[REDACTED]``.
    """

    id: str
    attempt: int
    value: Any
    packed: bool
    usage: dict[str, Any]
    sealed: str | msgspec.UnsetType = msgspec.UNSET


class RunFailed(msgspec.Struct):
    """The script ended with an error, or was stopped.

    ``retry`` is the path of the step whose failure ended it, if a step did: a resumed run does that step again. Of a
    run that had a secret at hand, ``sealed`` holds code, reason and traceback.
    """

    id: str
    attempt: int
    code: str
    reason: str
    traceback: str
    origin: str
    retry: str | None
    usage: dict[str, Any]
    sealed: str | msgspec.UnsetType = msgspec.UNSET
