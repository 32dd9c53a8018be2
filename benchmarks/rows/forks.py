"""Forks: what one takes and costs after a long history, and what reading in it adds."""

from __future__ import annotations

from typing import Any

from benchmarks import ours
from benchmarks.harness import Bench, Comparison, Figure, Result, at_most, contest, quartiles, row

GROUP = "Forks"
FORK = "time for each"
ROWS = "rows of each"
READ = "a read of an inherited key"
KEYS = 1000


def _history(it: ours.Opened, entries: int) -> Any:
    """A session whose history has so many entries."""
    session = it.do(it.store.sessions.create("origin", tags=["bench"], state={"first": 1}))
    for start in range(0, entries, KEYS):
        it.do(session.state.set_many({f"key-{n}": {"turn": start + n, "text": "x" * 60} for n in range(KEYS)}))
    return session


def _row_bytes(it: ours.Opened) -> int:
    """Bytes in the columns of all rows but those of indexes that lag."""
    run = it.store._store._files.engine.writer.execute  # noqa: SLF001 - rows are counted past every face
    total = 0
    tables = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'"
    for (name,) in run(tables).fetchall():
        columns = [column[1] for column in run(f"PRAGMA table_info({name})").fetchall()]
        sizes = " + ".join(f"coalesce(octet_length({column}), 0)" for column in columns)
        total += run(f"SELECT coalesce(sum({sizes}), 0) FROM {name}").fetchone()[0]  # noqa: S608 - names of the schema
    return total


@row(
    "session-fork", "fork a session of 100,000 entries at its middle", durability="process", group=GROUP,
    budgets={FORK: at_most(2000, "µs"), ROWS: at_most(4096, "bytes"), READ: at_most(400, "µs")},
)  # fmt: skip
def session_fork(bench: Bench) -> Result:
    """Time and rows of a fork, and of a first read in it of a key that changed since."""
    entries = bench.size(quick=10_000, default=100_000, full=100_000)

    def fork(it: ours.Opened) -> Any:
        session = _history(it, entries)
        middle = it.store.stats()["last_seq"] // 2
        return lambda: it.store.sessions.fork(session.id, middle)

    def read(it: ours.Opened) -> Any:
        session = _history(it, entries)
        made = it.store.sessions.fork(session.id, it.store.stats()["last_seq"] // 2)
        numbers = iter(range(1 << 60))
        return lambda: made.state.get(f"key-{next(numbers) % KEYS}")

    timings, _ = contest(bench, [ours.side(FORK, fork, "process"), ours.side(READ, read, "process")])
    with ours.opened(bench.fresh("rows"), "process", "sync") as it:
        session = _history(it, entries)
        middle = it.store.stats()["last_seq"] // 2
        before = _row_bytes(it)
        it.store.sessions.fork(session.id, middle)
        size = _row_bytes(it) - before
    found = []
    for name in (FORK, READ):
        spent = quartiles([seconds * 1e6 for seconds in timings[name].rounds])
        found.append(Comparison(name, "process", Figure(spent.median, "µs"), spent.median, "↓", "", spent.spread))
    found.append(Comparison(ROWS, "process", Figure(size, "bytes"), size, "↓"))
    return Result(found[0].figure, found, f"{entries:,} entries")
