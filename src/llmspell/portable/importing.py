"""Taking a bundle in. The order, so that a kill at any point leaves nothing that anyone sees:

1.  the whole file is read and every rule checked; what is refused changes nothing
2.  chunks of contents go into the store, nobody naming them yet; what a crash leaves of them is collected like any
    other
3.  one unit appends all entries, or none; the file is read and checked once more on the way

The unit holds the writers' turn as long as it appends: some 60 µs an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from blake3 import blake3

from llmspell.artifacts.blob import Blob
from llmspell.artifacts.content import ContentWriter
from llmspell.artifacts.kinds import ArtifactStored
from llmspell.artifacts.units import collected
from llmspell.errors import Conflict, LlmspellError
from llmspell.journal.journal import Writer
from llmspell.model.ids import id_bytes
from llmspell.portable.arriving import Arrival, Target
from llmspell.portable.frames import CHECKSUM_BYTES, FrameReader, refuse
from llmspell.portable.payloads import payload_of
from llmspell.portable.records import Carried, Content, End, Header, Piece, Record, read_records
from llmspell.ports.content import ContentStore
from llmspell.schema import queries
from llmspell.sessions.kinds import SessionCreated
from llmspell.sessions.ported import PortProgress
from llmspell.state.kinds import StateSet

_SQL = queries("llmspell.artifacts")
_INSERT_BLOB, _BLOB_FORM = _SQL["insert_blob"], _SQL["blob_form"]
_INCOMPLETE = (
    "SELECT a.name, a.version FROM artifact a LEFT JOIN blob b ON b.digest = a.digest"
    " WHERE a.session = ? AND a.until_seq IS NULL AND (b.digest IS NULL OR b.size <> a.size) LIMIT 1"
)


@dataclass(slots=True)
class Looked:
    """What the first reading of a file came to."""

    header: Header
    entries: int = 0
    contents: int = 0
    digest: str = ""
    created: SessionCreated | None = None
    inline: set[str] = field(default_factory=set)
    chunked: dict[str, tuple[Blob, Callable[[], bool]]] = field(default_factory=dict)
    """Contents that were not here: those that lie beside their row, and those whose chunks were stored."""
    sealed: dict[int, str] = field(default_factory=dict)
    """Carried values as this store seals them, by the seq of their entry."""
    writers: list[ContentWriter] = field(default_factory=list)
    """Of chunks, which a collect leaves alone until ``release``."""
    over: bool = False

    def forget(self) -> None:
        """Take all contents anew: some of those that were here, or were stored, are so no more; or for another id."""
        self.release()
        self.over = False
        self.inline.clear()
        self.chunked.clear()
        self.sealed.clear()

    def release(self) -> None:
        """Say that the unit which names the contents is over, whatever became of it. A thread that still takes some,
        since whoever waited for it gave up, says so for them.
        """
        self.over = True
        for writer in self.writers:
            writer.release()
        self.writers.clear()


class Bundle:
    """A file of a bundle, to be read several times. The key is made once."""

    def __init__(self, file: IO[bytes], key: Any) -> None:
        self._file = file
        self._key = key

    def records(self) -> Iterator[Record]:
        """All records from the first on, each checked."""
        self._file.seek(0)
        return read_records(FrameReader(self._file, self._key))

    def checksum(self) -> str:
        """Its last 32 bytes, in hex."""
        self._file.seek(-CHECKSUM_BYTES, 2)
        return self._file.read(CHECKSUM_BYTES).hex()


def look_through(bundle: Bundle, progress: PortProgress) -> Looked:
    """Read and check all of it. Raises Corrupt (``invalid-bundle``), WrongKey."""
    records = bundle.records()
    looked = Looked(_header_of(next(records)))
    named: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for record in records:
        if isinstance(record, Content):
            sizes[record.digest] = record.size
            looked.contents += 1
        elif isinstance(record, Carried):
            payload = payload_of(record, looked.header)
            if isinstance(payload, SessionCreated) and looked.created is None:
                looked.created = payload
            elif isinstance(payload, ArtifactStored):
                named[payload.digest] = payload.size
                if sizes.get(payload.digest, payload.size) != payload.size:
                    refuse(f"entry {record.seq} gives a content another size")
            looked.entries += 1
            if looked.entries % 1000 == 0:
                progress("checking", looked.entries)
    if sizes.keys() - named.keys():
        refuse("it holds a content that no artifact names")
    if looked.created is None:
        refuse("no entry of it creates the session")
    looked.digest = bundle.checksum()
    return looked


def take_contents(
    bundle: Bundle, looked: Looked, content: ContentStore, has: Callable[[bytes], bool],
    seal: Callable[[StateSet], str], progress: PortProgress,
) -> None:  # fmt: skip
    """Store the contents that are not there yet, and seal values that are carried in clear."""
    done = 0
    writer: ContentWriter | None = None
    try:
        for record in bundle.records():
            if isinstance(record, Content):
                writer = None if has(bytes.fromhex(record.digest)) else ContentWriter(content)
            elif isinstance(record, Piece):
                blob = _fed(writer, record)
                if blob is not None and writer is not None:
                    digest = blob.digest.hex()
                    if blob.inline is None:
                        looked.chunked[digest] = blob, writer.still_whole
                        looked.writers.append(writer)
                        if looked.over:
                            writer.release()
                    else:
                        looked.inline.add(digest)
                    writer = None
                done += record.last
                progress("contents", done)
            elif isinstance(record, Carried):
                if looked.header.sensitive != "carried":
                    break
                payload = payload_of(record, looked.header)
                if isinstance(payload, StateSet) and payload.state_class == "sensitive":
                    looked.sealed[record.seq] = seal(payload)
    finally:
        if writer is not None:
            writer.abort()


def _fed(writer: ContentWriter | None, piece: Piece) -> Blob | None:
    if writer is None:
        return None
    if piece.data:
        writer.feed(piece.data)
    return writer.finish() if piece.last else None


class _Contents:
    """Rows of contents, made in the unit. Small ones are encoded again from the file, which needs no memory for all."""

    def __init__(self, writer: Writer, looked: Looked, content: ContentStore) -> None:
        self._writer = writer
        self._looked = looked
        self._content = content
        self._small: ContentWriter | None = None

    async def take(self, record: Content | Piece) -> None:
        """The next record. Raises Conflict (``content-collected``)."""
        if isinstance(record, Content):
            self._small = None
            if await self._writer.one(_BLOB_FORM, (bytes.fromhex(record.digest),)) is not None:
                return
            if record.digest in self._looked.inline:
                self._small = ContentWriter(self._content)
                return
            blob, still_whole = self._looked.chunked.get(record.digest, (None, None))
            if blob is None or still_whole is None or not still_whole():
                raise collected()
            await self._insert(blob)
        elif (small := _fed(self._small, record)) is not None:
            await self._insert(small)

    async def _insert(self, blob: Blob) -> None:
        await self._writer.run(
            _INSERT_BLOB,
            (blob.digest, blob.size, blob.stored_size, blob.codec, blob.inline, blob.chunk_count, blob.chunk_ids,
             blob.chunks_digest),
        )  # fmt: skip


async def append_all(
    writer: Writer, bundle: Bundle, looked: Looked, target: Target, content: ContentStore, progress: PortProgress
) -> int:
    """Every entry, in one transaction; the file must still be the one that was looked through."""
    drawn = 0

    def salt() -> bytes:
        nonlocal drawn
        drawn += 1
        return blake3(writer.origin.salt + b"imported" + drawn.to_bytes(8)).digest(16)

    new_ids = writer.draw_id if target.renamed else None
    arrival = Arrival(writer, looked.header, target, new_ids, looked.sealed, salt)
    done = 0
    end: End | None = None
    contents = _Contents(writer, looked, content)
    for record in bundle.records():
        if isinstance(record, Content | Piece):
            await contents.take(record)
        elif isinstance(record, Carried):
            await arrival.take(record, payload_of(record, looked.header))
            done += 1
            if done % 1000 == 0:
                progress("entries", done)
        elif isinstance(record, End):
            end = record
    if end is None or bundle.checksum() != looked.digest:
        raise Conflict("the file was changed while it was being imported", code="bundle-changed")
    row = await writer.one(_INCOMPLETE, (target.session,))
    if row is not None:
        refuse(f"artifact {row[0]!r} version {row[1]} has no content in it")
    progress("entries", done)
    return done


def _header_of(record: Record) -> Header:
    if not isinstance(record, Header):
        refuse("its first frame is no header")
    try:
        id_bytes(record.session)
        id_bytes(record.store_id)
        for session, _ in record.lineage:
            id_bytes(session)
    except LlmspellError:
        refuse("its header has ids that are none")
    return record
