"""Twenty generations of what agents keep, beside restic: what it takes on disk, how fast it goes in and comes out."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks import ours, workload
from benchmarks.harness import Bench, Comparison, Figure, Result, Skipped, at_least, at_most, row
from benchmarks.machine import disk_bytes

GROUP = "Agents' files over 20 generations"
MB = 1_000_000
STORED = "stored, everything"
INTO = "ingest"
OUT = "any version read back, compared"
RESTIC = "restic"
_READ_BACK = 800


@row(
    "workload", "1,018 MB of transcripts and edited results", durability="full", group=GROUP,
    budgets={STORED: at_most(85, "MB"), INTO: at_least(100, "MB/s"), OUT: at_least(100, "MB/s")},
)  # fmt: skip
def agents_files(bench: Bench) -> Result:
    """Every generation is put whole, by names that are there already; then versions at random are read back."""
    if bench.mode == "quick":
        raise Skipped("it takes half a minute; run it by --only workload without --quick")
    folder = bench.fresh("workload")
    digests: dict[tuple[str, int], bytes] = {}
    logical, spent = 0, 0.0
    with ours.opened(folder, "full", "sync") as it:
        session = it.store.sessions.create("agents")
        for generation, files in enumerate(workload.generations(), 1):
            logical += sum(map(len, files.values()))
            digests |= {(name, generation): workload.digest_of(content) for name, content in files.items()}
            started = time.perf_counter()
            for name, content in files.items():
                session.artifacts.put(name, content)
            spent += time.perf_counter() - started
    stored = disk_bytes(folder)
    size, took = _read_back(folder, session.id, digests)
    lines = [
        Comparison(STORED, "full", Figure(stored / MB, "MB"), stored / MB, "↓"),
        Comparison(INTO, "full", Figure(logical / MB / spent, "MB/s"), logical / MB / spent, "↑"),
        Comparison(OUT, "full", Figure(size / MB / took, "MB/s"), size / MB / took, "↑"),
        _restic(bench, stored),
    ]
    return Result(Figure(logical / MB, "MB"), lines)


def _read_back(folder: Path, session_id: str, digests: dict[tuple[str, int], bytes]) -> tuple[int, float]:
    """Bytes read and seconds taken, by a handle that was just opened."""
    chosen = random.Random(4).sample(sorted(digests), _READ_BACK)
    size = 0
    with ours.opened(folder, "full", "sync") as it:
        artifacts = it.store.sessions.open(session_id).artifacts
        started = time.perf_counter()
        for name, version in chosen:
            content = artifacts.get(name, version=version).read()
            size += len(content)
            assert workload.digest_of(content) == digests[name, version], (name, version)
        return size, time.perf_counter() - started


def _restic(bench: Bench, mine: int) -> Comparison:
    """A snapshot of each generation; what the repository takes (also in times of ours), and how fast it went in."""
    if not _has_restic():
        return Comparison(RESTIC, "-", note="skipped: restic is not installed, and no package manager gave it")
    folder = bench.fresh("restic")
    environment = {
        **os.environ, "RESTIC_REPOSITORY": str(folder / "repository"), "RESTIC_PASSWORD": "bench",
        "RESTIC_CACHE_DIR": str(folder / "cache"),
    }  # fmt: skip
    _run("init", environment)
    source = folder / "files"
    source.mkdir()
    logical, spent = 0, 0.0
    for files in workload.generations():
        logical += sum(map(len, files.values()))
        for name, content in files.items():
            (source / name).write_bytes(content)
        started = time.perf_counter()
        _run("backup", environment, str(source))
        spent += time.perf_counter() - started
    stored = disk_bytes(folder / "repository")
    note = f"{logical / MB / spent:,.0f} MB/s in"
    shutil.rmtree(folder)
    return Comparison(RESTIC, "-", Figure(stored / MB, "MB"), stored / mine, "of ours", note)


def _has_restic() -> bool:
    """Installs the Debian package where that is possible."""
    if shutil.which("restic") is None and shutil.which("apt-get") is not None and os.geteuid() == 0:
        subprocess.run(
            ["apt-get", "install", "-y", "-q", "restic"], capture_output=True, check=False, timeout=300,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )  # fmt: skip
    return shutil.which("restic") is not None


def _run(command: str, environment: dict[str, str], *words: str) -> None:
    subprocess.run(["restic", "-q", command, *words], env=environment, check=True, capture_output=True, timeout=600)
