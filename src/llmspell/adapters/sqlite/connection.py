"""One way to open an SQLite connection of ours. Its settings are part of the durability promise:

- WAL; the connection that commits is synchronous=FULL for ``full`` and NORMAL for ``process``.
- No connection checkpoints by itself: neither while writing (``wal_autocheckpoint=0``) nor on close
  (NO_CKPT_ON_CLOSE). The checkpointing connection is synchronous=FULL whatever the store's durability, because a single
  weak closer would weaken what others were promised.
- ``secure_delete`` on, so that what an entry erases does not linger in freed pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import apsw

Role = Literal["writer", "reader", "checkpointer"]
Durability = Literal["full", "process", "none"]

SYNCHRONOUS = {"full": "FULL", "process": "NORMAL", "none": "OFF"}
_STATEMENT_CACHE = 256
_BUSY_MS = 5000
MEMORY = ":memory:"


def connect(
    path: Path | str,
    role: Role,
    durability: Durability,
    *,
    read_only: bool = False,
    page_bytes: int = 4096,
    shrinks: bool = False,
) -> apsw.Connection:
    """An open connection with our settings. Raises apsw.Error.

    ``shrinks``: a file that is made by this connection can give free pages back to the disk.
    """
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(path), flags=flags, statementcachesize=_STATEMENT_CACHE)
    # Another process may just be taking up the WAL. A writer does not wait later on: the turnstile is where it queues.
    connection.set_busy_timeout(_BUSY_MS)
    run = connection.execute
    strength = "FULL" if role == "checkpointer" else SYNCHRONOUS[durability]
    if not read_only:
        run(f"PRAGMA page_size={page_bytes}")
        if shrinks:
            run("PRAGMA auto_vacuum=INCREMENTAL")  # Of no effect on a file that is there already.
        run("PRAGMA journal_mode=WAL" if path != MEMORY else "PRAGMA journal_mode=MEMORY")
        run(f"PRAGMA synchronous={strength}")
        run("PRAGMA wal_autocheckpoint=0")
        run("PRAGMA secure_delete=ON")
    run("PRAGMA temp_store=MEMORY")
    run("PRAGMA cache_size=-16384")
    run("PRAGMA trusted_schema=OFF")
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    if role != "checkpointer":
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    if role == "writer":
        connection.set_busy_timeout(0)
    if role == "reader" and path != MEMORY:
        run("PRAGMA query_only=ON")
    return connection
