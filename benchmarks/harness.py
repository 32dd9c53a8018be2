"""The measuring: rows, budgets, and the contest in which the sides of a row take turns.

A *row* is a function registered with :func:`row`; it opens its sides, lets them compete and returns a
:class:`Result`. A *side* is a context manager that opens something in a folder of its own and yields a *runner*:
a callable that does ``n`` operations and returns the seconds they took (so preparing is never in the figure).
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Durability = Literal["full", "process", "none", "-"]
Runner = Callable[[int], float]
OPS_MIN = 8
OPS_MAX = 20_000


class Skipped(Exception):
    """This row or side cannot be measured here; the text says why and is printed in its place."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A bound on the value of one comparison: ``at most 1.8 x``, ``at least 80 %``, ``at most 0.3 µs``."""

    kind: Literal["at most", "at least"]
    limit: float
    unit: str = "x"

    def kept(self, value: float) -> bool:
        """Whether ``value`` (in the budget's own unit) is inside the bound."""
        return value <= self.limit if self.kind == "at most" else value >= self.limit

    def __str__(self) -> str:
        return f"{'≤' if self.kind == 'at most' else '≥'} {self.limit:g} {self.unit}"


def at_most(limit: float, unit: str = "x") -> Budget:
    """A budget that is kept up to ``limit``."""
    return Budget("at most", limit, unit)


def at_least(limit: float, unit: str = "x") -> Budget:
    """A budget that is kept from ``limit`` on."""
    return Budget("at least", limit, unit)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured quantity with its unit, as printed."""

    value: float
    unit: str

    def __str__(self) -> str:
        digits = 0 if abs(self.value) >= 1000 else 1 if abs(self.value) >= 10 else 2
        return f"{self.value:,.{digits}f} {self.unit}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line under a row: what ours is held against, the value the budget is about, and how it was set up.

    ``value`` is in the unit of the budget (a ratio unless the budget says otherwise); ``direction`` says in words
    how to read it. ``spread`` holds the lower and upper quartile of the rounds' values: when the budget lies between
    them, the verdict is unsteady. A comparison without ``value`` was skipped, and ``note`` is the reason.
    """

    against: str
    durability: Durability
    figure: Figure | None = None
    value: float | None = None
    direction: str = ""
    note: str = ""
    spread: tuple[float, float] | None = None


@dataclass(slots=True)
class Result:
    """What a row measured: our figure and the comparisons."""

    figure: Figure | None
    comparisons: list[Comparison] = field(default_factory=list)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A registered benchmark. ``budgets`` maps the ``against`` of a comparison to the bound it must keep."""

    name: str
    title: str
    durability: Durability
    budgets: Mapping[str, Budget]
    run: Callable[[Bench], Result]
    group: str


ROWS: dict[str, Row] = {}


def row(
    name: str, title: str, *, durability: Durability, group: str, budgets: Mapping[str, Budget] | None = None
) -> Callable[[Callable[[Bench], Result]], Callable[[Bench], Result]]:
    """Register a row under a kebab-case ``name`` (what ``--only`` matches). Rows run in the order of registration."""

    def register(run: Callable[[Bench], Result]) -> Callable[[Bench], Result]:
        if name in ROWS:
            raise ValueError(f"two rows are named {name!r}")
        ROWS[name] = Row(name, title, durability, dict(budgets or {}), run, group)
        return run

    return register


@dataclass(slots=True)
class Bench:
    """What a row may ask for: a fresh folder, how long to measure, and the size of the long rows."""

    folder: Path
    mode: Literal["quick", "default", "full"]
    _count: int = 0

    @property
    def rounds(self) -> int:
        """How often the sides take turns; the median is over these."""
        return {"quick": 5, "default": 15, "full": 41}[self.mode]

    @property
    def block_s(self) -> float:
        """How long one turn of one side should take."""
        return {"quick": 0.02, "default": 0.05, "full": 0.1}[self.mode]

    def size(self, *, quick: int, default: int, full: int) -> int:
        """The size of a long row in this mode."""
        return {"quick": quick, "default": default, "full": full}[self.mode]

    def fresh(self, label: str) -> Path:
        """A new empty folder, removed with the run."""
        self._count += 1
        path = self.folder / f"{self._count:03d}-{label}"
        path.mkdir(parents=True)
        return path


@dataclass(frozen=True, slots=True)
class Side:
    """One competitor of a row: ``open(folder)`` is a context manager that yields its runner."""

    name: str
    open: Callable[[Path], AbstractContextManager[Runner]]
    durability: Durability = "-"
    note: str = ""
    ops_max: int = OPS_MAX


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds per operation of one side, one value per round."""

    side: Side
    rounds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        """The median round, in seconds per operation."""
        return statistics.median(self.rounds)


