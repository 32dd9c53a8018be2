"""Taking chunks away that nothing names, and giving their room back to the disk.

What must stay true: rows go before bytes; a pack goes only when no row names it, and is never changed in place: what is
alive in a pack that is mostly dead moves to a new one, and readers who looked before look again. Every step is one
transaction, so a crash leaves at worst a file that no row names, which the next sweep removes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import apsw

from llmspell.adapters.sqlite.content_connections import ContentConnections
from llmspell.adapters.sqlite.errors import DISK_FULL
from llmspell.adapters.sqlite.packs import Pack, PackFiles
from llmspell.adapters.sqlite.pins import Pins
from llmspell.errors import Busy, StorageFailed
from llmspell.ports.content import PackUse, Removed, Settled

_COPY_BYTES = 4 << 20
_VACUUM_PAGES = 256
"""Pages (4 MiB) that one step gives back: each may have to be moved, through the WAL."""
_VACUUM_PAGES_MIN = 4
_SHRINKS = 2
"""SQLite's number for files that give room back when they are told to."""
Place = tuple[int, int, int]
"""A chunk in a pack: id, position, length."""


class Sweep:
    """The part of a content store that removes. One thread at a time; ``packs`` is None in memory."""

    def __init__(
        self,
        connections: ContentConnections,
        packs: PackFiles | None,
        pins: Pins,
        pack_name: Callable[[], str],
        *,
        sync: bool,
    ) -> None:
        self._connections = connections
        self._packs = packs
        self._pins = pins
        self._pack_name = pack_name
        self._sync = sync

    def settled(self) -> Settled:
        """What no put in progress can have stored; see ``ports.content``."""
        with self._pins.alone() as alone, self._connections.reading("look for what puts left") as connection:
            if not alone:
                return Settled(0, 0, (), (), alone=False)
            if connection is None:
                return Settled(0, 0, (), self._strays(set()), alone=True)
            next_chunk, next_pack = next(connection.execute("SELECT next_chunk, next_pack FROM meta"))
            names = {name for (name,) in connection.execute("SELECT name FROM pack")}
            return Settled(next_chunk, next_pack, tuple(_uses(connection)), self._strays(names), alone=True)

    def _strays(self, named: set[str]) -> tuple[str, ...]:
        return () if self._packs is None else tuple(sorted(self._packs.names() - named))

    def remove(self, ids: Sequence[int]) -> Removed:
        """Delete chunks, and let the generation grow if there were any."""
        chunks = stored = 0
        with self._connections.writing("remove chunks") as connection, _freeing(connection):
            execute = connection.execute
            for number in ids:
                row = next(execute("DELETE FROM chunk WHERE id = ? RETURNING stored_size, pack", (number,)), None)
                if row is None:
                    continue
                chunks += 1
                stored += row[0]
                if row[1] is None:
                    execute("DELETE FROM chunk_data WHERE id = ?", (number,))
            if chunks:
                execute("UPDATE meta SET generation = generation + 1")
        return Removed(chunks, stored)

    # -- packs -------------------------------------------------------------------------------------------------------

    def uses(self) -> list[PackUse]:
        """Every pack, with how much of it is alive now."""
        with self._connections.reading("look at packs") as connection:
            return [] if connection is None else list(_uses(connection))

    def drop_stray(self, name: str) -> int:
        """Delete a file that no row names; gives its bytes."""
        return 0 if self._packs is None else self._packs.remove(name)

    def drop_pack(self, pack: PackUse) -> int:
        """Delete a pack that holds nothing alive; gives its bytes, 0 when a row names it all the same."""
        with self._connections.writing("remove a pack") as connection:
            gone = _delete_pack(connection, pack.id)
        return self.drop_stray(pack.name) if gone else 0

    def rewrite(self, pack: PackUse) -> int:
        """Move what is alive in a pack to a new one, and delete it; gives the bytes that this frees.

        Raises StorageFailed (``disk-full``: nothing has changed; ``pack-damaged``: it holds less than its rows say).
        """
        if self._packs is None:
            return 0
        places = self._places(pack.id)
        new = self._packs.create(self._pack_name())
        try:
            moved = list(self._copy(pack.name, places, new))
            if self._sync:
                new.sync()
            with self._connections.writing("move a pack") as connection:
                _move(connection, pack.id, new, moved)
        except BaseException as exc:
            new.remove()
            if isinstance(exc, StorageFailed):
                raise self._connections.note(exc) from exc.__cause__
            raise
        new.close()
        return self.drop_stray(pack.name) - new.size

    def _places(self, pack_id: int) -> list[Place]:
        with self._connections.reading("look into a pack") as connection:
            if connection is None:
                return []
            wanted = "SELECT id, position, stored_size FROM chunk WHERE pack = ? ORDER BY position"
            return list(connection.execute(wanted, (pack_id,)))

    def _copy(self, name: str, places: list[Place], new: Pack) -> Iterator[tuple[int, int]]:
        """Copy chunks in the order they lie in; gives (new position, id)."""
        packs = self._packs
        for group in _groups(places):
            found = [] if packs is None else packs.read(name, [(position, length) for _, position, length in group])
            for (number, _, length), data in zip(group, found, strict=True):
                if len(data) != length:
                    raise StorageFailed(f"pack {name} ends inside of chunk {number}", code="pack-damaged")
                at = new.size
                yield at, number
                new.write([new.form(data, at)])

    # -- room --------------------------------------------------------------------------------------------------------

    def give_back(self) -> int:
        """Give free pages of the file back to the disk; gives the bytes. Stops where there is no room to move pages."""
        freed, step = 0, _VACUUM_PAGES
        with suppress(Busy):
            while step >= _VACUUM_PAGES_MIN:
                try:
                    pages, size = self._vacuum_step(step)
                except StorageFailed as exc:
                    if exc.code != DISK_FULL:
                        raise
                    step //= 4  # Fewer pages need less room to be moved.
                    continue
                freed += pages * size
                if pages < step:
                    break
        self._connections.shrink()
        return freed

    def _vacuum_step(self, pages_max: int = _VACUUM_PAGES) -> tuple[int, int]:
        with self._connections.reading("look for free pages") as connection:
            if connection is None or not connection.pragma("freelist_count"):
                return 0, 0
        with self._connections.writing("give room back") as connection:
            before = connection.pragma("page_count")
            list(connection.execute(f"PRAGMA incremental_vacuum({pages_max})"))
            return before - connection.pragma("page_count"), connection.pragma("page_size")

    def make_room(self) -> bool:
        """Move what is committed out of the WAL, whose room the next transaction then uses; where that would need room
        itself, make the file shorter by what is free in it. False when there is none all the same.
        """
        for shorten in (False, True):
            try:
                if shorten:
                    self._vacuum_step()
                self._connections.checkpoint(restart=True)
            except Busy:
                return True  # A reader is in the way, not the disk.
            except StorageFailed as exc:
                if exc.code != DISK_FULL:
                    raise
            else:
                return True
        return False


