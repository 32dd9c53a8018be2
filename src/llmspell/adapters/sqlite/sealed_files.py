"""The files of an encrypted store: an SQLite VFS whose pages are sealed between SQLite and the disk.

One mechanism hides everything that is in a table, an index or the WAL, so no room and no query knows of it. Locks,
shared memory, sizes and syncs are those of the system's VFS below; only bytes differ:

    NAME.db      page after page, each as long as its plain one: the last bytes of a page, which SQLite is told to leave
                 alone, hold nonce and tag
    NAME.db-wal  the WAL's header as it is (no more than counters are in it), then frame after frame: the sealed header
                 of the frame, since its checksum is over the plain page, and the sealed page
    NAME.db-shm  as it is: numbers of pages

What must stay true: a page that was changed, moved or comes from another file is never handed to SQLite; what a crash
left unfinished at the end of the WAL ends the WAL, as it does without encryption, and is no damage; nothing else is
ever written to disk (no rollback journal, no temporary file). A rollback journal that somebody puts there is not looked
at: SQLite would write what stands in it into our pages.
"""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

if TYPE_CHECKING:
    from llmspell.ports.sealing import StoreCipher

_WAL_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_JOURNAL_HEADER_BYTES = 512
_POWERSAFE_OVERWRITE = 0x1000
_names = itertools.count(1)
_sealed: dict[str, str] = {}
"""The VFS by the path of the file it seals. SQLite's own table of them is as global."""
_open: dict[str, int] = {}
_kept: dict[str, apsw.VFS] = {}
_lock = threading.Lock()


def seal_file(path: Path, page_bytes: int, cipher: StoreCipher) -> None:
    """From now on connections to this file, as long as ``connect`` opens them, are to a sealed one."""
    with _lock:
        key = str(path)
        _open[key] = _open.get(key, 0) + 1
        if key not in _sealed:
            name = f"llmspell-sealed-{next(_names)}"
            _kept[name] = SealedVfs(name, path.name, page_bytes, cipher)
            _sealed[key] = name


def unseal_file(path: Path) -> None:
    """The counterpart of ``seal_file``; connections that are still open stay what they are."""
    with _lock:
        key = str(path)
        _open[key] -= 1
        if not _open[key]:
            del _open[key]
            # The VFS stays registered while somebody holds it, which every open file of it does.
            _kept.pop(_sealed.pop(key)).unregister()


def vfs_of(path: Path | str) -> SealedVfs | None:
    """The VFS that opens a file; None for one that is not sealed."""
    name = _sealed.get(str(path))
    return None if name is None else _kept[name]  # type: ignore[return-value]


class SealedVfs(apsw.VFS):
    """Opens one database with its WAL, sealed."""

    def __init__(self, name: str, file: str, page_bytes: int, cipher: StoreCipher) -> None:
        super().__init__(name, "")
        self.name = name
        self.extra_bytes = cipher.page_extra_bytes
        self._given = (file, page_bytes, cipher)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        """See SQLite."""
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return _Pages(name, flags, *self._given)
        if flags[0] & apsw.SQLITE_OPEN_WAL:
            return _Log(name, flags, *self._given)
        if flags[0] & apsw.SQLITE_OPEN_MAIN_JOURNAL:
            return _Journal("", name, flags)
        raise apsw.CantOpenError("an encrypted store has no temporary files")

    def xAccess(self, pathname: str, flags: int) -> bool:
        """See SQLite. There never is a rollback journal."""
        return not pathname.endswith("-journal") and super().xAccess(pathname, flags)


class _File(apsw.VFSFile):
    """What both files of a database share."""

    def __init__(self, name: Any, flags: list[int], file: str, page_bytes: int, cipher: StoreCipher) -> None:
        super().__init__("", name, flags)
        self._file = file
        self._page_bytes = page_bytes
        self._text_bytes = page_bytes - cipher.page_extra_bytes
        self._rest = bytes(cipher.page_extra_bytes)
        self._cipher = cipher

    def xDeviceCharacteristics(self) -> int:
        """See SQLite: none of what a device may do for SQLite is true of ours but that a write harms no neighbour."""
        return super().xDeviceCharacteristics() & _POWERSAFE_OVERWRITE

    def _seal(self, file: str, number: int, page: bytes) -> bytes:
        if page[self._text_bytes :] != self._rest:
            raise apsw.IOError("SQLite wrote where a sealed page keeps its tag")
        return self._cipher.seal_page(file, number, page[: self._text_bytes])

    def _text(self, file: str, number: int, sealed: bytes) -> bytes | None:
        text = self._cipher.open_page(file, number, sealed)
        return None if text is None else text + self._rest


