"""What a shredding does to the files of a store: chunks go, and then no byte of them, or of rows, is left.

On a full disk the chunks go in smaller steps, and what they free makes room for what comes after. Writing the files
anew takes as much room as what stays in them; where there is none that is left to do, and noted so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell.artifacts.blob import unpack_ids
from llmspell.errors import Busy, LlmspellError, StorageFailed
from llmspell.journal.room import is_full
from llmspell.model import limits

if TYPE_CHECKING:
    from llmspell.adapters.sqlite.store import OpenStore
    from llmspell.ports.content import ContentStore
    from llmspell.shredding.plan import Pending

_ALL_LISTS = "SELECT chunk_ids, chunk_count FROM blob WHERE chunk_count > 0"
_BATCH_CHUNKS = 1024


def remove_content(files: OpenStore, note: Pending) -> int:
    """Remove the chunks that nobody names; how many of them are gone. Whoever puts content waits for its turn."""
    if not note.chunks:
        return 0
    with _turn_of(files):
        used = files.engine.read(_chunks_in_use)
        gone = sorted(set(note.chunks) - used)
        for start in range(0, len(gone), _BATCH_CHUNKS):
            _remove(files.content, gone[start : start + _BATCH_CHUNKS])
    files.content.overwrite(note.places)
    if files.content.is_tight():
        files.content.sweep.give_back()
    return len(gone)


def _remove(content: ContentStore, chunks: list[int]) -> None:
    """Remove chunks, on a full disk half of them first: what goes is overwritten through the WAL."""
    try:
        content.remove(chunks)
    except StorageFailed as exc:
        if not is_full(exc):
            raise
        given_up = content.free_reserve()
        content.sweep.make_room()
        if len(chunks) == 1 and not given_up:
            content.remove(chunks)
            return
        half = max(1, len(chunks) // 2)
        _remove(content, chunks[:half])
        if chunks[half:]:
            _remove(content, chunks[half:])


def write_anew(files: OpenStore, rewrite: Callable[[Path, float], None], content_too: bool) -> None:
    """Leave no byte of what was deleted in the files and their WALs. Each is tried, also when the other could not be.
    Raises Busy, StorageFailed.
    """
    if files.path is None:
        return
    failed: LlmspellError | None = None
    if content_too:
        try:
            files.content.rewrite()
        except (Busy, StorageFailed) as exc:
            failed = exc
    try:
        with _turn_of(files):
            rewrite(Path(files.engine.path), limits.BUSY_TIMEOUT_S)
    except StorageFailed as exc:
        failed = failed or exc
    if failed is not None:
        raise _unfinished(failed) if is_full(failed) else failed


def _unfinished(full: LlmspellError) -> StorageFailed:
    """What a full disk left to do, with that as its cause."""
    told = StorageFailed(
        f"what the session held is deleted, but bytes of it may be left in freed pages: {full}", code=full.code,
        hint="make as much room as main.db and content.db take, also where temporary files go, and shred it again",
    )  # fmt: skip
    told.__cause__ = full
    return told


def _chunks_in_use(view: Any) -> set[int]:
    found: set[int] = set()
    for packed, count in view.rows(_ALL_LISTS):
        found.update(unpack_ids(packed, count))
    return found


@contextmanager
def _turn_of(files: OpenStore) -> Iterator[None]:
    """Hold the writers' turn of the main file."""
    files.engine.turn.acquire(limits.BUSY_TIMEOUT_S)
    try:
        yield
    finally:
        files.engine.turn.release()
