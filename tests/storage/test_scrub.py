"""What was deleted is in the file no more, also not where SQLite left a copy of it."""

from random import Random

import apsw

from llmspell.adapters.sqlite.connection import connect
from llmspell.adapters.sqlite.scrub import rewrite

WORD = b"canary-91c2"
TABLE = "CREATE TABLE state (scope INTEGER, key TEXT, value TEXT, PRIMARY KEY (scope, key)) STRICT, WITHOUT ROWID"


def worked(path, seed):
    """A database in which rows of random lengths came, changed and moved; all that hold the word are deleted."""
    random = Random(seed)
    connection = connect(path, "writer", "process")
    connection.execute(TABLE)
    for number in range(4000):
        if number % 50 == 0:
            connection.execute("BEGIN")
        scope = random.randint(1, 3)
        text = (WORD.decode() if scope == 2 else "innocent") + "x" * random.randint(10, 1000)
        key = f"{random.randrange(10**4)}"
        connection.execute(
            "INSERT OR REPLACE INTO state (scope, key, value) VALUES (?, ?, ?)", (scope, text[:8] + key, text)
        )
        if number % 50 == 49:
            connection.execute("COMMIT")
    connection.execute("DELETE FROM state WHERE scope = 2")
    kept = list(connection.execute("SELECT * FROM state ORDER BY scope, key"))
    connection.close()
    return kept


def all_bytes(folder):
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_copies_that_secure_deletion_leaves_are_gone_after_rewriting(tmp_path):
    left = []
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        kept = worked(folder / "main.db", seed)
        connection = connect(folder / "main.db", "checkpointer", "full")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        connection.close()
        left.append(WORD in all_bytes(folder))
        rewrite(folder / "main.db", 5.0)
        assert WORD not in all_bytes(folder)
        connection = connect(folder / "main.db", "reader", "full", read_only=True)
        assert list(connection.execute("SELECT * FROM state ORDER BY scope, key")) == kept
        connection.close()
    assert any(left), "nothing was left behind by any of them, so this shows nothing"


def test_the_log_is_empty_after_rewriting(tmp_path):
    worked(tmp_path / "main.db", 0)
    holder = connect(tmp_path / "main.db", "reader", "full")
    assert WORD in (tmp_path / "main.db-wal").read_bytes()
    rewrite(tmp_path / "main.db", 5.0)
    assert (tmp_path / "main.db-wal").read_bytes() == b""
    holder.close()
