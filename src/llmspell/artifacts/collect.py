"""Collecting: content goes when an entry said that it may and nothing refers to it, beside writers of any process.

What must stay true: no content that a version names ever loses a byte. A reference goes before what it refers to:
first rows of contents whose versions were all deleted for good, then chunks that no content names. Chunks are removed
in small batches, each under the writers' turn of the main file, after a look at the contents that were named since the
marking; so no unit can name a chunk between that look and its removal, and a put that had found a chunk before sees the
generation moved and begins again. There is no clock in it: what puts in progress have stored is left alone because they
are in progress (``ports.content.Settled``), not because it is young.

A collect that is killed has done part of its work; the next one does the rest. Without an entry that says so no content
goes: damage to the tables cannot make a collect take what they forgot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from llmspell.artifacts.blob import unpack_ids
from llmspell.errors import Corrupt, StorageFailed
from llmspell.journal.room import is_full
from llmspell.model.arguments import check_flags, check_function
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.ports.content import ChunkInfo, ContentStore, PackUse, Settled, Sweep
    from llmspell.ports.database import Reading, Row, Transaction, Unit

_SQL = queries("llmspell.artifacts")
Progress = Callable[[int, int], None]
"""Called with how many of how many contents and chunks were looked at."""
BATCH_CHUNKS = 256
BATCH_BYTES = 1 << 20
"""What one batch removes at most: freed pages are overwritten, so its bytes are written once."""
_TIGHT_CHUNKS = 8
"""Chunks of a batch where the disk has no room: what they free makes room for the next."""
_BATCH_CONTENTS = 100
_PAGE_CONTENTS = 500
_PAGE_CHUNKS = 1024
_LISTED_MAX = 1000
IN_HISTORY = "in-history"
IN_PROGRESS = "in-progress"
IN_PACKS = "in-packs"
NO_ROOM = "no-room"
DAMAGED = "damaged-pack"
WHY = {
    IN_HISTORY: "deleted, and could be undeleted or looked at: delete it for good",
    IN_PROGRESS: "puts are in progress somewhere, and it may be theirs: collect again later",
    IN_PACKS: "in files that are mostly alive: it goes when they are not",
    NO_ROOM: "in files that are mostly dead, and there is no room to move the rest: collect again later",
    DAMAGED: "in a file that is shorter than its rows say: run `llmspell verify`",
}
"""Reasons for what is kept, in words."""


@dataclass(slots=True)
class CollectReport:
    """What a collect did, or with ``dry_run`` would do.

    ``contents`` (whole contents that went) with ``content_bytes`` of those beside their rows; ``chunks`` with
    ``chunk_bytes`` as stored; ``files`` removed; ``freed_bytes`` given back to the disk, the rest is used again by
    later puts. ``kept`` are bytes by reason, see ``WHY``; chunks that several contents share count in each.
    """

    dry_run: bool
    contents: int = 0
    content_bytes: int = 0
    chunks: int = 0
    chunk_bytes: int = 0
    files: int = 0
    freed_bytes: int = 0
    kept: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return asdict(self)

    def keep(self, why: str, size: int) -> None:
        """Note bytes that stay."""
        if size:
            self.kept[why] = self.kept.get(why, 0) + size


@dataclass(slots=True)
class Orphans:
    """What nothing refers to: ``contents`` by digest (the first thousand of ``content_count``), ``chunks`` that no
    content names, and ``files`` of chunks that no row names. While puts are in progress
    (``in_progress``) chunks and files of theirs cannot be told from what a crash left, and are not among them.
    """

    contents: list[str] = field(default_factory=list)
    content_count: int = 0
    content_bytes: int = 0
    chunks: int = 0
    chunk_bytes: int = 0
    files: list[str] = field(default_factory=list)
    in_progress: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return asdict(self)


class Files(Protocol):
    """The open main file as a collect uses it, from any thread."""

    def read(self, query: Callable[[Reading], Any]) -> Any:
        """Run a query over one consistent state."""
        ...

    def commit(self, units: Sequence[Unit[Any]], *, strong: bool = False) -> Sequence[Any]:
        """Commit units under the writers' turn; outcomes with ``value`` or ``error``. ``strong``: durable on disk."""
        ...


def collect(files: Files, content: ContentStore, *, dry_run: bool, progress: Progress | None) -> CollectReport:
    """Collect, or say what a collect would do. Raises Busy (``collect-running``), ReadOnly, Corrupt, StorageFailed."""
    check_flags(dry_run=dry_run)
    check_function(progress)
    with nullcontext(content.sweep) if dry_run else content.collecting() as sweep:
        report = CollectReport(dry_run)
        try:
            _Run(files, content, sweep, report, progress).all()
        except StorageFailed as exc:
            if not is_full(exc) or not content.free_reserve():
                raise
            report.kept.clear()
            _Run(files, content, sweep, report, progress).all()
        return report


