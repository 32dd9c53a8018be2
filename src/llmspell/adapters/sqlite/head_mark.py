"""The mark on the head of an encrypted journal: who wrote the newest entry had the store's key.

A page is sealed for its place only, so an old page of the same place opens as well. The mark ties the newest entry to
the key at every commit: a database that was put together from pages of different days does not carry the mark of its
head. A copy that is old as a whole does; only a witness outside can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmspell.errors import Corrupt
from llmspell.model.entry import Head

if TYPE_CHECKING:
    from llmspell.adapters.sqlite.batch import View
    from llmspell.adapters.sqlite.engine import Engine
    from llmspell.ports.sealing import StoreCipher

_MARK = "INSERT INTO meta (name, value) VALUES ('head_mark', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
_FOUND = "SELECT value FROM meta WHERE name = 'head_mark'"
_HEAD = "SELECT seq, hash, at FROM entry ORDER BY seq DESC LIMIT 1"


def marking(cipher: StoreCipher, timeline: str) -> Callable[[Callable[..., Any], Head], None]:
    """What a commit does first that has new entries: write the mark, through ``execute``. 3 µs."""

    def mark(execute: Callable[..., Any], head: Head) -> None:
        execute(_MARK, (cipher.mark(timeline, head),))

    return mark


def check_mark(engine: Engine, cipher: StoreCipher, timeline: str) -> None:
    """Raises Corrupt (``head-mark``) unless the newest entry carries the mark of this key."""

    def query(view: View) -> tuple[Any, Any]:
        return view.one(_HEAD), view.one(_FOUND)

    head, found = engine.read(query)
    if head is None:
        return  # The first entry is still to be written.
    mark = found[0] if found is not None else None
    if not isinstance(mark, bytes):
        raise Corrupt(f"the head of the journal, entry {head[0]}, carries no mark", code="head-mark")
    cipher.check_mark(timeline, Head(*head), mark)
