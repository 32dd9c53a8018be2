"""Pack files: append-only files for the far part of large contents.

Bytes in SQLite's WAL mode are written twice, which a stream of a gigabyte would feel. So an appender that stores more
than some MiB goes on in a file of its own, whose chunks have rows like all others. What must stay true: only the put
that made a pack writes to it, at its end; bytes are synced before the rows that name them are committed; a pack is
never changed afterwards. What a crash leaves beyond the rows is never read.
In an encrypted store each piece is sealed for its pack and position, and longer by that than its row says.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from llmspell.adapters.sqlite.errors import map_os_error
from llmspell.adapters.sqlite.folder import sync_folder
from llmspell.ports.content import Place
from llmspell.ports.sealing import StoreCipher

Buffer = bytes | memoryview
_BUFFERS_MAX = 256


class Pack:
    """A pack while it is written. One thread at a time."""

    def __init__(self, path: Path, cipher: StoreCipher | None = None) -> None:
        self._path = path
        self._cipher = cipher
        self.name = path.stem
        self.size = 0
        """Bytes written so far, which is where the next ones go."""
        self._is_listed = False
        try:
            path.parent.mkdir(exist_ok=True)
            self._file = path.open("xb", buffering=0)
        except OSError as exc:
            raise map_os_error(exc, f"create {path}") from exc

    def form(self, piece: Buffer, position: int) -> Buffer:
        """A piece as it is to lie at ``position``: sealed, in an encrypted store."""
        return piece if self._cipher is None else self._cipher.seal_piece(self.name, position, piece)

    def write(self, buffers: Sequence[Buffer]) -> None:
        """Append the buffers one after the other. Raises StorageFailed."""
        try:
            for start in range(0, len(buffers), _BUFFERS_MAX):
                _write_all(self._file, buffers[start : start + _BUFFERS_MAX])
        except OSError as exc:
            raise map_os_error(exc, f"write to {self._path}") from exc
        self.size += sum(map(len, buffers))

    def sync(self) -> None:
        """Make what was written, and the name of the file, survive a power loss. Raises StorageFailed."""
        try:
            _sync_file(self._file.fileno())
            if not self._is_listed:
                sync_folder(self._path.parent)
                sync_folder(self._path.parent.parent)
                self._is_listed = True
        except OSError as exc:
            raise map_os_error(exc, f"sync {self._path}", syncing=True) from exc

    def is_linked(self) -> bool:
        """Whether the file still has its name: whoever took that away will not find what is written to it now."""
        try:
            return os.fstat(self._file.fileno()).st_nlink > 0
        except OSError as exc:
            raise map_os_error(exc, f"look at {self._path}") from exc

    def close(self) -> None:
        """Let go of the file; nothing is synced."""
        with suppress(OSError):  # Whatever close() could report about the bytes, sync() has reported before.
            self._file.close()

    def remove(self) -> None:
        """Close and delete a pack that no row names. One that cannot be deleted is left to collect."""
        self.close()
        with suppress(OSError):
            self._path.unlink()


class PackFiles:
    """The packs of one content file, in a folder of their own beside it."""

    _SUFFIX = ".pack"

    def __init__(self, folder: Path, cipher: StoreCipher | None = None) -> None:
        self._folder = folder
        self._cipher = cipher

    def create(self, name: str) -> Pack:
        """A new, empty pack. Raises StorageFailed."""
        return Pack(self._folder / (name + self._SUFFIX), self._cipher)

    def names(self) -> set[str]:
        """Names of all packs whose files are there."""
        try:
            return {path.stem for path in self._folder.iterdir() if path.suffix == self._SUFFIX}
        except FileNotFoundError:
            return set()
        except OSError as exc:
            raise map_os_error(exc, f"list {self._folder}") from exc

    def remove(self, name: str) -> int:
        """Delete a pack's file; gives the bytes it had, 0 when it was gone already."""
        path = self._folder / (name + self._SUFFIX)
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            return 0
        except OSError as exc:
            raise map_os_error(exc, f"delete {path}") from exc
        return size

    def read(self, name: str, spans: Iterable[tuple[int, int]]) -> list[bytes]:
        """The bytes of each (position, length); fewer where the file ends before, none when it is gone.

        Raises StorageFailed when the system does not give what is there.
        """
        path = self._folder / (name + self._SUFFIX)
        try:
            with path.open("rb", buffering=0) as file:
                return [self._read(file, name, position, length) for position, length in spans]
        except FileNotFoundError:
            return [b"" for _ in spans]
        except OSError as exc:
            raise map_os_error(exc, f"read {path}") from exc

    def span(self, length: int) -> int:
        """How many bytes a piece takes whose row says ``length``."""
        return length if self._cipher is None else self._cipher.piece_bytes(length)

    def overwrite(self, places: Iterable[Place]) -> None:
        """Write zeros over places that no row names any more, durably; a pack that is gone is fine."""
        by_pack: dict[str, list[Place]] = {}
        for place in places:
            by_pack.setdefault(place.pack, []).append(place)
        for name, ones in by_pack.items():
            path = self._folder / (name + self._SUFFIX)
            try:
                with path.open("r+b", buffering=0) as file:
                    for place in ones:
                        file.seek(place.position)
                        _write_each(file, [bytes(place.length)], skip=0)
                    _sync_file(file.fileno())
            except FileNotFoundError:
                continue
            except OSError as exc:
                raise map_os_error(exc, f"overwrite parts of {path}") from exc

    def _read(self, file: io.FileIO, name: str, position: int, length: int) -> bytes:
        if self._cipher is None:
            return _read_span(file, position, length)
        piece = self._cipher.open_piece(name, position, _read_span(file, position, self.span(length)))
        return piece or b""  # What does not open is as good as gone; the reader finds it missing.


def _read_span(file: io.FileIO, position: int, length: int) -> bytes:
    file.seek(position)
    data = file.read(length)
    while len(data) < length:
        more = file.read(length - len(data))
        if not more:
            break
        data += more
    return data


if hasattr(os, "writev"):

    def _write_all(file: io.FileIO, buffers: Sequence[Buffer]) -> None:
        written = os.writev(file.fileno(), buffers)
        if written < sum(map(len, buffers)):
            _write_each(file, buffers, skip=written)

else:

    def _write_all(file: io.FileIO, buffers: Sequence[Buffer]) -> None:
        _write_each(file, buffers, skip=0)


def _write_each(file: io.FileIO, buffers: Sequence[Buffer], *, skip: int) -> None:
    """Write what is left after the first ``skip`` bytes, however little the system takes at a time."""
    for buffer in buffers:
        if skip >= len(buffer):
            skip -= len(buffer)
            continue
        rest = memoryview(buffer)[skip:]
        skip = 0
        while rest:
            rest = rest[file.write(rest) :]


if sys.platform == "darwin":
    import fcntl

    def _sync_file(descriptor: int) -> None:
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)

elif hasattr(os, "fdatasync"):

    def _sync_file(descriptor: int) -> None:
        os.fdatasync(descriptor)

else:

    def _sync_file(descriptor: int) -> None:
        os.fsync(descriptor)
