"""The content file of a store: ``content.db`` with 16 KiB pages, and its packs.

It is a file apart from the journal, so that large content does not go through the journal's WAL. Content is durable
before the unit that names it; a crash in between leaves chunks nobody refers to, which do no harm. See
``ports.content`` for the contract and ``schema/content.sql`` for the tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmspell.adapters.sqlite.connection import MEMORY, Durability
from llmspell.adapters.sqlite.content_appender import SqliteAppender
from llmspell.adapters.sqlite.content_connections import CONTENT_FORMAT, ContentConnections
from llmspell.adapters.sqlite.content_sweep import Sweep
from llmspell.adapters.sqlite.errors import map_os_error
from llmspell.adapters.sqlite.packs import PackFiles
from llmspell.adapters.sqlite.turnstile import FileTurn, ThreadTurn
from llmspell.errors import Busy
from llmspell.model import limits
from llmspell.model.ids import SystemIds
from llmspell.ports.content import ChunkInfo, ContentStats, Place
from llmspell.ports.sealing import StoreCipher

COLLECT_FILE = "collect.lock"
"""Name of the lock file beside the content file that the one collect holds."""
PACK_FOLDER = "packs"
"""Name of the folder beside the content file that holds its packs."""
_INFO = "SELECT id, digest, codec, size, stored_size FROM chunk"
_TOTALS = (
    "SELECT count(*), coalesce(sum(size), 0), coalesce(sum(stored_size), 0), (SELECT generation FROM meta) FROM chunk"
)
_UNINDEXED = (
    "SELECT 'chunk ' || c.id FROM chunk c NOT INDEXED WHERE NOT EXISTS"
    " (SELECT 1 FROM chunk i WHERE i.digest = c.digest AND +i.id = c.id)"
    " UNION ALL SELECT 'pack ' || p.id FROM pack p NOT INDEXED WHERE NOT EXISTS"
    " (SELECT 1 FROM pack i WHERE i.name = p.name AND +i.id = p.id)"
    # What an index has and its table has not; an empty one is read too.
    " UNION ALL SELECT 'chunk ' || i.id FROM chunk i INDEXED BY sqlite_autoindex_chunk_1 WHERE i.digest >= x''"
    " AND NOT EXISTS (SELECT 1 FROM chunk c NOT INDEXED WHERE c.id = i.id)"
    " UNION ALL SELECT 'pack ' || i.id FROM pack i INDEXED BY sqlite_autoindex_pack_1 WHERE i.name >= ''"
    " AND NOT EXISTS (SELECT 1 FROM pack p NOT INDEXED WHERE p.id = i.id)"
)
_READ = (
    "SELECT chunk.id, chunk_data.data, chunk.stored_size, chunk.position, pack.name, pack.size"
    " FROM chunk LEFT JOIN chunk_data ON chunk_data.id = chunk.id LEFT JOIN pack ON pack.id = chunk.pack"
    " WHERE chunk.id BETWEEN ? AND ?"
)
_PAGE_IDS = 4096
_MOVES_MAX = 3
"""How often a read looks again for chunks that were moved under it."""
_STORED_BYTES_MAX = 16 << 20
"""A row that claims more stored bytes for a chunk is damaged, and gets no memory for them."""


def _pack_name() -> str:
    """Names of files are no part of any record, and must differ between runs that inject the same ids."""
    return SystemIds().new().hex()


class SqliteContent:
    """See ``ports.content.ContentStore``. Opening costs nothing: files are made and opened when first needed.

    ``path``        the content file, or ``:memory:``; the folder it is in must exist
    ``durability``  ``full``: a finished put survives a power loss; ``process``: a crash of the process; ``none``: only
                    for stores made as scratch, nothing is promised
    ``turn``        the turn of the writers of this file among processes. It is held for one slice at a time; the caller
                    must not hold it when it calls a method of this class, and leaves it to ``close`` to close it
    ``pack_name``   gives names never given before; injected for tests
    ``format_number``  of the file; any other is refused
    ``cipher``      seals the pieces of packs; the file itself is then one that was given to ``seal_file``
    """

    def __init__(
        self,
        path: Path | str,
        *,
        durability: Durability = "full",
        turn: FileTurn | ThreadTurn | None = None,
        read_only: bool = False,
        busy_s: float = limits.BUSY_TIMEOUT_S,
        pack_name: Callable[[], str] = _pack_name,
        format_number: int = CONTENT_FORMAT,
        cipher: StoreCipher | None = None,
    ) -> None:
        self._sync = durability != "none"
        self._pack_name = pack_name
        self._packs = None if path == MEMORY else PackFiles(Path(path).parent / PACK_FOLDER, cipher)
        self._connections = ContentConnections(
            path,
            durability=durability,
            turn=turn or ThreadTurn(),
            read_only=read_only,
            busy_s=busy_s,
            format_number=format_number,
        )
        self._collecting = Collecting(path)
        self.sweep = Sweep(self._connections, self._packs, self._connections.pins, pack_name, sync=durability != "none")
        """What a collect needs; see ``ports.content``."""

    def append(self) -> SqliteAppender:
        """Start a put. Raises ReadOnly when this handle does not write (any more)."""
        self._connections.check_writable()
        return SqliteAppender(self._connections, self._packs, self._pack_name, sync=self._sync)

    def generation(self) -> int:
        """How often chunks were removed; 0 while there is no content file."""
        with self._connections.reading("read the generation of the content") as connection:
            if connection is None:
                return 0
            return int(next(connection.execute("SELECT generation FROM meta"))[0])

    def missing(self, ids: Iterable[int]) -> list[int]:
        """Those of ``ids`` that have no chunk, ascending."""
        wanted = sorted(set(ids))
        there: set[int] = set()
        for page in _pages(wanted):
            there.update(row[0] for row in self._rows("SELECT id FROM chunk WHERE id BETWEEN ? AND ?", page))
        return [number for number in wanted if number not in there]

    def infos(self, ids: Iterable[int]) -> dict[int, ChunkInfo]:
        """What is known about these chunks, by id; a read transaction a page."""
        found: dict[int, ChunkInfo] = {}
        for page in _pages(sorted(set(ids))):
            found.update((row[0], ChunkInfo(*row)) for row in self._rows(_INFO + " WHERE id BETWEEN ? AND ?", page))
        return found

    def read(self, ids: Iterable[int]) -> dict[int, bytes]:
        """Stored bytes by id. Where a pack is shorter than its rows say, what is there comes back, to be found out."""
        wanted = sorted(set(ids))
        found, short = self._read(wanted)
        for _ in range(_MOVES_MAX):
            if not short:
                break
            # A sweep may have moved or removed them since their rows were read: then the rows say so by now.
            for number in short:
                del found[number]
            again, short = self._read(short)
            found |= again
        return found

    def _read(self, ids: list[int]) -> tuple[dict[int, bytes], list[int]]:
        """Stored bytes by id, and the ids whose bytes are fewer than their rows say."""
        found: dict[int, bytes] = {}
        short: list[int] = []
        by_pack: dict[str, list[tuple[int, int, int]]] = {}
        for number, data, length, position, pack, pack_size in self._rows(_READ, ids):
            if pack is None:
                if data is not None:
                    found[number] = data
            elif pack.isalnum() and self._packs is not None and _is_within(position, length, pack_size):
                by_pack.setdefault(pack, []).append((number, position, length))
        for pack, places in by_pack.items():
            for number, length, data in self._read_pack(pack, places):
                found[number] = data
                if len(data) < length:
                    short.append(number)
        return found, sorted(short)

    def scan(self, after: int, limit: int) -> list[ChunkInfo]:
        """At most ``limit`` chunks with ids above ``after``, ascending."""
        with self._connections.reading("list chunks") as connection:
            if connection is None:
                return []
            return [
                ChunkInfo(*row)
                for row in connection.execute(_INFO + " WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
            ]

    def unindexed(self, limit: int = 20) -> list[str]:
        """Chunks and packs that are in their index or in their table only. Two probes a row. Raises Corrupt."""
        with self._connections.reading("look through the indexes of the content") as connection:
            if connection is None:
                return []
            return [row[0] for row in connection.execute(f"{_UNINDEXED} LIMIT ?", (limit,))]

    def stats(self) -> ContentStats:
        """Totals over all chunks."""
        with self._connections.reading("count chunks") as connection:
            row = (0, 0, 0, 0) if connection is None else next(connection.execute(_TOTALS))
        return ContentStats(*row)

    def places(self, ids: Iterable[int]) -> list[Place]:
        """Where those of ``ids`` lie that are in packs."""
        packs = self._packs
        return [
            Place(number, pack, position, packs.span(length))
            for number, _, length, position, pack, pack_size in self._rows(_READ, sorted(set(ids)))
            if pack is not None and packs is not None and pack.isalnum() and _is_within(position, length, pack_size)
        ]

    def remove(self, ids: Iterable[int]) -> None:
        """Remove chunks; whoever is putting content looks for them again. Their bytes in packs are ``overwrite``'s."""
        rows = [(number,) for number in ids]
        if not rows:
            return
        with self._connections.writing("remove chunks") as connection:
            connection.executemany("DELETE FROM chunk_data WHERE id = ?", rows)
            connection.executemany("DELETE FROM chunk WHERE id = ?", rows)
            connection.execute("UPDATE meta SET generation = generation + 1")

    def overwrite(self, places: Iterable[Place]) -> int:
        """Write zeros over the places whose chunk was removed, durably; how many there are. Again is harmless."""
        wanted = list(places)
        missing = set(self.missing(place.id for place in wanted))
        gone = [place for place in wanted if place.id in missing]
        if self._packs is not None:
            self._packs.overwrite(gone)
        return len(gone)

    def rewrite(self) -> None:
        """Leave no byte of removed chunks in the file and its WAL; as long as copying it takes. Raises Busy."""
        self._connections.rewrite()

    def checkpoint(self) -> None:
        """Make everything finished so far survive a power loss. Call it before the main file is checkpointed."""
        self._connections.checkpoint()

    def is_tight(self) -> bool:
        """Whether the disk is nearly full."""
        return self._connections.reserve.is_near()

    def free_reserve(self) -> bool:
        """Give up the room that is set aside for deleting; whether there was any."""
        return self._connections.reserve.give_up()

    def poison(self) -> None:
        """In a forked child: never touch the parent's files again. Happens by itself after ``os.fork``."""
        self._connections.poison()

    @contextmanager
    def collecting(self) -> Iterator[Sweep]:
        """The right to collect. Raises Busy (``collect-running``), ReadOnly."""
        self._connections.check_writable()
        with self._collecting.taken():
            yield self.sweep

    def close(self) -> None:
        """Let go of the files; puts in progress fail. Twice is allowed."""
        self._connections.close()

    def _rows(self, sql: str, ids: Iterable[int]) -> list[Any]:
        """Rows of a query over a range of ids, for all runs in ``ids`` (ascending), from one consistent state."""
        rows: list[Any] = []
        with self._connections.reading("read chunks") as connection:
            if connection is not None:
                for run in _runs(ids):
                    rows.extend(connection.execute(sql, run))
        return rows

    def _read_pack(self, name: str, places: list[tuple[int, int, int]]) -> Iterator[tuple[int, int, bytes]]:
        if self._packs is None:
            return
        spans = [(position, size) for _, position, size in places]
        for (number, _, length), data in zip(places, self._packs.read(name, spans), strict=True):
            yield number, length, data