class _Pages(_File):
    """The database itself."""

    def xRead(self, amount: int, offset: int) -> bytes:
        """See SQLite."""
        page = self._page_bytes
        number, within = divmod(offset, page)
        if within == 0 and amount == page:
            return self._page(number)
        last = (offset + amount - 1) // page
        return b"".join(map(self._page, range(number, last + 1)))[within : within + amount]

    def xWrite(self, data: bytes, offset: int) -> None:
        """See SQLite."""
        number, within = divmod(offset, self._page_bytes)
        if within or len(data) != self._page_bytes:
            raise apsw.IOError(f"SQLite wrote {len(data)} bytes at {offset}, which is no page")
        super().xWrite(self._seal(self._file, number, data), offset)

    def _page(self, number: int) -> bytes:
        sealed = super().xRead(self._page_bytes, number * self._page_bytes)
        if len(sealed) < self._page_bytes:
            return b""  # Behind the end of the file; SQLite takes zeros for it.
        text = self._text(self._file, number, sealed)
        if text is None:
            if not any(sealed):
                return sealed  # A page that was never written, between others that were.
            if number == 0:
                return self._torn_first()
            raise apsw.CorruptError(f"page {number + 1} of {self._file} is not what was sealed there")
        return text

    def _torn_first(self) -> bytes:
        """No more than how large pages are: a power loss may tear the first page while the WAL still has it whole.

        SQLite has to open the file to take that up. Without a WAL it finds no tables in this page, and says so.
        """
        size = self._page_bytes.to_bytes(2)
        return (b"SQLite format 3\0" + size + bytes((2, 2, len(self._rest), 64, 32, 32))).ljust(self._page_bytes, b"\0")


class _Log(_File):
    """The WAL. SQLite's offsets are those of a plain one; on disk each frame is longer by what sealed its header."""

    def __init__(self, name: Any, flags: list[int], file: str, page_bytes: int, cipher: StoreCipher) -> None:
        super().__init__(name, flags, file, page_bytes, cipher)
        self._heads, self._pages = f"{file}-wal header", f"{file}-wal"
        self._frame_bytes = _FRAME_HEADER_BYTES + page_bytes
        self._head_bytes = _FRAME_HEADER_BYTES + cipher.page_extra_bytes
        self._sealed_frame_bytes = self._head_bytes + page_bytes

    def xRead(self, amount: int, offset: int) -> bytes:
        """See SQLite. A whole frame is read to find where the WAL ends: there, one that is not ours is no damage."""
        if offset < _WAL_HEADER_BYTES:
            if offset + amount > _WAL_HEADER_BYTES:
                raise apsw.IOError(f"SQLite read {amount} bytes at {offset}, beyond the header of the WAL")
            return super().xRead(amount, offset)
        frame, within = divmod(offset - _WAL_HEADER_BYTES, self._frame_bytes)
        if within == _FRAME_HEADER_BYTES and amount == self._page_bytes:
            text = self._page(frame)
            if text is None:
                raise apsw.CorruptError(f"frame {frame + 1} of {self._file}-wal is not what was sealed there")
            return text
        if within + amount > self._frame_bytes:
            raise apsw.IOError(f"SQLite read {amount} bytes at {offset}, beyond a frame of the WAL")
        head = self._head(frame)
        page = (
            self._page(frame) if head is not None and within + amount > _FRAME_HEADER_BYTES else bytes(self._page_bytes)
        )
        if head is None or page is None:
            return bytes(amount)
        return (head + page)[within : within + amount]

    def xWrite(self, data: bytes, offset: int) -> None:
        """See SQLite."""
        if offset == 0 and len(data) == _WAL_HEADER_BYTES:
            super().xWrite(data, 0)
            return
        frame, within = divmod(offset - _WAL_HEADER_BYTES, self._frame_bytes)
        at = self._at(frame)
        if within == _FRAME_HEADER_BYTES and len(data) == self._page_bytes:
            super().xWrite(self._seal(self._pages, frame, data), at + self._head_bytes)
        elif offset >= _WAL_HEADER_BYTES and within == 0 and len(data) == _FRAME_HEADER_BYTES:
            super().xWrite(self._cipher.seal_page(self._heads, frame, data), at)
        else:
            raise apsw.IOError(f"SQLite wrote {len(data)} bytes at {offset} of the WAL, which is no part of a frame")

    def xFileSize(self) -> int:
        """See SQLite: how long the plain WAL would be."""
        size = super().xFileSize()
        if size <= _WAL_HEADER_BYTES:
            return size
        return _WAL_HEADER_BYTES + (size - _WAL_HEADER_BYTES) // self._sealed_frame_bytes * self._frame_bytes

    def xTruncate(self, size: int) -> None:
        """See SQLite."""
        frames = max(0, size - _WAL_HEADER_BYTES) // self._frame_bytes
        super().xTruncate(size if size <= _WAL_HEADER_BYTES else self._at(frames))

    def _at(self, frame: int) -> int:
        return _WAL_HEADER_BYTES + frame * self._sealed_frame_bytes

    def _head(self, frame: int) -> bytes | None:
        sealed = super().xRead(self._head_bytes, self._at(frame))
        return self._cipher.open_page(self._heads, frame, sealed) if len(sealed) == self._head_bytes else None

    def _page(self, frame: int) -> bytes | None:
        sealed = super().xRead(self._page_bytes, self._at(frame) + self._head_bytes)
        return self._text(self._pages, frame, sealed) if len(sealed) == self._page_bytes else None


class _Journal(apsw.VFSFile):
    """The rollback journal that SQLite opens while it makes a database: it gets a header and no pages."""

    def xWrite(self, data: bytes, offset: int) -> None:
        """See SQLite."""
        if offset + len(data) > _JOURNAL_HEADER_BYTES:
            raise apsw.IOError("an encrypted store writes no rollback journal")
        super().xWrite(data, offset)
