"""What a hook is shown: the moment, the operation about to happen or done, and where it came from."""

from __future__ import annotations

from typing import Any

import msgspec


class HookContext(msgspec.Struct, frozen=True):
    """One call of a hook. Frozen; ``data`` and ``metadata`` are this hook's own copies: changing them changes nothing.

    ``point`` is the canonical name, ``component`` who acts (``state``, ``agent:researcher``), ``operation`` the verb.
    ``data`` holds JSON values by point: state {scope, key, value, old_value, operation, version};
    session {id, info, reason}; artifact {session_id, name, type, size, metadata, version}; custom: as triggered.
    ``session`` and ``correlation_id`` are ids as text, ``cause`` the seq of the entry that led here; None when there is
    none.
    """

    point: str
    component: str
    operation: str
    data: dict[str, Any]
    session: str | None = None
    metadata: dict[str, Any] = {}
    correlation_id: str | None = None
    cause: int | None = None
