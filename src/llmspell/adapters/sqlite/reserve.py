"""Room on the disk that is set aside for deleting: on a full disk even to say that something goes takes some pages.

A file beside the content file, without meaning. Whoever finds the disk full while deleting gives it up; a collect that
made room sets it aside again. It is a help and no promise: where it cannot be made the store works without it.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import apsw
from blake3 import blake3

RESERVE_FILE = "reserve"
WORTH_BYTES = 128 << 20
"""From how much content on, packs included, a store is worth a reserve, which takes less than a hundredth then."""
NEARLY_FULL_BYTES = 64 << 20
RESERVE_BYTES = 1 << 20
"""What it takes to delete some hundreds of versions and to collect the first of what they leave."""


class Reserve:
    """The set aside room of one store; without a path there is none. Any thread, any process."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.settled = path is None
        """Whether it need not be looked at again: it is there, or there is no room for it."""

    def keep_for(self, connection: apsw.Connection) -> None:
        """Set it aside, unless it is there or the content of the connection is not worth it. Some 3 ms."""
        (packs,) = next(connection.execute("SELECT coalesce(sum(size), 0) FROM pack"))
        if self._path is None or connection.pragma("page_count") * connection.pragma("page_size") + packs < WORTH_BYTES:
            return
        self.settled = True
        try:
            if self._path.exists() and self._path.stat().st_size == RESERVE_BYTES:
                return
            # Noise takes real room on every file system, also where zeros or holes take none.
            self._path.write_bytes(blake3(str(self._path).encode()).digest(RESERVE_BYTES))
        except OSError:
            with suppress(OSError):
                self._path.unlink()

    def is_near(self) -> bool:
        """Whether the disk is nearly full, so that each commit has to go from the WAL into the file at once."""
        return self._free() < NEARLY_FULL_BYTES

    def lets_grow(self, file: Path, size: int) -> bool:
        """Whether a commit after which ``file`` has ``size`` bytes leaves a WAL that can be emptied. One whose pages
        the file has no room for stays full on a full disk, whatever is deleted.
        """
        free = self._free()
        if free >= NEARLY_FULL_BYTES:
            return True
        grows = size - _size(file)
        return free >= grows + max(0, grows - _size(file.with_name(f"{file.name}-wal")))

    def _free(self) -> int:
        try:
            return NEARLY_FULL_BYTES if self._path is None else shutil.disk_usage(self._path.parent).free
        except OSError:
            return NEARLY_FULL_BYTES

    def give_up(self) -> bool:
        """Give its room back to the disk; whether there was any."""
        if self._path is None:
            return False
        self.settled = True  # Until a collect has made room, nothing is set aside.
        try:
            self._path.unlink()
        except OSError:
            return False
        return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
