"""Small files that only their owner reads, written so that a power loss leaves the old content or the new."""

from __future__ import annotations

import os
from pathlib import Path

BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_PIECE_BYTES = 1 << 20


def write_new(path: Path, content: bytes) -> None:
    """Make a file that was not there, readable by its owner only, its content durable and its name not yet. OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o600)
    try:
        write_at(descriptor, 0, content)
        os.fsync(descriptor)
    except OSError:
        path.unlink()  # It may be the very thing that fills the disk.
        raise
    finally:
        os.close(descriptor)


def write_at(descriptor: int, at: int, content: bytes) -> None:
    """Write all of ``content`` from an offset on."""
    os.lseek(descriptor, at, os.SEEK_SET)
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def overwrite(path: Path) -> None:
    """Write zeros over a file's content, durably."""
    descriptor = os.open(path, os.O_WRONLY | BINARY)
    try:
        overwrite_open(descriptor)
    finally:
        os.close(descriptor)


def overwrite_open(descriptor: int) -> None:
    """Write zeros over the content of an open file, durably."""
    size = os.fstat(descriptor).st_size
    for at in range(0, size, _PIECE_BYTES):
        write_at(descriptor, at, bytes(min(_PIECE_BYTES, size - at)))
    os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if os.name == "nt":  # pragma: no cover - it has no such call
        return
    descriptor = os.open(path, os.O_RDONLY | BINARY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
