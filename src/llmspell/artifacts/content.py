"""Writing content: bytes of any size become a ``Blob``, in constant memory.

Small content (at most 16 KiB after compression) comes back inside the blob and nothing is written. Everything else is
cut into chunks, of which the store keeps what it does not have yet. What must stay true: the blob is a function of the
bytes alone (apart from which ids its chunks got), however they were fed; chunks are durable when ``finish`` returns; a
writer that is aborted or lost leaves nothing that anyone sees.

Reading is in ``content_reader``, checking in ``content_check``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import RLock
from types import TracebackType
from typing import Self

from blake3 import blake3

from llmspell.artifacts.blob import INLINE_BYTES_MAX, INLINE_SIZE_MAX, Blob, pack_ids
from llmspell.artifacts.chunking import TIERS, Cutter, Tier
from llmspell.artifacts.compression import Codec, Compression, Compressor, check_compression
from llmspell.errors import InvalidInput
from llmspell.ports.content import Appender, Chunk, ContentStore

Buffer = bytes | memoryview
FEED_BYTES = 4 << 20
"""A good size for ``ContentWriter.feed``: larger pieces cost memory, smaller ones time."""
SHARING_BYTES_MIN = 4 << 10
"""Content that is likely to share with other content is cut into chunks from this size on, not kept whole."""
_BLOCK_BYTES = 1 << 20
_BLOCK_BYTES_LATER = 4 << 20
_LATER_BYTES = 16 << 20
_INLINE_LEVEL = 3
_CHUNK_LEVEL = 1
_SHARE_BYTES_MIN = 1 << 20
"""Work below this is not worth handing to another thread."""
_THREADS = min(4, os.cpu_count() or 1)


class ContentWriter:
    """One content on its way in. Synchronous; one thread at a time, but for ``abort``: whoever waits for a thread that
    feeds may give up, and then it is that thread which puts an end to it, when it is done.

    ``feed`` as often as there is data, then ``finish`` for the blob, or ``abort``; after the unit that names the blob,
    ``release``. As a context manager it aborts unless it was finished, and releases. ``compression``: see
    ``compression.Compression``. ``sharing``: much of it is likely there already. ``inline`` False: small content is
    chunks, too, and not beside its row. Adds at most some 40 MiB of memory. In a large stream one block is stored on
    another thread while the next is cut, so an error may show one ``feed`` later.

    The unit that stores the blob asks ``still_whole`` first: a collect may have removed chunks that this put found in
    the store and therefore did not write.
    """

    def __init__(
        self,
        store: ContentStore,
        *,
        compression: Compression = "auto",
        tiers: Sequence[Tier] = TIERS,
        sharing: bool = False,
        inline: bool = True,
    ) -> None:
        self._store = store
        self._inline = inline
        self._sharing = sharing
        self._compression = check_compression(compression)
        self._cutter = Cutter(tiers)
        self._whole = blake3()
        self._list_digest = blake3()
        self._parts: list[Buffer] = []
        self._held = 0
        self._size = 0
        self._stored_size = 0
        self._codec = Codec.RAW
        self._compressors: list[Compressor] = []
        self._threads: ThreadPoolExecutor | None = None
        self._lane: ThreadPoolExecutor | None = None
        self._in_flight: Future[None] | None = None
        self._appender: Appender | None = None
        self._generation = 0
        self._ids: Sequence[int] = ()
        self._ended = False
        self._given_up = False
        self._at_work = RLock()

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. Raises InvalidInput for other types, and what the store raises."""
        try:
            with self._at_work:
                self._feed(data)
        finally:
            if self._given_up:
                self.abort()

    def finish(self) -> Blob:
        """The blob of everything fed; its chunks are durable. Raises what the store raises."""
        try:
            with self._at_work:
                return self._finish()
        finally:
            if self._given_up:
                self.abort()

    def abort(self) -> None:
        """Give up. What was stored so far is not visible to anyone, and may be collected. Twice is allowed, and so is
        while another thread feeds: it never waits for that.
        """
        self._given_up = True
        if self._at_work.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._at_work.release()

    def _feed(self, data: bytes | bytearray | memoryview) -> None:
        self._check_open()
        view = _view_of(data)
        try:
            for start in range(0, len(view), FEED_BYTES):
                self._check_open()
                part = view[start : start + FEED_BYTES]
                # What may change under us is copied; bytes are not.
                self._hold(part if isinstance(data, bytes) else bytes(part))
        except BaseException:
            self.abort()
            raise

    def _finish(self) -> Blob:
        self._check_open()
        try:
            blob = self._finish_small() if self._appender is None else None
            return blob or self._finish_chunked()
        except BaseException:
            self.abort()
            raise
        finally:
            self._let_go()

    def _end(self) -> None:
        if self._in_flight is not None:
            wait([self._in_flight])
            self._in_flight = None
        if self._appender is not None:
            if self._ended:
                self._appender.release()
            else:
                self._appender.abort()
        self._let_go()

    def release(self) -> None:
        """Say that the unit which names the blob is over, whatever became of it. Until then a collect leaves alone what
        this put has stored. Twice is allowed.
        """
        if self._appender is not None:
            self._appender.release()

    def still_whole(self) -> bool:
        """Whether every chunk of the finished blob is (still) in the store; a cheap look when nothing was collected."""
        if not self._ids or self._store.generation() == self._generation:
            return True
        return not self._store.missing(self._ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._ended:
            self.abort()
        self.release()

    # -- small content -----------------------------------------------------------------------------------------------

    def _finish_small(self) -> Blob | None:
        """Everything inside the blob, or None when it does not fit."""
        data = b"".join(self._parts)
        if data and (not self._inline or (self._sharing and len(data) > SHARING_BYTES_MIN)):
            return None
        compressor = Compressor(self._compression, level=_INLINE_LEVEL)
        fitting = compressor.compress_within(data, INLINE_BYTES_MAX)
        if fitting is None:
            return None
        codec, inline = fitting
        return Blob(blake3(data).digest(), len(data), len(inline), codec, inline)

    # -- chunks ------------------------------------------------------------------------------------------------------

    def _hold(self, part: Buffer) -> None:
        self._parts.append(part)
        self._held += len(part)
        if self._appender is None:
            if self._held > INLINE_SIZE_MAX:
                self._send()
        elif self._held >= (_BLOCK_BYTES if self._size < _LATER_BYTES else _BLOCK_BYTES_LATER):
            self._send()

    def _send(self) -> None:
        parts, self._parts = self._parts, []
        self._size += self._held
        self._held = 0
        for part in parts:
            self._whole.update(part)
        views = self._cutter.cut(*parts)
        self._settle()
        if self._size < _LATER_BYTES:
            self._store_chunks(views)
        else:
            self._lane = self._lane or ThreadPoolExecutor(1, thread_name_prefix="llmspell-content")
            self._in_flight = self._lane.submit(self._store_chunks, views)

    def _settle(self) -> None:
        """Wait for the block before, and raise what it met."""
        in_flight, self._in_flight = self._in_flight, None
        if in_flight is not None:
            in_flight.result()

    def _finish_chunked(self) -> Blob:
        if self._held:
            self._send()
        self._settle()
        self._store_chunks(self._cutter.finish())
        self._ids = self._open_appender().finish()
        return Blob(
            digest=self._whole.digest(),
            size=self._size,
            stored_size=self._stored_size,
            codec=self._codec,
            chunk_ids=pack_ids(self._ids),
            chunks_digest=self._list_digest.digest(),
            chunk_count=len(self._ids),
        )

    def _open_appender(self) -> Appender:
        if self._appender is None:
            self._generation = self._store.generation()
            self._appender = self._store.append()
        return self._appender

    def _store_chunks(self, views: list[memoryview]) -> None:
        appender = self._open_appender()
        digests = [blake3(view).digest() for view in views]
        self._list_digest.update(b"".join(digests))
        known = appender.known(digests)
        fresh: list[tuple[Chunk, memoryview]] = []
        chunks = []
        for digest, view in zip(digests, views, strict=True):
            chunk = known.get(digest)
            if chunk is None:
                chunk = known[digest] = Chunk(digest, len(view))
                fresh.append((chunk, view))
            chunks.append(chunk)
        self._compress(fresh)
        self._stored_size += sum(chunk.stored_size for chunk in chunks)
        appender.append(chunks)

    def _compress(self, fresh: list[tuple[Chunk, memoryview]]) -> None:
        """Give each chunk its stored form; where there is much to compress, on several threads."""
        compressor = self._compressor(0)
        promising = []
        for chunk, view in fresh:
            if compressor.promises(view):
                promising.append((chunk, view))
            else:
                _encode([(chunk, view)], None)
        shares = self._shares(promising)
        others = [self._pool().submit(_encode, share, self._compressor(n)) for n, share in enumerate(shares[1:], 1)]
        _encode(shares[0], compressor)
        for other in others:
            other.result()
        if any(chunk.codec != Codec.RAW for chunk, _ in promising):
            self._codec = next(Codec(chunk.codec) for chunk, _ in promising if chunk.codec != Codec.RAW)

    def _shares(self, work: list[tuple[Chunk, memoryview]]) -> list[list[tuple[Chunk, memoryview]]]:
        total = sum(chunk.size for chunk, _ in work)
        count = max(1, min(_THREADS, total // _SHARE_BYTES_MIN))
        return [work[start::count] for start in range(count)]

    def _compressor(self, number: int) -> Compressor:
        while len(self._compressors) <= number:
            self._compressors.append(Compressor(self._compression, level=_CHUNK_LEVEL))
        return self._compressors[number]

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS - 1, thread_name_prefix="llmspell-compress")
        return self._threads

    # -- ending ------------------------------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._ended or self._given_up:
            raise InvalidInput("this content was finished or aborted; start another writer", code="writer-ended")

    def _let_go(self) -> None:
        self._ended = True
        self._parts = []
        self._compressors = []
        for pool in (self._lane, self._threads):
            if pool is not None:
                pool.shutdown()
        self._lane = self._threads = None


def _encode(work: list[tuple[Chunk, memoryview]], compressor: Compressor | None) -> None:
    for chunk, view in work:
        chunk.codec, chunk.stored = (Codec.RAW, view) if compressor is None else compressor.compress_promising(view)
        chunk.stored_size = len(chunk.stored)


def _view_of(data: bytes | bytearray | memoryview) -> memoryview:
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InvalidInput(f"content is bytes, not {type(data).__name__}", code="not-bytes")
    view = memoryview(data)
    if not view.c_contiguous:
        raise InvalidInput("content is one contiguous run of bytes; this view has gaps", code="not-bytes")
    return view.cast("B")
