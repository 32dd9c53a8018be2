"""Many callers on one store: what group commit brings, what a conflict costs, and whether the rate can be held."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from benchmarks import ours
from benchmarks.compare import OURS, microseconds
from benchmarks.harness import Bench, Comparison, Figure, Result, Side, at_least, at_most, contest, ratio, row

GROUP = "Many callers write"
WRITERS = 64
ONE = "one caller, async face"
HIDDEN = "the same without waiting for the disk"
FREE = "the same without conflicts (throughput kept)"
VALUE = {"topic": "durable memory of agents", "turn": 1, "tags": ["a", "b"]}
MB = 1_000_000


def writer(number: int) -> ours.Work:
    """Sets keys of its own."""

    def work(it: ours.Opened) -> Callable[[], Any]:
        turns = itertools.count()
        return lambda: it.store.state.set(f"writer-{number}-{next(turns) % 16}", VALUE)

    return work


def conflicting_writer(it: ours.Opened) -> Callable[[], Any]:
    """Asks for a version that is never the current one: each of its calls is refused with Conflict."""
    from llmspell.errors import Conflict

    async def operation() -> None:
        try:
            await it.store.state.set("contested", VALUE, if_version=999_999_999)
        except Conflict:
            return
        raise AssertionError("a stale version was accepted")

    it.do(it.store.state.set("contested", VALUE))
    return operation


def _register(durability: Literal["process", "full"], other: str, at: Literal["process", "full"], limit: float) -> None:
    @row(
        f"writers-64-{durability}",
        "64 concurrent writers, state.set (time per set)",
        durability=durability,
        group=GROUP,
        budgets={other: at_least(limit)},
    )
    def throughput(bench: Bench) -> Result:
        sides = [
            ours.many(OURS, [writer(n) for n in range(WRITERS)], durability),
            _SIDES[other](other, at),
        ]
        return _against(bench, sides, other)

    @row(
        f"writers-64-conflict-{durability}",
        "64 concurrent writers, one of them always in conflict",
        durability=durability,
        group=GROUP,
        budgets={FREE: at_least(80, "%")},
    )
    def conflicts(bench: Bench) -> Result:
        writers = [writer(n) for n in range(WRITERS - 1)]
        sides = [
            ours.many(OURS, [*writers, conflicting_writer], durability),
            ours.many(FREE, [*writers, writer(WRITERS)], durability),
        ]
        return _against(bench, sides, FREE, scale=100)


def _against(bench: Bench, sides: list[Any], other: str, scale: float = 1) -> Result:
    ours.require()
    timings, _ = contest(bench, sides)
    value = ratio(timings[other], timings[OURS], scale=scale)
    rate = 1 / timings[OURS].median_s
    strength = timings[other].side.durability
    comparison = Comparison(other, strength, microseconds(timings[other]), value.median, "↑", spread=value.spread)
    return Result(microseconds(timings[OURS]), [comparison], f"{rate:,.0f} /s")


_SIDES: dict[str, Callable[[str, Literal["process", "full"]], Side]] = {
    ONE: lambda name, durability: ours.side(name, ours.state_set, durability, "async"),
    HIDDEN: lambda name, durability: ours.many(name, [writer(n) for n in range(WRITERS)], durability),
}
_register("process", ONE, "process", 1.3)
_register("full", HIDDEN, "process", 0.7)

BURST = "burst: the first second of a fresh store"
WAL = "largest write-ahead log"


@row(
    "sustained",
    "64 writers at full rate, checkpoints running",
    durability="full",
    group=GROUP,
    budgets={BURST: at_least(70, "%"), WAL: at_most(256, "MB")},
)
def sustained(bench: Bench) -> Result:
    """10 s (60 s with --full) of writing as fast as it goes; a thread watches the size of the write-ahead logs."""
    ours.require()
    seconds = bench.size(quick=3, default=10, full=60)
    bursts = [_rate(bench.fresh("burst"), 1.0)[0] for _ in range(3)]
    rate, wal_bytes, worst = _rate(bench.fresh("sustained"), float(seconds))
    burst = statistics.median(bursts)
    return Result(
        Figure(rate, "/s"),
        [
            Comparison(BURST, "full", Figure(burst, "/s"), 100 * rate / burst, "↑"),
            Comparison(WAL, "full", Figure(wal_bytes / MB, "MB"), wal_bytes / MB, "↓"),
        ],
        f"over {seconds} s; slowest second {worst:,.0f} /s",
    )


def _rate(folder: Path, seconds: float) -> tuple[float, int, float]:
    """Sets per second, the largest WAL in bytes, and the rate of the slowest whole second."""
    done = threading.Event()
    wal = [0]

    def watch() -> None:
        while not done.wait(0.02):
            wal[0] = max([wal[0], *(path.stat().st_size for path in folder.rglob("*-wal"))])

    watcher = threading.Thread(target=watch)
    with ours.opened(folder, "full", "async") as it:
        watcher.start()
        try:
            marks = it.do(_write_for(seconds, [writer(n)(it) for n in range(WRITERS)]))
        finally:
            done.set()
            watcher.join()
    per_second = [later - sooner for sooner, later in itertools.pairwise(marks)]
    return marks[-1] / seconds, wal[0], min(per_second, default=0)


async def _write_for(seconds: float, operations: list[Callable[[], Awaitable[object]]]) -> list[int]:
    """Write until the time is over; returns how many were done after each second, beginning with 0."""
    count, marks = 0, [0]
    start = time.perf_counter()

    async def caller(operation: Callable[[], Awaitable[object]]) -> None:
        nonlocal count
        while (spent := time.perf_counter() - start) < seconds:
            await operation()
            count += 1
            if spent >= len(marks):
                marks.append(count)

    await asyncio.gather(*(caller(operation) for operation in operations))
    return [*marks, count] if len(marks) <= seconds else [*marks[:-1], count]
