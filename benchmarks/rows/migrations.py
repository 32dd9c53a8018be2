"""Migrating stored values: how many a second, how much memory, and how long another writer waits meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

from benchmarks import ours, ours_migrations
from benchmarks.harness import Bench, Comparison, Figure, Result, at_least, at_most, row

GROUP = "Migrations"
RATE = "values a second"
MEMORY = "memory added"
WAIT = "longest wait of another process's write"
DEADLINE_S = 900
PAUSE_S = 0.002


def _register(durability: Literal["process", "full"]) -> None:
    @row(
        f"migrate-values-{durability}",
        "migrate values by four transforms, checked before and after",
        durability=durability,
        group=GROUP,
        budgets={RATE: at_least(10_000, "/s"), MEMORY: at_most(16, "MB"), WAIT: at_most(50, "ms")},
    )
    def migrate(bench: Bench) -> Result:
        """A child migrates; this process goes on setting a key of its own, and notes its longest wait."""
        ours.require()
        count = bench.size(quick=5_000, default=100_000, full=1_000_000)
        folder = bench.fresh("migrate")
        with ours.opened(folder, "process", "sync") as it:
            ours_migrations.fill(it, count)
        said, waits = _run(folder, durability)
        rate = count / said["seconds"]
        longest, usual = max(waits) * 1e3, sorted(waits)[len(waits) // 2] * 1e3
        figures = [
            Comparison(RATE, durability, Figure(rate, "/s"), rate, "↑"),
            Comparison(MEMORY, "-", Figure(said["memory"] / 1e6, "MB"), said["memory"] / 1e6, "↓"),
            Comparison(WAIT, durability, Figure(longest, "ms"), longest, "↓"),
        ]
        note = f"{count:,} values; {len(waits):,} writes of the other process, the median took {usual:.2f} ms"
        return Result(Figure(rate, "/s"), figures, note)


def _run(folder: Path, durability: Literal["process", "full"]) -> tuple[dict[str, float], list[float]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.rows.migrations", str(folder), durability],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    waits: list[float] = []
    try:
        assert child.stdout is not None
        assert child.stdin is not None
        if child.stdout.readline() != "ready\n":
            raise RuntimeError(f"the migrating child ended with {child.wait(DEADLINE_S)}")
        with ours.opened(folder, durability, "sync") as it:
            it.store.state.set("beside", 0)
            child.stdin.write("go\n")
            child.stdin.flush()
            while child.poll() is None:
                start = time.perf_counter()
                it.store.state.set("beside", len(waits))
                waits.append(time.perf_counter() - start)
                time.sleep(PAUSE_S)
        said: dict[str, float] = json.loads(child.stdout.read())
    finally:
        child.kill()
        child.wait()
    return said, waits


def _migrate(folder: Path, durability: Literal["process", "full"]) -> None:
    import resource

    with ours.opened(folder, durability, "sync") as it:
        plan = ours_migrations.plan(it)
        print("ready", flush=True)
        sys.stdin.readline()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        report = it.store.migrations.apply(plan)
        seconds = time.perf_counter() - start
        assert report.changed == plan.count
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "memory": (after - before) * 1024}))


_register("process")
_register("full")

if __name__ == "__main__":
    _migrate(Path(sys.argv[1]), "full" if sys.argv[2] == "full" else "process")
