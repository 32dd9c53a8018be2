"""Create, run, close, ten thousand times: memory, Python objects and open files must stay where they are."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

from benchmarks import ours
from benchmarks.harness import Bench, Comparison, Figure, Result, at_most, row
from benchmarks.machine import open_files, rss_bytes
from benchmarks.rows.scripts import run_script

GROUP = "Cycles"
MEMORY = "memory added after warm-up"
OBJECTS = "Python objects added after warm-up"
FILES = "open files added after warm-up"
MB = 1_000_000
FLAT = {MEMORY: at_most(4, "MB"), OBJECTS: at_most(200, ""), FILES: at_most(0, "")}
SCRIPT = 'State.save("global", "from_lua", 1) return State.load("global", "from_lua")'
Cycle = Callable[[], object]


def _standing() -> tuple[int, int, int]:
    gc.collect()
    return rss_bytes(), len(gc.get_objects()), open_files()


def _flat(cycle: Cycle, warm: int, count: int) -> Result:
    """Run ``warm`` cycles to fill caches of bounded size, then ``count`` more, and compare before and after these."""
    for _ in range(warm):
        cycle()
    before, start = _standing(), time.perf_counter()
    for _ in range(count):
        cycle()
    spent, after = time.perf_counter() - start, _standing()
    memory, objects, files = (b - a for a, b in zip(before, after, strict=True))
    return Result(
        Figure(spent / count * 1e6, "µs"),
        [
            Comparison(MEMORY, "-", Figure(memory / MB, "MB"), memory / MB, "↓"),
            Comparison(OBJECTS, "-", Figure(objects, "objects"), objects, "↓"),
            Comparison(FILES, "-", Figure(files, "files"), files, "↓"),
        ],
        f"{count:,} cycles after {warm:,} of warm-up",
    )


@row("cycles-sessions", "create a session, write, complete it", durability="process", group=GROUP, budgets=FLAT)
def sessions(bench: Bench) -> Result:
    """One store; each cycle makes a session with state, an event and an artifact, and completes it."""

    def one(store: Any) -> None:
        with store.session("cycle", tags=["bench"]) as session:
            session.state.set("topic", {"n": 1})
            session.events.publish("data.ready", {"n": 1})
            session.artifacts.put("report.md", b"# Report\n" * 20)

    warm = bench.size(quick=300, default=3000, full=3000)
    with ours.opened(bench.fresh("store"), "process", "sync") as it:
        return _flat(lambda: one(it.store), warm, bench.size(quick=200, default=1000, full=10_000))


@row("cycles-stores", "open a store, write, close it", durability="process", group=GROUP, budgets=FLAT)
def stores(bench: Bench) -> Result:
    """The same folder opened and closed again and again, with a hook registered each time."""
    folder = bench.fresh("store")

    def one() -> None:
        with ours.opened(folder, "process", "sync") as it:
            it.store.hooks.on("before_state_set")(lambda _context: None)
            it.store.state.set("topic", {"n": 1})

    return _flat(one, bench.size(quick=20, default=100, full=500), bench.size(quick=30, default=300, full=10_000))


@row("cycles-scripts", "run a Lua script in an engine of its own", durability="process", group=GROUP, budgets=FLAT)
def scripts(bench: Bench) -> Result:
    """One store; each cycle makes a script engine, runs a script that writes and reads state, and closes it."""
    with ours.opened(bench.fresh("store"), "process", "sync") as it:
        count = bench.size(quick=50, default=1000, full=10_000)
        return _flat(lambda: run_script(it.store, SCRIPT), bench.size(quick=20, default=200, full=500), count)