@contextmanager
def _freeing(connection: apsw.Connection) -> Iterator[None]:
    """Free pages of a file that shrinks without overwriting them first: they are given back, or overwritten by what
    moves into them, when the sweep ends. Overwriting would send all that is removed through the WAL, for which a full
    disk has no room. A file that cannot shrink keeps its free pages, so there they are overwritten.
    """
    if connection.pragma("auto_vacuum") != _SHRINKS:
        yield
        return
    connection.pragma("secure_delete", "FAST")
    try:
        yield
    finally:
        connection.pragma("secure_delete", "ON")


def _uses(connection: apsw.Connection) -> Iterator[PackUse]:
    """Packs in the order of their ids. One scan of the rows of chunks, however many packs there are."""
    alive = {
        pack: (count, stored)
        for pack, count, stored in connection.execute(
            "SELECT pack, count(*), sum(stored_size) FROM chunk WHERE pack IS NOT NULL GROUP BY pack"
        )
    }
    for number, name, size in connection.execute("SELECT id, name, size FROM pack ORDER BY id"):
        yield PackUse(number, name, size, *alive.get(number, (0, 0)))


def _move(connection: apsw.Connection, old: int, new: Pack, moved: list[tuple[int, int]]) -> None:
    (number,) = next(connection.execute("SELECT next_pack FROM meta"))
    connection.execute("INSERT INTO pack (id, name, size) VALUES (?, ?, ?)", (number, new.name, new.size))
    connection.executemany(
        "UPDATE chunk SET pack = ?, position = ? WHERE id = ? AND pack = ?",
        [(number, position, chunk, old) for position, chunk in moved],
    )
    connection.execute("UPDATE meta SET next_pack = ?", (number + 1,))
    if not _delete_pack(connection, old):
        raise StorageFailed("a pack that was being moved got another chunk", code="pack-in-use")


def _delete_pack(connection: apsw.Connection, number: int) -> bool:
    """Delete a pack's row unless a chunk is in it."""
    connection.execute("DELETE FROM pack WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM chunk WHERE pack = ?1)", (number,))
    return connection.changes() == 1


def _groups(places: list[Place]) -> Iterator[list[Place]]:
    group: list[Place] = []
    size = 0
    for place in places:
        if group and size + place[2] > _COPY_BYTES:
            yield group
            group, size = [], 0
        group.append(place)
        size += place[2]
    if group:
        yield group
