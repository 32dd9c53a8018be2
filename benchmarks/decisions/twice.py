"""Storing 64 MiB of content durably: as rows of an SQLite file in WAL mode, against one append-only file."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import apsw

from benchmarks.texts import noise

CHUNK = 128 << 10
COUNT = 512
SLICE = 64


def main() -> None:
    """Print seconds and the bytes that reached the disk."""
    chunks = noise(COUNT, CHUNK)
    size = COUNT * CHUNK
    print(f"{size >> 20} MiB in chunks of {CHUNK >> 10} KiB, synced every {SLICE * CHUNK >> 20} MiB; best of three")
    for name, store in (("rows in WAL mode, then a checkpoint", _rows), ("append-only file", _append)):
        best, written = min(_timed(store, chunks) for _ in range(3))
        print(f"  {name:<40} {best:6.2f} s   {written / size:4.2f}x of the content written")


def _timed(store: object, chunks: list[bytes]) -> tuple[float, int]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        began = time.perf_counter()
        written = store(Path(folder), chunks)  # type: ignore[operator]
        return time.perf_counter() - began, written


def _rows(folder: Path, chunks: list[bytes]) -> int:
    connection = apsw.Connection(str(folder / "content.db"))
    for pragma in ("page_size=16384", "journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE chunk (id INTEGER PRIMARY KEY, data BLOB)")
    for start in range(0, len(chunks), SLICE):
        with connection:
            connection.executemany(
                "INSERT INTO chunk (data) VALUES (?)", ((one,) for one in chunks[start : start + SLICE])
            )
    wal = (folder / "content.db-wal").stat().st_size
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.close()
    return wal + (folder / "content.db").stat().st_size


def _append(folder: Path, chunks: list[bytes]) -> int:
    with (folder / "one.pack").open("wb", buffering=0) as file:
        for start in range(0, len(chunks), SLICE):
            os.writev(file.fileno(), chunks[start : start + SLICE])
            os.fsync(file.fileno())
    return (folder / "one.pack").stat().st_size


if __name__ == "__main__":
    main()