class Collecting:
    """One collect at a time among all threads and processes, by a lock file beside the content file."""

    def __init__(self, path: Path | str) -> None:
        self._path = None if path == MEMORY else Path(path).with_name(COLLECT_FILE)
        self._thread = ThreadTurn()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold it for a block. Raises Busy (``collect-running``) when another one does."""
        turn: FileTurn | ThreadTurn = self._thread if self._path is None else self._open(self._path)
        try:
            if not turn.try_acquire():
                raise Busy(
                    "another collect is running", code="collect-running", hint="it does the same work: wait for it"
                )
            try:
                yield
            finally:
                turn.release()
        finally:
            turn.close()

    @staticmethod
    def _open(path: Path) -> FileTurn:
        try:
            return FileTurn(path)
        except OSError as exc:
            raise map_os_error(exc, f"open {path}") from exc


def _is_within(position: int | None, length: int, pack_size: int) -> bool:
    """Whether a place in a pack can be meant: a damaged row must not cost memory or a strange system call."""
    return position is not None and 0 <= position <= pack_size - length and 0 <= length <= _STORED_BYTES_MAX


def _pages(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _PAGE_IDS):
        yield ids[start : start + _PAGE_IDS]


def _runs(ids: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending ids as (first, last) of runs without a gap: chunks stored together are read by one query."""
    first = last = None
    for number in ids:
        if first is None or last is None:
            first = number
        elif number != last + 1:
            yield first, last
            first = number
        last = number
    if first is not None and last is not None:
        yield first, last
