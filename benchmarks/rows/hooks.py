"""What a hook point costs: with nobody there, with ten sync hooks, with ten async hooks that have deadlines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import ours
from benchmarks.harness import Bench, Comparison, Figure, Result, Runner, Side, at_most, contest, quartiles, row

GROUP = "Hooks"
POINT = "before_state_set"
HOOKS = 10
DATA = {"scope": "global", "key": "topic", "value": {"n": 1}, "old_value": None, "operation": "set", "version": 0}
AT_THE_POINT = "time at the point"
EMPTY = "an empty coroutine"


def _none(_hooks: Any) -> None:
    return


def _sync(hooks: Any) -> None:
    for _ in range(HOOKS):
        hooks.register(POINT, lambda _context: None)


def _async(hooks: Any) -> None:
    async def look(_context: Any) -> None:
        return

    for _ in range(HOOKS):
        hooks.register(POINT, look, timeout_ms=100)


def _point(arm: Callable[[Any], None]) -> Side:
    """Runs the point as the state room does before each set, on the event loop."""

    @contextmanager
    def opening(folder: Path) -> Iterator[Runner]:
        with ours.opened(folder, "process", "async") as it:
            from llmspell.hooks.moment import run_point
            from llmspell.model.context import current

            hooks, context = it.store.hooks, current.get()
            arm(hooks)
            yield it.runner(lambda: run_point(hooks, context, POINT, "state", "set", DATA))

    return Side(AT_THE_POINT, opening)


@contextmanager
def _empty(folder: Path) -> Iterator[Runner]:
    async def nothing() -> None:
        return

    with ours.opened(folder, "process", "async") as it:
        yield it.runner(nothing)


def _register(name: str, title: str, arm: Callable[[Any], None], limit_us: float) -> None:
    @row(name, title, durability="-", group=GROUP, budgets={AT_THE_POINT: at_most(limit_us, "µs")})
    def point(bench: Bench) -> Result:
        ours.require()
        timings, _ = contest(bench, [_point(arm), Side(EMPTY, _empty)])
        rounds = zip(timings[AT_THE_POINT].rounds, timings[EMPTY].rounds, strict=True)
        spent = quartiles([(a - b) * 1e6 for a, b in rounds])
        figure = Figure(spent.median, "µs")
        line = Comparison(AT_THE_POINT, "-", figure, spent.median, "↓", f"beyond {EMPTY}", spent.spread)
        return Result(figure, [line])


_register("hooks-none", "hook point, no hook", _none, 0.3)
_register("hooks-ten-sync", "hook point, ten sync hooks", _sync, 15)
_register("hooks-ten-async", "hook point, ten async hooks with deadlines", _async, 60)