def find_orphans(files: Files, content: ContentStore) -> Orphans:
    """What nothing refers to. Raises Corrupt."""
    run = _Run(files, content, content.sweep, CollectReport(dry_run=True), None)
    run.all()
    found = run.orphans
    found.chunks, found.chunk_bytes = run.report.chunks, run.report.chunk_bytes
    found.content_count, found.content_bytes = run.report.contents, run.report.content_bytes
    found.files, found.in_progress = list(run.settled.strays), not run.settled.alone
    return found


class _Run:
    """One collect."""

    def __init__(
        self, files: Files, content: ContentStore, sweep: Sweep, report: CollectReport, progress: Progress | None
    ) -> None:
        self._files = files
        self._content = content
        self._sweep = sweep
        self._dry_run = report.dry_run
        self._progress = progress
        self.report = report
        self.orphans = Orphans()
        # Before the marking: what puts that ended by now have stored is named by contents that the marking sees.
        self.settled: Settled = sweep.settled()
        self._named = _Ids()
        self._released = _Ids()
        self._gone = _Ids()
        self._marked_to = 0
        self._tight = False
        self._seen = 0
        self._total = 0

    def all(self) -> None:
        """Every step, in the order that keeps references before what they refer to."""
        self._check_nothing_lost()
        (count, _) = self._files.read(lambda view: view.one(_SQL["blob_totals"]))
        self._total = 2 * count + self._content.stats().chunks
        self._let_contents_go()
        self._mark()
        # Not before: it may use up the room that the main file needs to let contents go.
        self._tight = not self._dry_run and not self._sweep.make_room()
        for batch in _batches(self._unnamed()):
            while self._tight and batch:
                self._remove(batch[:_TIGHT_CHUNKS])
                del batch[:_TIGHT_CHUNKS]
                self._tight = not self._sweep.make_room()
            if batch:
                self._remove(batch)
        if not self._dry_run:
            self._sweep_files()
            self.report.freed_bytes += self._sweep.give_back()
        if self._progress is not None:
            self._progress(self._total, self._total)

    def _check_nothing_lost(self) -> None:
        row = self._files.read(lambda view: view.one(_SQL["lost_content"]))
        if row is not None:
            raise Corrupt(
                f"content {row[0].hex()} is needed and is missing; nothing is collected from a damaged store",
                hint="run `llmspell verify` for the extent, and restore from a backup",
                digest=row[0].hex(),
            )

    # -- contents ------------------------------------------------------------------------------------------------------

    def _let_contents_go(self) -> None:
        for page in self._contents():
            going = []
            for row in page:
                may_go, held = self._files.read(partial(_holding, row[5]))
                if held == 1:
                    self.report.keep(IN_HISTORY, row[2])
                elif held == 0 and may_go:
                    going.append(row)
            for start in range(0, len(going), _BATCH_CONTENTS):
                self._let_go(going[start : start + _BATCH_CONTENTS])

    def _let_go(self, rows: list[Row]) -> None:
        gone = set(range(len(rows)))
        if not self._dry_run:
            # Strong: chunks are removed durably, so what lets them go has to be on the disk before.
            gone = self._commit(lambda tx: _delete_contents(tx, rows), strong=True)
        for index in gone:
            number, _, stored_size, count, packed, digest = rows[index]
            self.report.contents += 1
            self._gone.add((number,))
            if len(self.orphans.contents) < _LISTED_MAX:
                self.orphans.contents.append(digest.hex())
            if packed is None:
                self.report.content_bytes += stored_size
            else:
                self._released.add(unpack_ids(packed, count))

    def _mark(self) -> None:
        for page in self._contents():
            for row in page:
                if not self._dry_run or row[0] not in self._gone:
                    self._note(row)

    def _note(self, row: Row) -> None:
        number, _, _, count, packed, _ = row
        if packed is not None:
            self._named.add(unpack_ids(packed, count))
        self._marked_to = max(self._marked_to, number)

    def _contents(self) -> Iterator[list[Row]]:
        after = 0
        while True:
            page: list[Row] = self._files.read(partial(_contents_after, after))
            if not page:
                return
            yield page
            after = page[-1][0]
            self._advance(len(page))

    # -- chunks --------------------------------------------------------------------------------------------------------

    def _unnamed(self) -> Iterator[ChunkInfo]:
        after = 0
        while page := self._content.scan(after, _PAGE_CHUNKS):
            for info in page:
                if info.id in self._named:
                    continue
                if info.id < self.settled.chunk or info.id in self._released:
                    yield info
                else:
                    self.report.keep(IN_PROGRESS, info.stored_size)
            after = page[-1].id
            self._advance(len(page))

    def _remove(self, batch: list[ChunkInfo]) -> None:
        if self._dry_run:
            self.report.chunks += len(batch)
            self.report.chunk_bytes += sum(info.stored_size for info in batch)
            return
        try:
            removed = self._commit(partial(self._remove_unnamed, batch))
        except StorageFailed as exc:
            if not is_full(exc):
                raise
            # What is freed is overwritten, through the WAL; a smaller batch needs less of a disk that has nothing.
            self._sweep.make_room()
            if len(batch) > 1:
                half = len(batch) // 2
                self._remove(batch[:half])
                self._remove(batch[half:])
                return
            removed = self._commit(partial(self._remove_unnamed, batch))
        self.report.chunks += removed.chunks
        self.report.chunk_bytes += removed.stored_size

    async def _remove_unnamed(self, batch: list[ChunkInfo], tx: Transaction) -> Any:
        """A unit that changes nothing in the main file: it is one for the turn, in which nobody can name a chunk.
        Nobody else deletes contents, and it is alone in its batch, so ids above the marked ones are all that came
        since.
        """
        while page := await tx.all(_SQL["blob_page"], (self._marked_to, _PAGE_CONTENTS)):
            for row in page:
                self._note(row)
        return self._sweep.remove([info.id for info in batch if info.id not in self._named])

    # -- files ---------------------------------------------------------------------------------------------------------

    def _sweep_files(self) -> None:
        for name in self.settled.strays:
            self.report.freed_bytes += self._sweep.drop_stray(name)
            self.report.files += 1
        for pack in self._sweep.uses():
            dead = pack.size - pack.alive
            if pack.id >= self.settled.pack:
                self.report.keep(IN_PROGRESS, dead)
            elif pack.chunks == 0:
                self.report.freed_bytes += self._sweep.drop_pack(pack)
                self.report.files += 1
            elif dead * 2 >= pack.size:
                self._rewrite(pack)
            else:
                self.report.keep(IN_PACKS, dead)

    def _rewrite(self, pack: PackUse) -> None:
        try:
            self.report.freed_bytes += self._sweep.rewrite(pack)
            self.report.files += 1
        except StorageFailed as exc:
            if not is_full(exc) and exc.code != "pack-damaged":
                raise
            self.report.keep(NO_ROOM if is_full(exc) else DAMAGED, pack.size - pack.alive)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _commit(self, unit: Unit[Any], *, strong: bool = False) -> Any:
        outcome = self._files.commit((unit,), strong=strong)[0]
        if outcome.error is not None:
            raise outcome.error
        return outcome.value

    def _advance(self, number: int) -> None:
        self._seen += number
        if self._progress is not None:
            self._progress(min(self._seen, self._total), self._total)


