"""What shredding a session came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Shredded:
    """What was destroyed, or would be (``dry_run``), and what was not.

    ``payloads`` counts journal entries whose payload was erased; ``state_keys``, ``artifact_versions`` and ``runs``
    what left the tables; ``contents`` and ``chunks`` the content that went with them, ``keys`` the ids of the data keys
    destroyed. ``shared`` names artifacts whose content stays, because another session has the same; ``shared_chunks``
    counts chunks that stay for that reason. ``kept`` counts, by kind, entries that were written in the session about
    what does not belong to it (global state, an agent's record), and entries of others that name it or its keys (the
    audit of access to it, migrations): they stay. ``fork_keys`` counts keys of forks that were deleted there, because
    what they were set back to was sealed by the key that is gone.
    """

    id: str
    payloads: int = 0
    state_keys: int = 0
    artifact_versions: int = 0
    runs: int = 0
    contents: int = 0
    chunks: int = 0
    keys: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    shared_chunks: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    fork_keys: int = 0
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {name: getattr(self, name) for name in self.__slots__}
