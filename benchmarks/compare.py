"""Rows from contests: open the sides, let them take turns, hold ours against each of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks import ours
from benchmarks.harness import (
    Bench,
    Comparison,
    Durability,
    Figure,
    Ratio,
    Result,
    Runner,
    Side,
    Skipped,
    Timing,
    contest,
    quartiles,
    ratio,
)
from benchmarks.tape import Tape, play, record

OURS = "ours"
BARE = "bare apsw, same rows"
ADDED = "time added to the bare rows"
BEST = "best of the peers at equal durability"
TAPE_OPERATIONS = 5000


def bare_side(
    bench: Bench, work: ours.Work, durability: Durability, *, writes: bool = True, operations: int = 0
) -> Side:
    """The bare engine doing what our sync face does for ``work``: its recorded statements, replayed."""

    @contextmanager
    def opening(folder: Path) -> Iterator[Runner]:
        length = operations or bench.size(quick=300, default=TAPE_OPERATIONS, full=TAPE_OPERATIONS)
        with play(ours_recording(folder, work, length), bench.fresh("play"), durability, writes=writes) as runner:
            yield runner

    return Side(BARE, opening, durability)


def ours_recording(folder: Path, work: ours.Work, operations: int) -> Tape:
    """A tape of ``operations`` calls of ``work`` on a store of its own."""
    with ExitStack() as stack:

        def prepare() -> Callable[[], object]:
            it = stack.enter_context(ours.opened(folder, "process", "sync"))
            operation = work(it)
            operation()
            return operation

        return record(folder, operations, prepare)


def microseconds(timing: Timing) -> Figure:
    """A timing as printed: µs, or ms from 1 ms on."""
    value = timing.median_s * 1e6
    return Figure(value, "µs") if value < 10_000 else Figure(value / 1e3, "ms")


def slower(timings: dict[str, Timing], mine: str, other: str) -> Comparison:
    """How many times as long ours takes as ``other`` (at most 1.8x)."""
    return _compared(timings[other], ratio(timings[mine], timings[other]), "↓")


def faster(timings: dict[str, Timing], mine: str, other: str) -> Comparison:
    """How many times as long ``other`` takes as ours (at least 5x)."""
    return _compared(timings[other], ratio(timings[other], timings[mine]), "↑")


def added(timings: dict[str, Timing], mine: str, bare: str) -> Comparison:
    """What ours takes over the bare rows, in µs: it depends on the processor, not on how fast its disk syncs."""
    pairs = zip(timings[mine].rounds, timings[bare].rounds, strict=True)
    spent = quartiles([(a - b) * 1e6 for a, b in pairs])
    return Comparison(ADDED, timings[bare].side.durability, None, spent.median, "↓", spread=spent.spread)


def _compared(timing: Timing, value: Ratio, direction: str) -> Comparison:
    side = timing.side
    return Comparison(
        side.name, side.durability, microseconds(timing), value.median, direction, side.note, value.spread
    )


def versus(
    bench: Bench,
    mine: Side,
    bare: Side | None,
    peers: Sequence[Side],
    *,
    best_of: Sequence[str] = (),
    added_too: bool = False,
) -> Result:
    """Ours against bare (how much slower, with ``added_too`` also by how much time), against each peer (how much
    faster), and the best of ``best_of``.

    Peers that cannot take part leave their reason in the table. When our own side cannot, the others are still shown.
    """
    sides = [mine, *([bare] if bare else []), *peers]
    timings, skipped = contest(bench, sides)
    comparisons: list[Comparison] = []
    for each in sides[1:]:
        if each.name in skipped:
            comparisons.append(Comparison(each.name, each.durability, note=f"skipped: {skipped[each.name]}"))
        elif mine.name in timings:
            comparisons.append((slower if each is bare else faster)(timings, mine.name, each.name))
            if each is bare and added_too:
                comparisons.append(added(timings, mine.name, each.name))
        else:
            comparisons.append(Comparison(each.name, each.durability, microseconds(timings[each.name]), note=each.note))
    present = [name for name in best_of if name in timings]
    if present and mine.name in timings:
        best = min(present, key=lambda name: timings[name].median_s)
        value = ratio(timings[best], timings[mine.name])
        figure = microseconds(timings[best])
        comparisons.append(Comparison(BEST, mine.durability, figure, value.median, "↑", best, value.spread))
    if mine.name in timings:
        return Result(microseconds(timings[mine.name]), comparisons)
    if not any(comparison.figure for comparison in comparisons):
        raise Skipped(skipped[mine.name])
    return Result(None, comparisons, f"ours skipped: {skipped[mine.name]}")


def peer(
    name: str, opening: Callable[..., AbstractContextManager[Runner]], durability: Durability, **options: object
) -> Side:
    """A peer's side at this durability."""
    return Side(name, partial(opening, durability=durability, **options), durability)
