"""Create, run, close, ten thousand times: memory, Python objects and open files must stay where they are.

Each row runs in a process of its own. What it may add while it warms up is bounded elsewhere (page caches, interned
names); after that, nothing.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import child, ours
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


def _standing() -> tuple[int, int, int]:
    gc.collect()
    return rss_bytes(), len(gc.get_objects()), open_files()


def _grown(cycle: Callable[[], object], warm: int, count: int) -> tuple[float, int, int, int]:
    """Seconds a cycle, and bytes, objects and files that ``count`` cycles added after ``warm`` others.

    Counted in two halves, and twice the smaller growth is reported: a leak grows in both, a cache that happens to fill
    up grows in one.
    """
    for _ in range(warm):
        cycle()
    standing, spent = [_standing()], 0.0
    for _ in range(2):
        start = time.perf_counter()
        for _ in range(count // 2):
            cycle()
        spent += time.perf_counter() - start
        standing.append(_standing())
    first, middle, last = standing
    grown = [2 * min(b - a, c - b) for a, b, c in zip(first, middle, last, strict=True)]
    return spent / (count // 2 * 2), grown[0], grown[1], grown[2]


def grow_sessions(folder: str, warm: int, count: int) -> tuple[float, int, int, int]:
    """One store; each cycle makes a session with state, an event and an artifact, and completes it."""

    def one(store: Any) -> None:
        with store.session("cycle", tags=["bench"]) as session:
            session.state.set("topic", {"n": 1})
            session.events.publish("data.ready", {"n": 1})
            session.artifacts.put("report.md", b"# Report\n" * 20)

    with ours.opened(Path(folder), "process", "sync") as it:
        return _grown(lambda: one(it.store), warm, count)


def grow_stores(folder: str, warm: int, count: int) -> tuple[float, int, int, int]:
    """The same folder opened and closed again and again, with a hook registered each time."""

    def one() -> None:
        with ours.opened(Path(folder), "process", "sync") as it:
            it.store.hooks.on("before_state_set")(lambda _context: None)
            it.store.state.set("topic", {"n": 1})

    return _grown(one, warm, count)


def grow_async_stores(folder: str, warm: int, count: int) -> tuple[float, int, int, int]:
    """The same with the async face, each time with an event loop of its own and a subscription left open."""

    def one() -> None:
        with ours.opened(Path(folder), "process", "async") as it:
            it.store.events.subscribe("*")
            it.do(it.store.state.set("topic", {"n": 1}))

    return _grown(one, warm, count)


def grow_scripts(folder: str, warm: int, count: int) -> tuple[float, int, int, int]:
    """One store; each cycle makes a script engine, runs a script that writes and reads state, and closes it."""
    with ours.opened(Path(folder), "process", "async") as it:
        return _grown(lambda: run_script(it, SCRIPT), warm, count)


def _register(name: str, title: str, warm: tuple[int, int], counts: tuple[int, int, int]) -> None:
    @row(f"cycles-{name}", title, durability="process", group=GROUP, budgets=FLAT)
    def cycles(bench: Bench) -> Result:
        ours.require()
        warming = bench.size(quick=warm[0], default=warm[1], full=warm[1])
        count = bench.size(quick=counts[0], default=counts[1], full=counts[2])
        function = f"{__name__}:grow_{name.replace('-', '_')}"
        spent, memory, objects, files = child.measured(function, str(bench.fresh(name)), warming, count)
        return Result(
            Figure(spent * 1e6, "µs"),
            [
                Comparison(MEMORY, "-", Figure(memory / MB, "MB"), memory / MB, "↓"),
                Comparison(OBJECTS, "-", Figure(objects, "objects"), objects, "↓"),
                Comparison(FILES, "-", Figure(files, "files"), files, "↓"),
            ],
            f"{count:,} cycles after {warming:,} of warm-up",
        )


_register("sessions", "create a session, write, complete it", (300, 5000), (200, 1000, 10_000))
_register("stores", "open a store, write, close it, sync face", (20, 100), (30, 300, 10_000))
_register("async-stores", "open a store, subscribe, write, close it, async face", (20, 100), (30, 300, 10_000))
_register("scripts", "run a Lua script in an engine of its own", (20, 3000), (50, 1000, 10_000))
