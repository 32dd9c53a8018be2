"""Queries of artifacts: a page of 50 among many rows, by what is indexed, by text, and by a misspelt name.

The rows are written past the rooms, since a million puts would take longer than all other rows together; the index is
filled by the step that the maintenance task runs.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import ours
from benchmarks.harness import Bench, Comparison, Figure, Result, at_most, quartiles, row

GROUP = "Queries of artifacts"
LIMIT = "the limit"
_ROWS_AT_ONCE = 20_000
_AT = 1_800_000_000_000_000_000
CASES: dict[str, tuple[dict[str, Any], str, float]] = {
    "newest": ({}, "newest 50 of all", 20),
    "type": ({"type": "code", "order_by": "-size"}, "50 largest of a type that a fifth has", 20),
    "tags": ({"tags": ["rare", "t0"]}, "50 with two tags, one of them rare", 20),
    "pattern": ({"name": "*0777.json"}, "names of a pattern with no beginning", 20),
    "field": ({"metadata": {"user": "u77", "n": 3}}, "50 by two fields of the metadata", 20),
    "text": ({"text": "bees"}, "newest 50 with a word that half of them have", 50),
    "phrase": ({"text": "rare bees"}, "newest 50 with two words", 50),
}


def _register(name: str, conditions: dict[str, Any], title: str, limit_ms: float) -> None:
    @row(f"query-{name}", title, durability="process", group=GROUP, budgets={LIMIT: at_most(limit_ms, "ms")})
    def query(bench: Bench) -> Result:
        ours.require()
        count = bench.size(quick=20_000, default=200_000, full=1_000_000)
        folder = _filled(bench.fresh, count)
        times = []
        with ours.opened(folder, "process", "sync") as it:
            artifacts: Any = it.store.artifacts
            for _ in range(max(10, bench.rounds)):
                start = time.perf_counter()
                assert artifacts.query(**conditions, limit=50).items
                times.append((time.perf_counter() - start) * 1e3)
        value = quartiles(times)
        held = Comparison(LIMIT, "process", Figure(limit_ms, "ms"), value.median, "↓", spread=value.spread)
        return Result(Figure(statistics.median(times), "ms"), [held], f"{count:,} artifacts")


for _name, (_conditions, _title, _limit) in CASES.items():
    _register(_name, _conditions, _title, _limit)


@cache
def _filled(fresh: Any, count: int) -> Path:
    """A folder with a store of so many artifacts in its index, made once for all rows."""
    folder: Path = fresh(f"artifacts-{count}")
    with ours.opened(folder, "process", "sync") as it:
        store: Any = it.store
        session = store.sessions.create("many")
        session.artifacts.put("seed", "x")
        engine = store._store._files.engine  # noqa: SLF001 - past the rooms on purpose
        run = engine.writer.execute
        head = store.stats()["last_seq"]
        digest = next(run("SELECT digest FROM artifact"))[0]
        owner = bytes.fromhex(session.id.replace("-", ""))
        run("BEGIN IMMEDIATE")
        engine.writer.executemany(
            "INSERT INTO artifact VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            _rows(count, head, owner, digest),
        )
        run("COMMIT")
        while _index(run, head + count):
            pass
    return folder


def _rows(count: int, head: int, owner: bytes, digest: bytes) -> Any:
    rnd = random.Random(1)
    words = ["".join(rnd.choices("abcdefghijklmnopqrstuvwxyz", k=rnd.randint(3, 9))) for _ in range(20_000)]
    for n in range(count):
        number = (_AT // 1_000_000).to_bytes(6, "big") + b"\x70" + n.to_bytes(9, "big")
        tags = [f"t{n % 50}", *(["rare"] if n % 1000 == 0 else [])]
        fields = {"user": f"u{n % 1000}", "n": n % 7}
        text = " ".join([*rnd.choices(words, k=7), "bees" if n % 2 else "ants", *(["rare"] if n % 500 == 1 else [])])
        name = f"report-{n:07d}.md" if n % 3 else f"{words[n % 20_000]}-{n:07d}.json"
        kind = ("code", "data", "tool_result", "agent_output", "conversation")[n % 5]
        yield (
            number, head + 1 + n, None, owner, name, 1, kind, "text/plain", text, json.dumps(tags), json.dumps(fields),
            "[]", n % 100_000, digest, _AT + n, _AT + n,
        )  # fmt: skip


def _index(run: Any, head: int) -> bool:
    from llmspell.adapters.sqlite.batch import Batch
    from llmspell.artifacts.finding.index import step
    from llmspell.model.entry import GENESIS, Head
    from llmspell.sync.drive import drive

    run("BEGIN IMMEDIATE")
    done = drive(step(Batch(run, Head(head, GENESIS, 0), 0), _ROWS_AT_ONCE))
    run("COMMIT")
    return done == _ROWS_AT_ONCE
