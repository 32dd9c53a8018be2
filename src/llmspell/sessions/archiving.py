"""Exporting a session before a cleanup lets it go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from llmspell.errors import LlmspellError
from llmspell.model.ids import id_bytes

if TYPE_CHECKING:
    from llmspell.sessions.ported import BundleKey, Porter
    from llmspell.sessions.retention import CleanupReport, RetentionPolicy

T = TypeVar("T")
_MEANWHILE = frozenset({"session-not-found", "session-changed", "erased"})
"""Another cleanup was first, or somebody destroyed what was to be archived."""
_FOLDER_SUFFIX = ".llmspell-session"


def archived(
    porter: Porter, policy: RetentionPolicy, id_: str, key: BundleKey | None, report: CleanupReport
) -> Path | None:
    """The file that a session was exported to, in this thread; None, and noted, when it could not be."""

    def archive() -> Path:
        path = archive_path(policy, id_)
        porter.archive(id_bytes(id_), path, key)
        return path

    return _done(archive, id_, report)


def plain(porter: Porter, id_: str, report: CleanupReport) -> bool:
    """Whether a session can be archived without a key, as far as is known before it is done; noted when not."""

    def look() -> bool:
        porter.demand_plain(id_bytes(id_))
        return True

    return _done(look, id_, report) is not None


def _done(work: Callable[[], T], id_: str, report: CleanupReport) -> T | None:
    """Do something with a session; None, and noted, when it could not be done."""
    try:
        return work()
    except LlmspellError as exc:
        if exc.code in _MEANWHILE:
            report.changed.append(id_)
        else:
            report.fail(id_, exc)
        return None


def archive_path(policy: RetentionPolicy, id_: str) -> Path:
    """The file that a session is exported to before it goes; its folder is made."""
    folder = Path(policy.archive_to or ".")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise LlmspellError(f"cannot make {folder}: {exc.strerror}", code="cannot-write") from exc
    return folder / f"{id_}{_FOLDER_SUFFIX}"