def contest(bench: Bench, sides: Sequence[Side]) -> tuple[dict[str, Timing], dict[str, str]]:
    """Let the sides take turns and return each one's timing, and the reason for each that could not take part.

    Every side is warmed up and calibrated to blocks of about ``bench.block_s``; the order rotates from round to round
    so that no side always pays for its neighbour's dirty pages.
    """
    runners: dict[str, tuple[Side, Runner, int]] = {}
    skipped: dict[str, str] = {}
    with ExitStack() as stack:
        for side in sides:
            try:
                runner = stack.enter_context(side.open(bench.fresh(_slug(side.name))))
                runners[side.name] = side, runner, _calibrated(runner, bench.block_s, side.ops_max)
            except Skipped as reason:
                skipped[side.name] = str(reason)
        times: dict[str, list[float]] = {name: [] for name in runners}
        order = list(runners)
        for number in range(bench.rounds if order else 0):
            gc.collect()
            for name in order[number % len(order) :] + order[: number % len(order)]:
                _, runner, ops = runners[name]
                times[name].append(runner(ops) / ops)
    return {name: Timing(runners[name][0], tuple(values)) for name, values in times.items()}, skipped


@dataclass(frozen=True, slots=True)
class Ratio:
    """Median of a ratio over the rounds, and its quartiles."""

    median: float
    spread: tuple[float, float]


def quartiles(values: Sequence[float]) -> Ratio:
    """Median and quartiles of the rounds' values."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return Ratio(statistics.median(values), (low, high))


def ratio(timing: Timing, reference: Timing, *, scale: float = 1) -> Ratio:
    """``timing / reference`` round by round: more than 1 means slower than the reference."""
    return quartiles([scale * a / b for a, b in zip(timing.rounds, reference.rounds, strict=True)])


def _calibrated(runner: Runner, block_s: float, ops_max: int) -> int:
    ops = 1
    while ops < ops_max:
        spent = runner(ops)
        if spent >= block_s / 3:
            spent = min(spent, runner(ops))  # one stall of the disk must not make blocks of a single operation
        if spent >= block_s / 3:
            return max(1, min(ops_max, round(ops * block_s / spent)))
        ops = min(ops_max, ops * 3)
    return ops_max


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower())[:40]


def loop(operation: Callable[[], object]) -> Runner:
    """A runner that calls ``operation`` n times."""

    def run(n: int) -> float:
        start = time.perf_counter()
        for _ in range(n):
            operation()
        return time.perf_counter() - start

    return run


def async_loop(runner: asyncio.Runner, *operations: Callable[[], Awaitable[object]]) -> Runner:
    """A runner that does n operations: one task for each of ``operations``, awaiting its own again and again.

    One operation is one caller; sixty-four are sixty-four callers at once, each with its share of the n.
    """

    async def caller(operation: Callable[[], Awaitable[object]], n: int) -> None:
        for _ in range(n):
            await operation()

    async def all_callers(n: int) -> float:
        start = time.perf_counter()
        if len(operations) == 1:
            await caller(operations[0], n)
        else:
            least, more = divmod(n, len(operations))
            await asyncio.gather(*(caller(each, least + (i < more)) for i, each in enumerate(operations)))
        return time.perf_counter() - start

    return lambda n: runner.run(all_callers(n))


@contextmanager
def event_loop() -> Iterator[asyncio.Runner]:
    """An event loop that lives as long as a side, so that starting it is in no figure."""
    with asyncio.Runner() as runner:
        runner.get_loop()
        yield runner
