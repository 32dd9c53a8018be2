"""Large artifacts as streams: 256 MB (1 GB with --full) in and out, and the memory it takes.

Each row runs in a process of its own, so that memory freed by earlier rows does not hide what this one adds.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blake3

from benchmarks import child, ours
from benchmarks.harness import Bench, Comparison, Durability, Figure, Result, at_most, quartiles, row
from benchmarks.machine import reset_peak_rss, rss_bytes

GROUP = "Large artifacts"
MB = 1_000_000
SLICE = 1 << 20
WRITE = "BLAKE3 + file write + fsync"
READ = "file read + BLAKE3"
MEMORY = "memory added at the peak"
Rounds = tuple[list[float], list[float], int]
"""Seconds of ours, seconds of the plain way, and the bytes that ours added to the resident memory (-1: not known)."""


def _noise_file(folder: Path, size: int) -> Path:
    path = folder / "noise.bin"
    with path.open("wb") as file:
        for _ in range(size // SLICE):
            file.write(os.urandom(SLICE))
        os.fsync(file.fileno())
    return path


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _copy(source: Path, target: Path) -> None:
    hasher = blake3.blake3()
    with source.open("rb") as reading, target.open("wb") as writing:
        while piece := reading.read(SLICE):
            hasher.update(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())


def _hash(source: Path) -> None:
    hasher = blake3.blake3()
    with source.open("rb") as reading:
        while piece := reading.read(SLICE):
            hasher.update(piece)
    hasher.digest()


def _drain(stream: Any) -> int:
    return sum(len(piece) for piece in stream)


def _peak(work: Callable[[], object]) -> tuple[float, int]:
    """Seconds, and bytes between what was resident before and the peak."""
    known, before = reset_peak_rss(), rss_bytes()
    spent = _timed(work)
    return spent, rss_bytes("VmHWM") - before if known else -1


def put_rounds(folder: str, size: int, rounds: int) -> Rounds:
    """Incompressible bytes from a file; each round puts into a fresh store, so that nothing is found there already."""
    source = _noise_file(Path(folder), size)
    mine, plain, added = list[float](), list[float](), -1
    for number in range(rounds):
        place = Path(folder) / str(number)
        place.mkdir()
        with ours.opened(place, "full", "sync") as it:
            session = it.store.sessions.create("streams")
            spent, grown = _peak(lambda: session.artifacts.put("noise.bin", source))  # noqa: B023
            mine.append(spent)
            added = max(added, grown)
        plain.append(_timed(lambda: _copy(source, place / "copy.bin")))  # noqa: B023
        shutil.rmtree(place)
    return mine, plain, added


def get_rounds(folder: str, size: int, rounds: int) -> Rounds:
    """Read the whole artifact back through ``stream()``, every chunk checked; both sides from the page cache."""
    source = _noise_file(Path(folder), size)
    mine, plain, added = list[float](), list[float](), -1
    with ours.opened(Path(folder), "process", "sync") as it:
        session = it.store.sessions.create("streams")
        session.artifacts.put("noise.bin", source)

    with ours.opened(Path(folder), "process", "sync") as it:
        session = it.store.sessions.open(session.id)
        for _ in range(rounds):
            spent, grown = _peak(lambda: _drained(session, size))
            mine.append(spent)
            added = max(added, grown)
            plain.append(_timed(lambda: _hash(source)))
    return mine, plain, added


def _drained(session: Any, size: int) -> None:
    found = _drain(session.artifacts.get("noise.bin").stream())
    assert found == size, found


def _result(against: str, durability: Durability, size: int, rounds: Rounds) -> Result:
    mine, plain, added = rounds
    value = quartiles([a / b for a, b in zip(mine, plain, strict=True)])
    rate = Figure(size / MB / statistics.median(plain), "MB/s")
    line = Comparison(against, durability, rate, value.median, "↓", spread=value.spread)
    if added < 0:
        memory = Comparison(MEMORY, "-", note="this system does not tell the peak")
    else:
        memory = Comparison(MEMORY, "-", Figure(added / MB, "MB"), added / MB, "↓")
    note = f"{size // SLICE} MiB of incompressible bytes, {len(mine)} rounds"
    return Result(Figure(size / MB / statistics.median(mine), "MB/s"), [line, memory], note)


def _size(bench: Bench) -> int:
    return bench.size(quick=64, default=256, full=1024) * SLICE


@row(
    "stream-put-full",
    "put a stream, sync face",
    durability="full",
    group=GROUP,
    budgets={WRITE: at_most(2), MEMORY: at_most(64, "MB")},
)
def put(bench: Bench) -> Result:
    """See ``put_rounds``."""
    ours.require()
    rounds = bench.size(quick=1, default=5, full=5)
    found = child.measured(f"{__name__}:put_rounds", str(bench.fresh("put")), _size(bench), rounds)
    return _result(WRITE, "full", _size(bench), found)


@row(
    "stream-get",
    "get it back as a stream, sync face",
    durability="process",
    group=GROUP,
    budgets={READ: at_most(1.6), MEMORY: at_most(64, "MB")},
)
def get(bench: Bench) -> Result:
    """See ``get_rounds``."""
    ours.require()
    rounds = bench.size(quick=2, default=7, full=7)
    found = child.measured(f"{__name__}:get_rounds", str(bench.fresh("get")), _size(bench), rounds)
    return _result(READ, "-", _size(bench), found)
