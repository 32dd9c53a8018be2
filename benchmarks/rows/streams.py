"""Large artifacts as streams: 256 MB (1 GB with --full) in and out, and the memory it takes."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import blake3

from benchmarks import ours
from benchmarks.harness import Bench, Comparison, Figure, Result, at_most, row
from benchmarks.machine import reset_peak_rss, rss_bytes

GROUP = "Large artifacts"
MB = 1_000_000
SLICE = 1 << 20
WRITE = "BLAKE3 + file write + fsync"
READ = "file read + BLAKE3"
MEMORY = "memory added at the peak"


def _noise_file(bench: Bench, size: int) -> Path:
    path = bench.fresh("noise") / "noise.bin"
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


@row(
    "stream-put-full",
    "put a stream, sync face",
    durability="full",
    group=GROUP,
    budgets={WRITE: at_most(2), MEMORY: at_most(64, "MB")},
)
def put(bench: Bench) -> Result:
    """Incompressible bytes from a file; each round puts into a fresh store, so that nothing is found there already."""
    ours.require()
    source, size = _source(bench)
    mine: list[float] = []
    plain: list[float] = []
    added = 0
    for _ in range(bench.size(quick=1, default=3, full=3)):
        with ours.opened(bench.fresh("stream"), "full", "sync") as it:
            session = it.store.sessions.create("streams")
            before = _from_here()
            mine.append(_timed(lambda: session.artifacts.put("noise.bin", source)))  # noqa: B023
            added = max(added, rss_bytes("VmHWM") - before)
        plain.append(_timed(lambda: _copy(source, bench.fresh("copy") / "noise.bin")))
    return Result(
        Figure(size / MB / statistics.median(mine), "MB/s"),
        [_line(WRITE, mine, plain, size), _memory(added)],
        _sized(size),
    )


@row(
    "stream-get",
    "get it back as a stream, sync face",
    durability="process",
    group=GROUP,
    budgets={READ: at_most(1.5), MEMORY: at_most(64, "MB")},
)
def get(bench: Bench) -> Result:
    """Read the whole artifact back through ``stream()``, every chunk checked; both sides from the page cache."""
    ours.require()
    source, size = _source(bench)
    mine: list[float] = []
    plain: list[float] = []
    added = 0
    with ours.opened(bench.fresh("stream"), "process", "sync") as it:
        session = it.store.sessions.create("streams")
        session.artifacts.put("noise.bin", source)
        content = session.artifacts.get("noise.bin")
        assert _drain(content.stream()) == size
        for _ in range(bench.size(quick=1, default=5, full=5)):
            before = _from_here()
            mine.append(_timed(lambda: _drain(session.artifacts.get("noise.bin").stream())))
            added = max(added, rss_bytes("VmHWM") - before)
            plain.append(_timed(lambda: _hash(source)))
    return Result(
        Figure(size / MB / statistics.median(mine), "MB/s"),
        [_line(READ, mine, plain, size), _memory(added)],
        _sized(size),
    )


def _from_here() -> int:
    """Begin a new memory peak and give what is resident now."""
    reset_peak_rss()
    return rss_bytes()


def _memory(added: int) -> Comparison:
    if not reset_peak_rss():
        return Comparison(MEMORY, "-", note="this system does not reset the peak")
    return Comparison(MEMORY, "-", Figure(added / MB, "MB"), added / MB, "↓")


def _source(bench: Bench) -> tuple[Path, int]:
    size = bench.size(quick=16, default=256, full=1024) * SLICE
    return _noise_file(bench, size), size


def _line(against: str, mine: list[float], plain: list[float], size: int) -> Comparison:
    value = statistics.median(a / b for a, b in zip(mine, plain, strict=True))
    durability = "full" if against == WRITE else "-"
    return Comparison(against, durability, Figure(size / MB / statistics.median(plain), "MB/s"), value, "↓")  # type: ignore[arg-type]


def _sized(size: int) -> str:
    return f"{size // SLICE} MiB of incompressible bytes"
