"""What a transaction has to look at first when somebody else wrote since the last one: where the journal stands, and
whether this process may still write to it.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from llmspell.errors import NeedsMigration, StorageFailed
from llmspell.model.entry import GENESIS, Head

RETIRED = "store.retired"
"""The kind of the last entry of a generation that a restore has replaced; nothing is written after it."""
_HEAD = "SELECT seq, hash, at, kind FROM entry ORDER BY seq DESC LIMIT 1"


def read_head(connection: apsw.Connection, path: Path | str, wanted: int | None) -> Head:
    """The newest entry. Raises StorageFailed (``retired``) after a restore, and NeedsMigration (``newer-format``) when
    the tables are not of the format ``wanted``: a newer version has migrated them while they were open here.
    """
    if wanted is not None and (found := connection.pragma("user_version")) != wanted:
        raise newer(path, found, wanted)
    row = next(connection.execute(_HEAD), None)
    if row is None:
        return Head(0, GENESIS, 0)
    if row[3] == RETIRED:
        raise StorageFailed(f"{path} was replaced by a restore; open the store again", code="retired")
    return Head(row[0], row[1], row[2])


def newer(path: Path | str, found: int, upto: int) -> NeedsMigration:
    """The error for a format that only a later version reads."""
    return NeedsMigration(
        f"{path} has format {found}; this llmspell reads up to {upto}", code="newer-format", hint="upgrade llmspell"
    )
