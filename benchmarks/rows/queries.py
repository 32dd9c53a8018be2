"""Queries of artifacts: a page of 50 among many rows, by what is indexed, by text, and by a misspelt name.

The rows are written past the rooms, since a million puts would take longer than all other rows together; the index is
filled by the step that the maintenance task runs.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import child, ours
from benchmarks.harness import Bench, Comparison, Figure, Result, at_most, quartiles, row
from benchmarks.machine import rss_bytes

GROUP = "Queries of artifacts"
MB = 1_000_000
PEAK = "memory of the process at its peak"
PEAK_MB = at_most(200, "MB")
_ROWS_AT_ONCE = 20_000
_AT = 1_800_000_000_000_000_000
_LAST = (
    "INSERT INTO entry SELECT ?, id, at, clock, kind, kind_version, subject, session, correlation, cause, actor, codec,"
    " salt, payload, digest, prev, hash FROM entry WHERE seq = ?"
)
"""Where the journal would end, had it told of all the rows."""
CASES: dict[str, tuple[dict[str, Any], float]] = {
    "newest of all": ({}, 20),
    "largest of a type that a fifth has": ({"type": "code", "order_by": "-size"}, 20),
    "two tags, one of them rare": ({"tags": ["rare", "t0"]}, 20),
    "a pattern with no beginning": ({"name": "*0777.json"}, 20),
    "two fields of the metadata": ({"metadata": {"user": "u77", "n": 3}}, 20),
    "newest with a word that half of them have": ({"text": "bees"}, 50),
    "newest with two words": ({"text": "rare bees"}, 50),
    "two tags of a fiftieth each that never meet": ({"tags": ["t0", "t1"]}, 20),
    "two tags of half of them each that never meet": ({"tags": ["odd", "even"]}, 20),
    "a type of a fifth and a tag of a fiftieth that never meet": ({"type": "code", "tags": ["t1"]}, 20),
}
"""What is asked, and how many milliseconds a page may take."""


@row(
    "artifact-queries",
    "a page of 50 artifacts, slowest of the queries",
    durability="process",
    group=GROUP,
    budgets={title: at_most(limit, "ms") for title, (_, limit) in CASES.items()} | {PEAK: PEAK_MB},
)
def queries(bench: Bench) -> Result:
    """Each query again and again, over one store, in a process that does nothing else."""
    ours.require()
    count = bench.size(quick=20_000, default=200_000, full=1_000_000)
    folder = _filled(bench, count)
    times, peak = child.measured("benchmarks.rows.queries:asked", str(folder), max(10, bench.rounds))
    found, slowest = [], 0.0
    for title, (_, limit) in CASES.items():
        value = quartiles(times[title])
        slowest = max(slowest, value.median)
        found.append(Comparison(title, "process", Figure(limit, "ms"), value.median, "↓", spread=value.spread))
    return Result(Figure(slowest, "ms"), [*found, peak_line(peak)], f"{count:,} artifacts")


def asked(folder: str, rounds: int) -> tuple[dict[str, list[float]], int]:
    """Milliseconds of each round by query, and the most memory in bytes that the process had (0: not known)."""
    times: dict[str, list[float]] = {title: [] for title in CASES}
    with ours.opened(Path(folder), "process", "sync") as it:
        artifacts: Any = it.store.artifacts
        for title, (conditions, _) in CASES.items():
            for _ in range(rounds):
                start = time.perf_counter()
                assert bool(artifacts.query(**conditions, limit=50).items) == ("never meet" not in title)
                times[title].append((time.perf_counter() - start) * 1e3)
    return times, rss_bytes("VmHWM")


def peak_line(peak: int) -> Comparison:
    """The memory of a process that asks, as a line of a result."""
    if not peak:
        return Comparison(PEAK, "-", note="this system does not tell the peak")
    return Comparison(PEAK, "-", Figure(peak / MB, "MB"), peak / MB, "↓")


def _filled(bench: Bench, count: int) -> Path:
    """A folder with a store of so many artifacts in its index."""
    folder = bench.fresh(f"artifacts-{count}")
    with ours.opened(folder, "process", "sync") as it:
        store: Any = it.store
        session = store.sessions.create("many")
        session.artifacts.put("seed", "x")
        engine = store._store._files.engine  # noqa: SLF001 - past the rooms on purpose
        run = engine.writer.execute
        head = store.stats()["last_seq"]
        digest = next(run("SELECT digest FROM artifact"))[0]
        owner = bytes.fromhex(session.id.replace("-", ""))
        with _turn_of(engine):
            run("BEGIN IMMEDIATE")
            engine.writer.executemany(
                "INSERT INTO artifact VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                _rows(count, head, owner, digest),
            )
            run(_LAST, (head + count, head))
            run("COMMIT")
        while _index(engine, head + count):
            pass
    return folder


def _rows(count: int, head: int, owner: bytes, digest: bytes) -> Any:
    rnd = random.Random(1)
    words = ["".join(rnd.choices("abcdefghijklmnopqrstuvwxyz", k=rnd.randint(3, 9))) for _ in range(20_000)]
    for n in range(count):
        number = (_AT // 1_000_000).to_bytes(6, "big") + b"\x70" + n.to_bytes(9, "big")
        tags = [f"t{n % 50}", "odd" if n % 2 else "even", *(["rare"] if n % 1000 == 0 else [])]
        fields = {"user": f"u{n % 1000}", "n": n % 7}
        text = " ".join([*rnd.choices(words, k=7), "bees" if n % 2 else "ants", *(["rare"] if n % 500 == 1 else [])])
        name = f"report-{n:07d}.md" if n % 3 else f"{words[n % 20_000]}-{n:07d}.json"
        kind = ("code", "data", "tool_result", "agent_output", "conversation")[n % 5]
        yield (
            number, head + 1 + n, None, owner, name, 1, kind, "text/plain", text, json.dumps(tags), json.dumps(fields),
            "[]", n % 100_000, digest, _AT + n, _AT + n,
        )  # fmt: skip


@contextmanager
def _turn_of(engine: Any) -> Iterator[None]:
    """The store's own thread waits meanwhile."""
    engine.turn.acquire()
    try:
        yield
    finally:
        engine.turn.release()


def _index(engine: Any, head: int) -> bool:
    from llmspell.adapters.sqlite.batch import Batch
    from llmspell.artifacts.finding.index import step
    from llmspell.model.entry import GENESIS, Head
    from llmspell.sync.drive import drive

    run = engine.writer.execute
    with _turn_of(engine):
        run("BEGIN IMMEDIATE")
        done = drive(step(Batch(run, Head(head, GENESIS, 0), 0), _ROWS_AT_ONCE))
        run("COMMIT")
    return done == _ROWS_AT_ONCE
