"""Finding sessions among many: pages of lists and queries, counts and full text, for what few or many have."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import child, ours
from benchmarks.harness import Bench, Comparison, Figure, Result, at_most, quartiles, row
from benchmarks.machine import rss_bytes
from benchmarks.rows.queries import PEAK, PEAK_MB, peak_line

GROUP = "Sessions"
PAGE_MS = at_most(20, "ms")
TEXT_MS = at_most(50, "ms")
MIDDLE = "middle"
"""Stands for the time at which half of the sessions were there."""
PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "a page, last changed first": ("list", {}),
    "a page, first created first": ("list", {"order_by": "created_at"}),
    "of a status": ("list", {"status": "completed"}),
    "of a tag that a tenth has": ("list", {"tags": ["t1"]}),
    "of a tag that fifty have": ("list", {"tags": ["rare-7"]}),
    "of three conditions": ("list", {"status": "active", "tags": ["t1"], "created_by": "u-1"}),
    "of two tags that none has": ("list", {"tags": ["t1", "t2"]}),
    "of a field of metadata": ("list", {"metadata": {"user.id": 77}}),
    "created before the middle": ("list", {"created_before": MIDDLE}),
    "of a status, created before": ("list", {"status": "active", "created_before": MIDDLE}),
    "children of a session": ("children", {"session_id": "root"}),
    "a count that stops": ("count", {"status": "active"}),
}
TEXTS: dict[str, tuple[str, dict[str, Any]]] = {
    "newest 50 with a common word": ("list", {"text": "common"}),
    "newest 50 with a rare word": ("list", {"text": "word77"}),
    "newest 50 with two words": ("list", {"text": "common word77"}),
    "with words, of a status": ("list", {"text": "common", "status": "completed"}),
    "with a word, first created first": ("list", {"text": "common", "order_by": "created_at"}),
}
CHANGED = 300
"""Sessions that change after the index was filled: few enough that nothing takes them in."""


@row(
    "session-queries",
    "sessions found among 100,000",
    durability="process",
    group=GROUP,
    budgets=dict.fromkeys(PAGES, PAGE_MS) | dict.fromkeys(TEXTS, TEXT_MS) | {PEAK: PEAK_MB},
)
def found(bench: Bench) -> Result:
    """Each question in turn, over an index with a tail."""
    many = bench.size(quick=5_000, default=100_000, full=100_000)
    folder = bench.fresh("sessions")
    with ours.opened(folder, "process", "sync") as it:
        middle = _fill(it.store.sessions, many)
    times, peak = child.measured("benchmarks.rows.sessions:asked", str(folder), middle.isoformat(), bench.rounds)
    comparisons = []
    for name in PAGES | TEXTS:
        spent = quartiles(times[name])
        figure = Figure(spent.median, "ms")
        comparisons.append(Comparison(name, "process", figure, spent.median, "↓", "", spent.spread))
    slowest = max(comparison.value or 0 for comparison in comparisons)
    note = f"{many:,} sessions, {CHANGED} of them changed since the index"
    return Result(Figure(slowest, "ms"), [*comparisons, peak_line(peak)], note)


def asked(folder: str, middle: str, rounds: int) -> tuple[dict[str, list[float]], int]:
    """Milliseconds of each round by question, and the most memory in bytes that the process had (0: not known)."""
    times = {}
    with ours.opened(Path(folder), "process", "sync") as it:
        for number in range(CHANGED):
            it.store.sessions.open(f"session {number * 7}").update(description="common words, changed")
        for name, (method, given) in (PAGES | TEXTS).items():
            wanted = {key: datetime.fromisoformat(middle) if value == MIDDLE else value for key, value in given.items()}
            ask = partial(getattr(it.store.sessions, method), **wanted)
            times[name] = [_ms(ask) for _ in range(rounds)]
    return times, rss_bytes("VmHWM")


def _ms(ask: Callable[[], object]) -> float:
    start = time.perf_counter()
    ask()
    return (time.perf_counter() - start) * 1e3


def _fill(rooms: Any, many: int) -> datetime:
    """Sessions like those of agents; gives the time at which half of them were there."""
    root = rooms.create("root")
    middle: datetime = root.info.created_at
    for number in range(many):
        session = rooms.create(
            f"session {number}", description=" ".join(f"word{number * n % 4001}" for n in range(1, 13)) +
            (" common" if number % 2 else ""),
            tags=[f"t{number % 10}", f"rare-{number // 50}"], created_by=f"u-{number % 20}",
            metadata={"user": {"id": number % 1000}, "kind": "research", "n": number},
            parent=root.id if number % 100 == 0 else None,
        )  # fmt: skip
        if number % 3 == 0:
            session.complete()
        if number == many // 2:
            middle = session.info.created_at
    return middle
