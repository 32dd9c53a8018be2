"""One put of large content into the content file, slice by slice, in constant memory.

The first MiB a put adds go into the file itself; a put that adds more goes on in a pack (see ``packs``). A slice is
committed at 8 MiB in the file or 64 MiB in a pack; its chunks get their ids then. What must stay true: bytes are
durable before the row that names them; no transaction is open, and no turn held, while the caller fetches more content.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence

import apsw

from llmspell.adapters.sqlite.content_connections import ContentConnections
from llmspell.adapters.sqlite.packs import Pack, PackFiles
from llmspell.errors import Conflict, StorageFailed
from llmspell.ports.content import Chunk

FILE_SLICE_BYTES = 8 << 20
PACK_SLICE_BYTES = 64 << 20
PACK_FROM_BYTES = 8 << 20
"""New bytes of one put after which it goes on in a pack."""
PACK_BYTES_MAX = 1 << 30
"""A pack takes no further slice above this size."""
_SLICE_CHUNKS_MAX = 8192


class SqliteAppender:
    """See ``ports.content.Appender``. ``packs`` is None in memory: everything goes into the file then."""

    def __init__(
        self, connections: ContentConnections, packs: PackFiles | None, name: Callable[[], str], *, sync: bool
    ) -> None:
        connections.pins.pin()
        self._pinned = True
        self._connections = connections
        self._packs = packs
        self._name = name
        self._sync = sync
        self._ids = array("q")
        self._slice: list[Chunk] = []
        self._fresh: dict[bytes, tuple[Chunk, int | None]] = {}
        self._slice_bytes = 0
        self._new_bytes = 0
        self._pack: Pack | None = None
        self._pack_id = 0
        self._done = False

    def known(self, digests: Sequence[bytes]) -> dict[bytes, Chunk]:
        """Those that need not be given again: in the store, or earlier in this put."""
        found = {digest: self._fresh[digest][0] for digest in digests if digest in self._fresh}
        with self._connections.reading("look up chunks") as connection:
            if connection is None:
                return found
            for digest in digests:
                if digest not in found:
                    for row in connection.execute(
                        "SELECT id, codec, size, stored_size FROM chunk WHERE digest = ?", (digest,)
                    ):
                        found[digest] = Chunk(digest, row[2], row[1], row[3], None, row[0])
        return found

    def append(self, chunks: Iterable[Chunk]) -> None:
        """Take the next chunks, and commit a slice when it is full."""
        self._check()
        try:
            self._take(chunks)
            full = PACK_SLICE_BYTES if self._pack is not None else FILE_SLICE_BYTES
            if self._slice_bytes >= full or len(self._slice) >= _SLICE_CHUNKS_MAX:
                self._commit_slice()
        except BaseException:
            self.abort()
            raise

    def finish(self) -> Sequence[int]:
        """Commit the last slice and give the ids of all chunks in order."""
        self._check()
        try:
            self._commit_slice()
        except BaseException:
            self.abort()
            raise
        self._done = True
        self._leave_pack()
        return self._ids

    def abort(self) -> None:
        """Give the put up; a pack none of whose chunks is committed goes at once."""
        self._done = True
        self._slice.clear()
        self._fresh.clear()
        self._leave_pack()
        self.release()

    def release(self) -> None:
        """The put is over: what it stored is named by a unit by now, or is to be collected."""
        pinned, self._pinned = self._pinned, False  # First of all: another thread may say the same meanwhile.
        if pinned and not self._connections.forked:
            self._connections.pins.unpin()

    def _check(self) -> None:
        if self._done:
            raise StorageFailed("this put has ended", code="closed")
        self._connections.check_writable()

    def _take(self, chunks: Iterable[Chunk]) -> None:
        use_pack = self._packs is not None and self._new_bytes >= PACK_FROM_BYTES
        to_pack: list[Chunk] = []
        for chunk in chunks:
            twin = None if chunk.id else self._fresh.get(chunk.digest)
            self._slice.append(twin[0] if twin else chunk)
            if chunk.id or twin:
                continue
            if use_pack:
                to_pack.append(chunk)
                self._fresh[chunk.digest] = (chunk, None)
            else:
                self._hold(chunk)
            self._slice_bytes += chunk.stored_size
            self._new_bytes += chunk.stored_size
        if to_pack:
            self._write_to_pack(to_pack)

    def _hold(self, chunk: Chunk) -> None:
        """Keep the bytes until the slice is committed; a copy, lest a small view keep a large block alive."""
        if chunk.stored is None:
            raise ValueError("a new chunk comes with its bytes")
        chunk.stored = bytes(chunk.stored)
        self._fresh[chunk.digest] = (chunk, None)

    def _write_to_pack(self, chunks: list[Chunk]) -> None:
        pack = self._pack or self._open_pack()
        position = pack.size
        buffers = []
        for chunk in chunks:
            if chunk.stored is None:
                raise ValueError("a new chunk comes with its bytes")
            buffers.append(pack.form(chunk.stored, position))
            self._fresh[chunk.digest] = (chunk, position)
            position += len(buffers[-1])
            chunk.stored = None
        try:
            pack.write(buffers)
        except StorageFailed as exc:
            raise self._connections.note(exc) from exc.__cause__

    def _open_pack(self) -> Pack:
        if self._packs is None:
            raise ValueError("there are no packs in memory")
        self._pack = self._packs.create(self._name())
        self._pack_id = 0
        return self._pack

    def _leave_pack(self) -> None:
        pack, self._pack = self._pack, None
        if pack is None:
            return
        # In a forked child the pack is still the parent's, which may be writing to it.
        if self._pack_id or self._connections.forked:
            pack.close()
        else:
            pack.remove()

    def _commit_slice(self) -> None:
        if self._fresh:
            if self._pack is not None and self._sync:
                self._sync_pack(self._pack)
            with self._connections.writing("store chunks") as connection:
                pack_id = self._insert(connection)
            self._pack_id = pack_id
        self._ids.extend(chunk.id for chunk in self._slice)
        self._slice.clear()
        self._fresh.clear()
        self._slice_bytes = 0
        if self._pack is not None and self._pack.size >= PACK_BYTES_MAX:
            self._leave_pack()

    def _sync_pack(self, pack: Pack) -> None:
        try:
            pack.sync()
        except StorageFailed as exc:
            raise self._connections.note(exc) from exc.__cause__

    def _still_there(self, execute: Callable[..., apsw.Cursor]) -> bool:
        if self._pack is None or not self._pack.is_linked():
            return False
        return not self._pack_id or next(execute("SELECT 1 FROM pack WHERE id = ?", (self._pack_id,)), None) is not None

    def _insert(self, connection: apsw.Connection) -> int:
        """Rows for the slice's new chunks; gives the pack's id, 0 when no row names it."""
        execute = connection.execute
        next_chunk, next_pack = next(execute("SELECT next_chunk, next_pack FROM meta"))
        pack_id = self._pack_id
        rows, data = [], []
        for digest, (chunk, position) in self._fresh.items():
            # Another put may have stored the same bytes since ``known`` was asked.
            twin = next(execute("SELECT id FROM chunk WHERE digest = ?", (digest,)), None)
            if twin is not None:
                chunk.id = twin[0]
                continue
            chunk.id = next_chunk
            next_chunk += 1
            if position is None:
                data.append((chunk.id, chunk.stored))
            else:
                pack_id = pack_id or next_pack
            place = (None, None) if position is None else (pack_id, position)
            rows.append((chunk.id, digest, chunk.codec, chunk.size, chunk.stored_size, *place))
        connection.executemany(
            "INSERT INTO chunk (id, digest, codec, size, stored_size, pack, position) VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        connection.executemany("INSERT INTO chunk_data (id, data) VALUES (?, ?)", data)
        if self._pack is not None and pack_id:
            if not self._still_there(execute):
                # Pins that do not work, as on some network disks, let a collect take the pack of a put in progress.
                raise Conflict(
                    "the content was collected while it was being put; put it again", code="content-collected"
                )
            execute(
                "INSERT INTO pack (id, name, size) VALUES (?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET size = excluded.size",
                (pack_id, self._pack.name, self._pack.size),
            )
        execute(
            "UPDATE meta SET next_chunk = ?, next_pack = max(next_pack, ?)",
            (next_chunk, pack_id + 1),
        )
        return pack_id
