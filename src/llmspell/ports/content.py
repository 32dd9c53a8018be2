"""The port under large content: chunks by digest, kept once, read back by id.

Contract (every adapter):

- A chunk is immutable. Its id is a positive integer that is never given to another chunk, also not after the chunk was
  collected; its digest is BLAKE3 of its bytes before compression. The adapter stores and returns; whether bytes match
  their digest is checked above it.
- ``append`` opens one put. What it was given is durable, at the durability the store was opened with, once ``finish``
  has returned; until then any part of it may be stored or not. Chunks that no one refers to are harmless: a later
  collect takes them. Memory of a put stays bounded however much it is given.
- ``generation`` grows whenever chunks are removed. A put notes it before its first ``known`` and, if it moved, asks
  ``missing`` inside the unit that names the chunks.
- An ``Appender`` is in progress from its beginning until ``release`` or ``abort``, in whatever process. ``settled``
  tells which chunks no put in progress can have stored; those go when nothing names them. ``remove`` is called inside a
  unit of the main file, after a look whether anything names the chunks there, so that no unit names them in between.
- Methods of the store may be called from any thread; an ``Appender`` belongs to one thread at a time. No method keeps a
  read transaction open when it returns. None is to be called while the caller holds the turn it gave to this store.
- Errors: Busy, StorageFailed (``disk-full``: usable again later; ``sync-failed``, ``io-failed``: ReadOnly from then
  on), Corrupt for a damaged file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol

COLLECTED = "content-collected"
"""Code of the Conflict that says: what this put relied on was collected meanwhile; put it again."""
Buffer = bytes | memoryview


class Turnstile(Protocol):
    """The right to write to one file, one holder at a time among threads and processes."""

    def acquire(self, timeout_s: float) -> None:
        """Take the turn, or raise Busy after ``timeout_s``."""
        ...

    def release(self) -> None:
        """Give the turn back."""
        ...


@dataclass(slots=True, eq=False)
class Chunk:
    """One chunk on its way in. Identity matters: a chunk met twice in a put is one object, numbered once.

    ``stored`` is what to write; None once it is written, or when the store had it before. ``id`` is 0 until the chunk
    has a row. ``size`` is before compression, ``stored_size`` after, both in bytes.
    """

    digest: bytes
    size: int
    codec: int = 0
    stored_size: int = 0
    stored: Buffer | None = None
    id: int = 0


@dataclass(frozen=True, slots=True)
class ChunkInfo:
    """What the store knows about a chunk without reading it."""

    id: int
    digest: bytes
    codec: int
    size: int
    stored_size: int


@dataclass(frozen=True, slots=True)
class ContentStats:
    """Totals over all chunks: their number, and their bytes before and after compression."""

    chunks: int
    size: int
    stored_size: int
    generation: int


class Place(NamedTuple):
    """Where a chunk lies in a pack: the bytes from ``position`` on, as many as it takes on disk."""

    id: int
    pack: str
    position: int
    length: int


class PackUse(NamedTuple):
    """A file of many chunks: its bytes, how many chunks in it have rows, and their bytes."""

    id: int
    name: str
    size: int
    chunks: int
    alive: int


class Settled(NamedTuple):
    """What no put in progress can have stored: chunks and packs below these ids, the packs there were, and files that
    no row names. With ``alone`` False puts are in progress somewhere, and nothing is settled.
    """

    chunk: int
    pack: int
    packs: tuple[PackUse, ...]
    strays: tuple[str, ...]
    alone: bool


class Removed(NamedTuple):
    """Chunks that were removed, and their stored bytes."""

    chunks: int
    stored_size: int


class Sweep(Protocol):
    """What a collect asks of a content store. One thread at a time."""

    def settled(self) -> Settled:
        """What no put in progress can have stored. Costs a scan of the chunk rows."""
        ...

    def remove(self, ids: Sequence[int]) -> Removed:
        """Remove these chunks and let the generation grow, in one durable step. Those missing are passed over."""
        ...

    def uses(self) -> list[PackUse]:
        """Every pack as it is now."""
        ...

    def drop_stray(self, name: str) -> int:
        """Delete a file of ``Settled.strays``; gives its bytes."""
        ...

    def drop_pack(self, pack: PackUse) -> int:
        """Delete a settled pack in which nothing is alive; gives its bytes, 0 when something is."""
        ...

    def rewrite(self, pack: PackUse) -> int:
        """Move what is alive in a settled pack elsewhere and delete it; gives the bytes freed.

        Raises StorageFailed (``disk-full``, ``pack-damaged``); then nothing has changed.
        """
        ...

    def give_back(self) -> int:
        """Give free room inside of files back to the disk, as far as that can be done; gives the bytes."""
        ...

    def make_room(self) -> bool:
        """Have as much room to work in as can be had without removing anything; False when there is hardly any."""
        ...


class Appender(Protocol):
    """One put in progress."""

    def known(self, digests: Sequence[bytes]) -> dict[bytes, Chunk]:
        """Those of ``digests`` that need not be given again, as the chunks to append instead."""
        ...

    def append(self, chunks: Iterable[Chunk]) -> None:
        """Take the next chunks of the content, in order; new ones carry ``stored``. May write and wait for the disk."""
        ...

    def finish(self) -> Sequence[int]:
        """Store the rest and give the ids of all chunks appended, in order, repeated where they repeat."""
        ...

    def release(self) -> None:
        """The unit that names the chunks is over, whatever became of it. Twice is allowed."""
        ...

    def abort(self) -> None:
        """Give the put up. Nothing is to be called afterwards; calling it twice is allowed."""
        ...


class ContentStore(Protocol):
    """Chunks of one store."""

    @property
    def sweep(self) -> Sweep:
        """For looking only: ``settled`` and ``uses``."""
        ...

    def collecting(self) -> AbstractContextManager[Sweep]:
        """The right to remove, of one at a time among threads and processes. Raises Busy (``collect-running``)."""
        ...

    def append(self) -> Appender:
        """Start a put. Raises ReadOnly when this handle does not write."""
        ...

    def generation(self) -> int:
        """How often chunks were removed; 0 in a new store."""
        ...

    def missing(self, ids: Iterable[int]) -> list[int]:
        """Those of ``ids`` that have no chunk, ascending. Costs a few µs an id."""
        ...

    def infos(self, ids: Iterable[int]) -> dict[int, ChunkInfo]:
        """What is known about these chunks, by id; those missing are left out."""
        ...

    def read(self, ids: Iterable[int]) -> dict[int, bytes]:
        """Stored bytes by id, as they are; those missing are left out. The caller bounds how much that is."""
        ...

    def scan(self, after: int, limit: int) -> list[ChunkInfo]:
        """At most ``limit`` chunks with ids above ``after``, ascending."""
        ...

    def stats(self) -> ContentStats:
        """Totals. Costs a scan of the chunk rows (not of their bytes)."""
        ...

    def places(self, ids: Iterable[int]) -> list[Place]:
        """Where those of ``ids`` lie that removing does not reach: to be remembered before, and overwritten after."""
        ...

    def remove(self, ids: Iterable[int]) -> None:
        """Remove chunks, durably, and let ``generation`` grow. The caller keeps others from naming them meanwhile."""
        ...

    def overwrite(self, places: Iterable[Place]) -> int:
        """Destroy the bytes at those places whose chunk was removed; how many there are. Again is harmless."""
        ...

    def rewrite(self) -> None:
        """Leave no byte of removed chunks anywhere. Costs copying what stays. Raises Busy while others read."""
        ...

    def checkpoint(self) -> None:
        """Make everything finished so far survive a power loss, whatever the durability of this handle.

        Call it before the file that refers to these chunks is synced by a checkpoint of its own.
        """
        ...

    def is_tight(self) -> bool:
        """Whether the disk has so little room left that what is freed should go back to it at once."""
        ...

    def free_reserve(self) -> bool:
        """Give up room that was set aside for deleting on a full disk, to be called after ``disk-full``; False when
        there is none. A collect that makes room sets some aside again.
        """
        ...

    def poison(self) -> None:
        """In a forked child: never touch the parent's files again. Later calls raise StorageFailed (``forked``)."""
        ...

    def close(self) -> None:
        """Let go of the files. Puts in progress fail."""
        ...
