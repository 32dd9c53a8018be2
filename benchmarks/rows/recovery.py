"""Reopening after kill -9: must not depend on how long the journal is."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import ours
from benchmarks.harness import Bench, Comparison, Figure, Result, at_most, quartiles, row

GROUP = "Recovery"
SMALL = 10_000
REFERENCE = "the same with 10,000 entries"
DEADLINE_S = 900


@row(
    "reopen-after-kill",
    "open and first read after kill -9",
    durability="full",
    group=GROUP,
    budgets={REFERENCE: at_most(1.5)},
)
def reopen(bench: Bench) -> Result:
    """A child writes and is killed while it goes on writing; then its store is opened, each time from a fresh copy."""
    ours.require()
    large = bench.size(quick=20_000, default=100_000, full=1_000_000)
    killed = {count: _killed(bench.fresh(f"killed-{count}"), count) for count in (SMALL, large)}
    times: dict[int, list[float]] = {count: [] for count in killed}
    for _ in range(bench.rounds):
        for count, folder in killed.items():
            copy = bench.fresh("copy")
            shutil.copytree(folder / "store", copy / "store")
            times[count].append(_open_and_read(copy))
            shutil.rmtree(copy)
    value = quartiles([b / a for a, b in zip(times[SMALL], times[large], strict=True)])
    small = Figure(statistics.median(times[SMALL]) * 1e3, "ms")
    reference = Comparison(REFERENCE, "full", small, value.median, "↓", spread=value.spread)
    logs = {count: sum(path.stat().st_size for path in killed[count].rglob("*-wal")) / 1e6 for count in killed}
    note = (
        f"{large:,} entries; write-ahead log at the kill {logs[large]:.0f} MB, with 10,000 entries {logs[SMALL]:.0f} MB"
    )
    return Result(Figure(statistics.median(times[large]) * 1e3, "ms"), [reference], note)


def _open_and_read(folder: Path) -> float:
    start = time.perf_counter()
    with ours.opened(folder, "full", "sync") as it:
        assert it.store.state.get("key-1") is not None
        return time.perf_counter() - start


def _killed(folder: Path, count: int) -> Path:
    """The folder of a store with at least ``count`` entries whose writer was killed at work."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.rows.recovery", str(folder), str(count)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()  # printed once the entries are there and more are being written
        if not line:
            raise RuntimeError(f"the writing child ended with {child.wait(DEADLINE_S)}")
        assert json.loads(line)["entries"] >= count
    finally:
        child.kill()
        child.wait()
    return folder


def _write(folder: Path, count: int) -> None:
    """The child: ``count`` entries in batches, say so, go on one by one until killed."""
    with ours.opened(folder, "full", "sync") as it:
        for start in range(0, count, 500):
            it.store.state.set_many(
                {f"key-{(start + n) % 5000}": {"turn": start + n, "text": "x" * 60} for n in range(500)}
            )
        print(json.dumps({"entries": count}), flush=True)
        while True:
            it.store.state.set("key-1", {"turn": count, "text": "still writing"})


if __name__ == "__main__":
    _write(Path(sys.argv[1]), int(sys.argv[2]))
