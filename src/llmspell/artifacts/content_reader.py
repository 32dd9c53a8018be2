"""Reading content: whole, as a stream, or a range, and never a byte that was not checked.

What must stay true: before the first byte the list of chunks matches the blob's ``chunks_digest``; before a chunk's
bytes are given out they match its digest. Whatever does not match, is missing, or does not expand, is Corrupt and names
the content and the chunk. No read transaction is open while the caller looks at what it got.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from blake3 import blake3

from llmspell.artifacts.blob import DIGEST_BYTES, INLINE_SIZE_MAX, Blob, unpack_ids
from llmspell.artifacts.chunking import CHUNK_BYTES_MAX
from llmspell.artifacts.compression import expand
from llmspell.errors import Corrupt, InvalidInput
from llmspell.ports.content import ChunkInfo, ContentStore

PIECE_BYTES = 1 << 20
_PAGE_BYTES = 4 << 20
_PAGE_CHUNKS = 1024
_WHOLE_BYTES_MIN = 64 << 10
"""A chunk of this size is a piece worth giving out as it is."""


class ContentReader:
    """One content on its way out. Synchronous; keeps the checked list of chunks, so several reads of it cost one.

    A terabyte costs some 48 MiB of list; what is read is held a few MiB at a time.
    """

    def __init__(self, store: ContentStore, blob: Blob) -> None:
        self._store = store
        self._blob = blob
        self._inline: bytes | None = None
        self._chunks: _ChunkList | None = None

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return self._blob.size

    def read_all(self) -> bytes:
        """The whole content. Raises Corrupt."""
        return b"".join(self._pieces(0, self.size))

    def stream(self, piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
        """The content in order, in pieces of 1 to ``piece_bytes`` bytes. Raises Corrupt before the piece that is."""
        if type(piece_bytes) is not int or piece_bytes < 1:
            raise InvalidInput(f"a piece has at least 1 byte, not {piece_bytes!r}", code="bad-range")
        return _regroup(self._pieces(0, self.size), piece_bytes)

    def range(self, start: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``start``, fewer at the end of the content, like a slice. Raises Corrupt.

        Reads only the chunks that hold them (and, the first time, the list of all).
        """
        if type(start) is not int or type(length) is not int or start < 0 or length < 0:
            raise InvalidInput(f"a range is two numbers from 0, not ({start!r}, {length!r})", code="bad-range")
        return b"".join(self._pieces(start, min(start + length, self.size)))

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        if self._blob.chunk_ids is None:
            yield self._checked_inline()[start:end]
        elif start < end:
            yield from self._chunked_pieces(start, end)

    def _checked_inline(self) -> bytes:
        if self._inline is None:
            blob = self._blob
            if blob.inline is None or not 0 <= blob.size <= INLINE_SIZE_MAX:
                self._damaged("neither chunks nor short content are recorded for it")
            with self._named():
                data = expand(blob.codec, blob.inline, blob.size)
            if blake3(data).digest() != blob.digest:
                self._damaged("its bytes do not match their digest")
            self._inline = data
        return self._inline

    # -- chunks ------------------------------------------------------------------------------------------------------

    def _chunked_pieces(self, start: int, end: int) -> Iterator[bytes]:
        chunks = self._chunk_list()
        for first, last in chunks.pages(start, end):
            ids = chunks.ids[first:last]
            with self._named():
                stored = self._store.read(ids)
            for index in range(first, last):
                data = self._checked_chunk(chunks, index, stored)
                at = chunks.start(index)
                yield data[max(start - at, 0) : end - at]

    def _checked_chunk(self, chunks: _ChunkList, index: int, stored: dict[int, bytes]) -> bytes:
        number = chunks.ids[index]
        if number not in stored:
            self._damaged(f"the bytes of chunk {number} are missing", number)
        try:
            data = expand(chunks.codecs[index], stored[number], chunks.size(index))
        except Corrupt as exc:
            self._damaged(str(exc), number, exc)
        if blake3(data).digest() != chunks.digest(index):
            self._damaged(f"the bytes of chunk {number} do not match their digest", number)
        return data

    def _chunk_list(self) -> _ChunkList:
        if self._chunks is None:
            self._chunks = self._load_chunk_list()
        return self._chunks

    def _load_chunk_list(self) -> _ChunkList:
        blob = self._blob
        with self._named():
            ids = unpack_ids(blob.chunk_ids or b"", blob.chunk_count)
        chunks = _ChunkList(ids)
        for page in range(0, len(ids), _PAGE_CHUNKS):
            wanted = ids[page : page + _PAGE_CHUNKS]
            with self._named():
                infos = self._store.infos(wanted)
            for number in wanted:
                info = infos.get(number)
                if info is None:
                    self._damaged(f"chunk {number} is missing", number)
                if not _is_sound(info):
                    self._damaged(f"what is recorded of chunk {number} cannot be true", number)
                chunks.add(info)
        if chunks.list_digest() != blob.chunks_digest:
            self._damaged("its list of chunks does not match the digest of the list")
        if chunks.total != blob.size:
            self._damaged(f"its chunks hold {chunks.total} bytes, {blob.size} were recorded")
        return chunks

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Give errors from below, which know only their part, the name of the content."""
        try:
            yield
        except Corrupt as exc:
            self._damaged(str(exc), cause=exc)

    def _damaged(self, what: str, chunk: int | None = None, cause: Exception | None = None) -> NoReturn:
        name = self._blob.digest.hex()
        raise Corrupt(
            f"content {name} cannot be served: {what}",
            hint="restore it from a backup; `llmspell verify` lists everything that is damaged",
            digest=name,
            chunk=chunk,
        ) from cause


class _ChunkList:
    """Ids, ends, codecs and digests of a content's chunks, some 49 bytes each."""

    def __init__(self, ids: array[int]) -> None:
        self.ids = ids
        self.codecs = bytearray()
        self._ends = array("q")
        self._digests = bytearray()

    @property
    def total(self) -> int:
        return self._ends[-1] if self._ends else 0

    def add(self, info: ChunkInfo) -> None:
        self._ends.append(self.total + info.size)
        self._digests += info.digest
        self.codecs.append(info.codec)

    def list_digest(self) -> bytes:
        return blake3(self._digests).digest()

    def digest(self, index: int) -> bytes:
        return bytes(self._digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES])

    def start(self, index: int) -> int:
        return self._ends[index - 1] if index else 0

    def size(self, index: int) -> int:
        return self._ends[index] - self.start(index)

    def pages(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Chunks that hold bytes of [start, end), as runs [first, last) of a bounded number of bytes."""
        first = bisect_right(self._ends, start)
        while first < len(self.ids) and self.start(first) < end:
            bound = min(end, self.start(first) + _PAGE_BYTES)
            last = first + 1
            while last < len(self.ids) and self.start(last) < bound and last - first < _PAGE_CHUNKS:
                last += 1
            yield first, last
            first = last


def _is_sound(info: ChunkInfo) -> bool:
    return 0 < info.size <= CHUNK_BYTES_MAX and len(info.digest) == DIGEST_BYTES and 0 <= info.codec <= 255


def _regroup(pieces: Iterator[bytes], piece_bytes: int) -> Iterator[bytes]:
    """Pieces of at most ``piece_bytes``: small ones are joined, large ones go through without a copy where they fit."""
    held: list[bytes] = []
    room = piece_bytes
    for piece in pieces:
        if len(piece) > room or (held and len(piece) >= _WHOLE_BYTES_MIN):
            if held:
                yield b"".join(held)
            held, room = [], piece_bytes
        if len(piece) > piece_bytes:
            yield from (piece[start : start + piece_bytes] for start in range(0, len(piece), piece_bytes))
        elif len(piece) >= _WHOLE_BYTES_MIN:
            yield piece
        elif piece:
            held.append(piece)
            room -= len(piece)
    if held:
        yield b"".join(held)
