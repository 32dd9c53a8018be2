"""Small measurements behind the decision records: ``python -m benchmarks.decisions.NAME`` prints one table.

Each compares what was decided with what lost, in one run on one machine, turn by turn. Unlike the rows of the
benchmarks they have no budget: they are there to be repeated when somebody doubts a decision.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

ROUNDS = 15


def compare(what: str, sides: dict[str, Callable[[], object]], *, times: int, rounds: int = ROUNDS) -> None:
    """Print µs a call for each side, median of rounds in which the sides take turns, and the ratio to the first."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, call in sides.items():
            began = time.perf_counter()
            for _ in range(times):
                call()
            found[name].append((time.perf_counter() - began) / times * 1e6)
    print(what)
    base = statistics.median(next(iter(found.values())))
    for name, figures in found.items():
        median = statistics.median(figures)
        print(f"  {name:<48} {median:12.2f} µs   {median / base:6.2f}x")
