"""Where sealed content comes from. A seal is for one session of one store: content that came here with an imported
session opens only where both are the same.
"""

from __future__ import annotations

import msgspec

from llmspell.artifacts.captures.sealed import MIME
from llmspell.journal.reading import COLUMNS, check_row
from llmspell.model.entry import IMPORTED
from llmspell.model.ids import id_text
from llmspell.ports.database import Reading
from llmspell.schema import queries

_SQL = queries("llmspell.artifacts.captures")
_IMPORT = _SQL["import"].replace("SELECT *", f"SELECT {COLUMNS}")


class _Imported(msgspec.Struct):
    """What ``session.imported`` says of where the session was."""

    original_id: str
    store_id: str


def is_from_elsewhere(view: Reading, artifact: bytes, store_id: str) -> bool:
    """Whether an artifact came here from another store, or from a session that has another id here."""
    first = view.one(_SQL["first_of"], (artifact,))
    if first is None or not first[2].startswith(IMPORTED):
        return False
    session, seq, _ = first
    row = view.one(_IMPORT, (session, seq))
    payload = None if row is None else check_row(row).payload
    if payload is None:
        return False
    said = msgspec.json.decode(payload, type=_Imported)
    return (said.store_id, said.original_id) != (store_id, id_text(session))


def has_sealed_here(view: Reading, store_id: str) -> bool:
    """Whether there is an artifact that was sealed in this store. A scan of all artifacts."""
    found = view.all(_SQL["sealed"], (MIME,))
    return any(not is_from_elsewhere(view, artifact, store_id) for (artifact,) in found)
