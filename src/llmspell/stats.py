"""What a store holds, in numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmspell.errors import StorageFailed

if TYPE_CHECKING:
    from llmspell.adapters.sqlite.store import OpenStore
    from llmspell.journal.journal import Journal
    from llmspell.ports.database import Reading

_COUNTS = """
SELECT
  (SELECT max(seq) FROM entry),
  (SELECT count(*) FROM session WHERE until_seq IS NULL),
  (SELECT count(*) FROM artifact WHERE until_seq IS NULL),
  (SELECT coalesce(sum(size), 0) FROM artifact WHERE until_seq IS NULL),
  (SELECT count(*) FROM blob),
  (SELECT coalesce(sum(size), 0) FROM blob),
  (SELECT coalesce(sum(size), 0) FROM (SELECT DISTINCT digest, size FROM artifact WHERE until_seq IS NULL)),
  (SELECT coalesce(sum(stored_size), 0) FROM blob WHERE inline IS NOT NULL),
  (SELECT count(*) FROM state WHERE deleted = 0),
  (SELECT count(*) FROM scope),
  (SELECT count(*) FROM agent WHERE until_seq IS NULL)
"""


def collect_stats(
    files: OpenStore, journal: Journal, dispatcher: Any, saves: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """See ``AsyncStore.stats``. Counts rows, so it takes longer on larger stores."""

    def query(view: Reading) -> tuple[Any, ...]:
        row = view.one(_COUNTS)
        pages, size = view.one("PRAGMA page_count") or (0,), view.one("PRAGMA page_size") or (0,)
        statuses = view.all("SELECT status, count(*) FROM session WHERE until_seq IS NULL GROUP BY status")
        if row is None:
            raise StorageFailed("the store gave no counts")
        return row, pages[0] * size[0], dict(statuses)

    row, main_bytes, statuses = files.engine.read(query)
    last_seq, sessions, artifacts, logical, blobs, unique, live, inline_stored, keys, scopes, agents = row
    content = files.content.stats()
    stored = inline_stored + content.stored_size
    return {
        "store_id": files.store_id,
        "timeline": files.timeline,
        "path": None if files.path is None else str(files.path),
        "durability": files.durability,
        "last_seq": last_seq or 0,
        "entries": last_seq or 0,
        "sessions": sessions,
        "sessions_by_status": statuses,
        "artifacts": artifacts,
        "agents": agents,
        "state_keys": keys,
        "scopes": scopes,
        "blobs": blobs,
        "chunks": content.chunks,
        "bytes": {
            "main_file": main_bytes,
            "artifacts": logical,
            "artifacts_unique": unique,
            "artifacts_stored": stored,
        },
        "dedup_ratio": round(logical / live, 3) if live else None,
        "compression_ratio": round(unique / stored, 3) if stored else None,
        "limits": files.engine.memory_limits() | {"scope_cache_entries_max": journal.scopes.ENTRIES_MAX},
        "subscriptions": len(dispatcher.subscriptions()),
        "auto_save": saves(),
    }
