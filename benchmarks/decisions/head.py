"""Finding the head of the journal inside the write lock: asking SQLite whether anybody else committed, against reading
the last row each time. And driving a coroutine of the asynchronous rooms from a thread, against a plain call.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import apsw

import llmspell
from benchmarks.decisions import compare
from llmspell.sync.drive import drive


async def _coroutine() -> int:
    return 1


def _function() -> int:
    return 1


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder, llmspell.open(Path(folder, "s"), durability="process") as store:
        store.state.set_many({f"key/{n}": n for n in range(5000)})
        bare = apsw.Connection(str(next(Path(folder, "s").glob("generation-*/main.db"))))
        bare.execute("BEGIN")
        sql = "SELECT seq, hash, at, kind FROM entry ORDER BY seq DESC LIMIT 1"
        compare(
            "know the head, in a transaction",
            {
                "ask for the data version": bare.data_version,
                "read the last row": lambda: next(bare.execute(sql)),
            },
            times=5000,
        )
        bare.execute("ROLLBACK")
        bare.close()
    compare(
        "one implementation for both faces",
        {"plain call": _function, "coroutine driven by send(None)": lambda: drive(_coroutine())},
        times=50_000,
    )


if __name__ == "__main__":
    main()
