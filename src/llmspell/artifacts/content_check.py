"""Checking every chunk of a store against its digest, whoever refers to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from blake3 import blake3

from llmspell.artifacts.chunking import CHUNK_BYTES_MAX
from llmspell.artifacts.compression import expand
from llmspell.errors import Corrupt
from llmspell.ports.content import ChunkInfo, ContentStore

_PAGE_CHUNKS = 64


@dataclass(frozen=True, slots=True)
class DamagedChunk:
    """A chunk whose bytes cannot be served. ``id`` is 0 when the file is so damaged that the list ends early."""

    id: int
    digest: bytes
    what: str


Progress = Callable[[int, int], None]
"""Called with the chunks and the bytes (before compression) that were checked so far."""


def verify_chunks(store: ContentStore, progress: Progress | None = None) -> Iterator[DamagedChunk]:
    """Every damaged chunk, in the order of ids. Reads all stored bytes, a page at a time; changes nothing."""
    after = chunks = size = 0
    while True:
        try:
            page = store.scan(after, _PAGE_CHUNKS)
        except Corrupt as exc:
            yield DamagedChunk(0, b"", f"chunks after {after} cannot be listed: {exc}")
            return
        if not page:
            return
        for info, stored in _read_page(store, page):
            what = stored if isinstance(stored, str) else _damage(info, stored)
            if what is not None:
                yield DamagedChunk(info.id, info.digest, what)
            chunks += 1
            size += info.size
        after = page[-1].id
        if progress is not None:
            progress(chunks, size)


def _read_page(store: ContentStore, page: list[ChunkInfo]) -> Iterator[tuple[ChunkInfo, bytes | str | None]]:
    """Stored bytes, or what keeps them from being read; if the page cannot be read at once, chunk by chunk."""
    try:
        found = store.read(info.id for info in page)
    except Corrupt:
        for info in page:
            yield info, _read_alone(store, info)
        return
    for info in page:
        yield info, found.get(info.id)


def _read_alone(store: ContentStore, info: ChunkInfo) -> bytes | str | None:
    try:
        return store.read([info.id]).get(info.id)
    except Corrupt as exc:
        return str(exc)


def _damage(info: ChunkInfo, stored: bytes | None) -> str | None:
    if stored is None:
        return "its bytes are missing"
    if not 0 < info.size <= CHUNK_BYTES_MAX:
        return f"its recorded size of {info.size} bytes cannot be true"
    if len(stored) != info.stored_size:
        return f"{len(stored)} bytes are stored, {info.stored_size} were recorded"
    try:
        data = expand(info.codec, stored, info.size)
    except Corrupt as exc:
        return str(exc)
    return None if blake3(data).digest() == info.digest else "its bytes do not match its digest"
