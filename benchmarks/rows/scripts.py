"""What a Lua host call costs: the crossing alone, and a state call from Lua over the same call from Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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


def _register(
    verb: str, title: str, lua: str, python: Callable[[ours.Opened], Callable[[], Any]], limit_us: float
) -> None:
    @row(f"lua-state-{verb}", title, durability="process", group=GROUP, budgets={OVER: at_most(limit_us, "µs")})
    def over(bench: Bench) -> Result:
        """A loop in one script against the same loop in Python; starting and ending the script is in neither figure."""
        ours.require()
        timings, skipped = contest(bench, [Side("lua", _script(lua)), Side("python", _python(python))])
        if skipped:
            raise Skipped(next(iter(skipped.values())))
        rounds = zip(timings["lua"].rounds, timings["python"].rounds, strict=True)
        more = quartiles([(a - b) * 1e6 for a, b in rounds])
        base = Figure(timings["python"].median_s * 1e6, "µs")
        line = Comparison(OVER, "process", base, more.median, "↓", "", more.spread)
        return Result(Figure(timings["lua"].median_s * 1e6, "µs"), [line])


def _script(body: str) -> Callable[[Path], AbstractContextManager[Runner]]:
    @contextmanager
    def opening(folder: Path) -> Iterator[Runner]:
        with ours.opened(folder, "process", "async") as it:
            it.do(it.store.state.set("topic", {"n": 1}))
            empty = min(_script_s(it, body, 0) for _ in range(5))
            yield lambda n: max(1e-9, _script_s(it, body, n) - empty)

    return opening


def _python(work: Callable[[ours.Opened], Callable[[], Any]]) -> Callable[[Path], AbstractContextManager[Runner]]:
    @contextmanager
    def opening(folder: Path) -> Iterator[Runner]:
        with ours.opened(folder, "process", "async") as it:
            it.do(it.store.state.set("topic", {"n": 1}))
            yield it.runner(work(it))

    return opening


def _script_s(it: ours.Opened, body: str, n: int) -> float:
    start = time.perf_counter()
    run_script(it, f"for i = 1, {n} do {body} end")
    return time.perf_counter() - start


def run_script(it: ours.Opened, source: str) -> Any:
    """Run a Lua source in a session and an engine of its own on this async store."""
    try:
        from llmspell.script.host import run_script as run
    except ImportError as error:
        raise Skipped(f"this checkout runs no scripts: {error}") from error
    return it.do(run(it.store, source)).value


_register(
    "load",
    "State.load from Lua, recorded as a step",
    'State.load("global", "topic")',
    lambda it: lambda: it.store.state.get("topic"),
    30,
)
_register(
    "save",
    "State.save from Lua, recorded as a step",
    'State.save("global", "topic", {n = i})',
    lambda it: lambda: it.store.state.set("topic", {"n": 1}),
    90,
)
