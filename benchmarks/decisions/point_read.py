"""Reading one key of 10,000: ``state.get``, the bare select it makes, and the same value from a dictionary as a cache.

A cache shared with other processes would have to ask whether anybody committed since; that question is measured too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import apsw

import llmspell
from benchmarks.decisions import compare

KEYS = 10_000


def main() -> None:
    """Print what a cache could save."""
    with tempfile.TemporaryDirectory() as folder, llmspell.open(Path(folder, "s"), durability="process") as store:
        store.state.set_many({f"key/{n}": {"n": n, "text": "x" * 80} for n in range(KEYS)})
        path = next(Path(folder, "s").glob("generation-*/main.db"))
        bare = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        cached = dict(store.state.items())
        turn = iter(range(1 << 40))

        def key() -> str:
            return f"key/{next(turn) * 7919 % KEYS}"

        sql = "SELECT value FROM state WHERE scope = 1 AND key = ?"
        compare(
            "read one of 10,000 keys",
            {
                "bare select, value not decoded": lambda: next(bare.execute(sql, (key(),))),
                "state.get, no cache": lambda: store.state.get(key()),
                "dictionary": lambda: cached[key()],
                "dictionary, after asking for the data version": lambda: (bare.pragma("data_version"), cached[key()]),
            },
            times=5000,
        )
        bare.close()


if __name__ == "__main__":
    main()
