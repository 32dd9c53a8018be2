"""What this run was measured on: without it a figure cannot be compared with another run's."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sqlite3
import statistics
import time
from pathlib import Path

import apsw

PACKAGES = ("llmspell", "apsw", "langgraph-checkpoint-sqlite", "google-adk", "openai-agents")


def facts(folder: Path) -> dict[str, object]:
    """JSON-ready facts: processors, load, Python, SQLite versions, file system and what one fdatasync costs."""
    p10, p50, p90 = _fdatasync_us(folder)
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "sqlite_ours": apsw.sqlite_lib_version(),
        "sqlite_peers": sqlite3.sqlite_version,
        "file_system": file_system(folder),
        "fdatasync_us": {"p10": p10, "p50": p50, "p90": p90},
        "packages": {name: version(name) for name in PACKAGES},
    }


def version(package: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def file_system(folder: Path) -> str:
    """The type of the file system that holds ``folder`` (``tmpfs`` makes every fsync free, so `full` means nothing)."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    best, kind = "", "unknown"
    for line in mounts.read_text().splitlines():
        _, point, found, *_ = line.split()
        if folder.resolve().is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind


def disk_bytes(folder: Path) -> int:
    """Bytes of every file below ``folder`` (their length, which is what a copy would take)."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def rss_bytes(field: str = "VmRSS") -> int:
    """Resident memory of this process now (``VmRSS``) or its peak since the last reset (``VmHWM``); 0 if unknown."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    for line in status.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def reset_peak_rss() -> bool:
    """Start a new peak for ``VmHWM``; False where the system has no such switch."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def open_files() -> int:
    """How many descriptors this process holds; 0 where that cannot be told."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def _fdatasync_us(folder: Path) -> tuple[float, float, float]:
    path = folder / "fdatasync"
    spent = []
    with path.open("wb", buffering=0) as file:
        for number in range(300):
            start = time.perf_counter()
            os.pwrite(file.fileno(), b"x" * 512, number * 512)
            getattr(os, "fdatasync", os.fsync)(file.fileno())
            spent.append((time.perf_counter() - start) * 1e6)
    path.unlink()
    deciles = statistics.quantiles(spent, n=10)
    return round(deciles[0], 1), round(deciles[4], 1), round(deciles[8], 1)