async def _delete_contents(tx: Transaction, rows: list[Row]) -> set[int]:
    """Delete those that are still to go; gives their places in ``rows``."""
    gone = {index for index, row in enumerate(rows) if await tx.one(_SQL["holding"], (row[5],)) == (1, 0)}
    for index in gone:
        await tx.run(_SQL["delete_blob"], (rows[index][0],))
    return gone


def _holding(digest: bytes, view: Reading) -> Row:
    return view.one(_SQL["holding"], (digest,)) or (0, 2)


def _contents_after(number: int, view: Reading) -> list[Row]:
    return view.all(_SQL["blob_page"], (number, _PAGE_CONTENTS))


def _batches(chunks: Iterable[ChunkInfo]) -> Iterator[list[ChunkInfo]]:
    batch: list[ChunkInfo] = []
    size = 0
    for info in chunks:
        batch.append(info)
        size += info.stored_size
        if len(batch) >= BATCH_CHUNKS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Ids:
    """A set of ids as bits, in pages: a million in a row take 128 KB, and a wild one takes 4."""

    _PAGE_BITS = 15

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def add(self, ids: Iterable[int]) -> None:
        """Add ids."""
        pages = self._pages
        for number in ids:
            page = pages.get(number >> self._PAGE_BITS)
            if page is None:
                page = pages[number >> self._PAGE_BITS] = bytearray(1 << (self._PAGE_BITS - 3))
            page[(number >> 3) & 0xFFF] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        page = self._pages.get(number >> self._PAGE_BITS)
        return page is not None and bool(page[(number >> 3) & 0xFFF] & (1 << (number & 7)))
