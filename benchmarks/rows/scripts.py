"""What a Lua host call costs: the crossing alone, and a state call from Lua over the same call from Python."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import ours
from benchmarks.harness import (
    Bench,
    Comparison,
    Figure,
    Result,
    Runner,
    Side,
    Skipped,
    at_most,
    contest,
    quartiles,
    row,
)

GROUP = "Scripts"
CROSSING = "time to cross and come back"
OVER = "over the operation from Python"


@row(
    "lua-host-call",
    "Lua host call that does nothing",
    durability="-",
    group=GROUP,
    budgets={CROSSING: at_most(30, "µs")},
)
def crossing(bench: Bench) -> Result:
    """The engine alone: Lua asks for a host function with a key and a small table, and is answered with a table."""
    timings, skipped = contest(bench, [Side(CROSSING, _crossing)])
    if CROSSING in skipped:
        raise Skipped(skipped[CROSSING])
    figure = Figure(timings[CROSSING].median_s * 1e6, "µs")
    return Result(figure, [Comparison(CROSSING, "-", figure, figure.value, "↓")])


@contextmanager
def _crossing(_folder: Path) -> Iterator[Runner]:
    try:
        from llmspell.script.engine import EngineOptions, HostCall
        from llmspell.script.lua.engine import LuaEngine
    except ImportError as error:
        raise Skipped(f"no Lua engine: {error}") from error
    engine = LuaEngine(EngineOptions(bindings={"Bench": {"ask": "ask"}}))

    def run(n: int) -> float:
        start = time.perf_counter()
        events = engine.start(
            "local n = ... for i = 1, n do Bench.ask('key', {turn = i}) end return n", "bench", args=[n]
        )
        while isinstance(event := events[0], HostCall):
            events = engine.settle(event.call_id, True, {"ok": True})  # noqa: FBT003 - the port's own signature
        spent = time.perf_counter() - start
        assert event.ok, event.error
        return spent

    try:
        yield run
    finally:
        engine.close()


@row("lua-state-get", "State.load from Lua", durability="process", group=GROUP, budgets={OVER: at_most(30, "µs")})
def state_get(bench: Bench) -> Result:
    """A loop of reads in one script, against the same loop in Python; starting the script is in neither figure."""
    ours.require()
    timings, skipped = contest(bench, [Side("lua", _lua_get), Side("python", _python_get)])
    if skipped:
        raise Skipped(next(iter(skipped.values())))
    rounds = zip(timings["lua"].rounds, timings["python"].rounds, strict=True)
    over = quartiles([(a - b) * 1e6 for a, b in rounds])
    python = Figure(timings["python"].median_s * 1e6, "µs")
    return Result(
        Figure(timings["lua"].median_s * 1e6, "µs"),
        [Comparison(OVER, "process", python, over.median, "↓", "", over.spread)],
    )


@contextmanager
def _lua_get(folder: Path) -> Iterator[Runner]:
    with ours.opened(folder, "process", "sync") as it:
        it.store.state.set("topic", {"n": 1})
        empty = _script_s(it.store, 0)

        def run(n: int) -> float:
            return max(1e-9, _script_s(it.store, n) - empty)

        yield run


@contextmanager
def _python_get(folder: Path) -> Iterator[Runner]:
    with ours.opened(folder, "process", "sync") as it:
        it.store.state.set("topic", {"n": 1})
        yield it.runner(lambda: it.store.state.get("topic"))


def _script_s(store: Any, n: int) -> float:
    start = time.perf_counter()
    run_script(store, f'for i = 1, {n} do State.load("global", "topic") end')
    return time.perf_counter() - start


def run_script(store: Any, source: str) -> Any:
    """Run a Lua source in an engine of its own on this store; raises Skipped while there is no way to."""
    run = getattr(store, "run", None)
    if run is None:
        raise Skipped("this checkout's store does not run scripts")
    return run(source)
