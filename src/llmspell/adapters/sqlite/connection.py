"""One way to open an SQLite connection of ours. Its settings are part of the durability promise:

- WAL; the connection that commits is synchronous=FULL for ``full`` and NORMAL for ``process``.
- No connection checkpoints by itself: neither while writing (``wal_autocheckpoint=0``) nor on close
  (NO_CKPT_ON_CLOSE). The checkpointing connection is synchronous=FULL whatever the store's durability, because a single
  weak closer would weaken what others were promised.
- ``secure_delete`` on, so that what an entry erases does not linger in freed pages.
- A file of an encrypted store is opened through the VFS that seals it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import apsw

from llmspell.adapters.sqlite.sealed_files import vfs_of

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

    ``shrinks``: a file that is made by this connection, and is not sealed, can give free pages back to the disk.
    """
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    sealed = vfs_of(path)
    connection = apsw.Connection(
        str(path), flags=flags, vfs=None if sealed is None else sealed.name, statementcachesize=_STATEMENT_CACHE
    )
    if role != "checkpointer":  # At once: a connection that fails below is closed as any other.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    # Another process may just be taking up the WAL. A writer does not wait later on: the turnstile is where it queues.
    connection.set_busy_timeout(_BUSY_MS)
    run = connection.execute
    strength = "FULL" if role == "checkpointer" else SYNCHRONOUS[durability]
    if not read_only:
        run(f"PRAGMA page_size={page_bytes}")
        if sealed is not None:
            connection.reserve_bytes(reserve=sealed.extra_bytes)
        elif shrinks:  # Not a sealed file: SQLite would want a rollback journal to make it.
            run("PRAGMA auto_vacuum=INCREMENTAL")  # Of no effect on a file that is there already.
        run("PRAGMA journal_mode=WAL" if path != MEMORY else "PRAGMA journal_mode=MEMORY")
        run(f"PRAGMA synchronous={strength}")
        run("PRAGMA wal_autocheckpoint=0")
        run("PRAGMA secure_delete=ON")
    run("PRAGMA temp_store=MEMORY")
    run("PRAGMA cache_size=-16384")
    run("PRAGMA trusted_schema=OFF")
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    # Otherwise a statement with a range is compiled again whenever other values are bound: 15 µs instead of 3.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    if role == "writer":
        connection.set_busy_timeout(0)
    if role == "reader" and path != MEMORY:
        run("PRAGMA query_only=ON")
    return connection
