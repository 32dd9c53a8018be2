"""Where content is cut into chunks: by what it says (FastCDC), so that an edit moves only the cuts around it.

What must stay true: the cuts depend on the content alone, never on how it was fed. FastCDC starts afresh at each cut,
so a cut is final as soon as it is found before the end of the bytes at hand; only the last piece has to wait for more.

The average grows with the offset, which works for streams of unknown length: small objects get small chunks, which
share best, and the tail of a large one gets few large chunks, whose bookkeeping stays small. After an insertion the
chunks meet the old ones again within a few cuts; where two tiers meet, a few chunks of the next tier are cut anew.
``TIERS`` is part of what makes content of different releases share chunks: changing it costs space, not correctness.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyfastcdc import FastCDC

Buffer = bytes | memoryview
_KIB = 1 << 10
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Tier:
    """Sizes in bytes for chunks that start at ``offset`` or later. The bounds are hard, the average is aimed at."""

    offset: int
    minimum: int
    average: int
    maximum: int


TIERS = (
    Tier(0, 1 * _KIB, 4 * _KIB, 8 * _KIB),
    Tier(4 * _MIB, 4 * _KIB, 16 * _KIB, 64 * _KIB),
    Tier(16 * _MIB, 128 * _KIB, 128 * _KIB, 512 * _KIB),
    Tier(1024 * _MIB, 1 * _MIB, 1 * _MIB, 4 * _MIB),
)
CHUNK_BYTES_MAX = max(tier.maximum for tier in TIERS)
"""No chunk is longer; a stored size above it is damage."""


class Cutter:
    """Cuts one stream into chunks. Feed it blocks that are large against a chunk: each call looks at the rest again.

    Not for use by two threads at once.
    """

    def __init__(self, tiers: Sequence[Tier] = TIERS) -> None:
        self._tiers = tuple(tiers)
        self._level = 0
        self._chunker = self._make_chunker()
        self._rest = memoryview(b"")
        self.offset = 0
        """Where the next chunk starts: the bytes given out so far."""

    def cut(self, *blocks: Buffer) -> list[memoryview]:
        """The chunks that are complete with ``blocks``. They keep the memory; their order is that of the content."""
        parts = (self._rest, *blocks) if self._rest else blocks
        view = memoryview(parts[0] if len(parts) == 1 else b"".join(parts))
        chunks, used = self._cut(view, final=False)
        self._rest = view[used:]
        return chunks

    def finish(self) -> list[memoryview]:
        """The last chunks; none if nothing was left."""
        chunks, _ = self._cut(self._rest, final=True)
        self._rest = memoryview(b"")
        return chunks

    def _cut(self, view: memoryview, *, final: bool) -> tuple[list[memoryview], int]:
        chunks: list[memoryview] = []
        used = 0
        while used < len(view):
            added = self._cut_in_tier(view, used, chunks, final=final)
            if not added:
                break
            used += added
        return chunks, used

    def _cut_in_tier(self, view: memoryview, start: int, chunks: list[memoryview], *, final: bool) -> int:
        """Add chunks until the tier or the view ends; gives the bytes they hold."""
        maximum = self._tiers[self._level].maximum
        end_of_tier = self._end_of_tier()
        left = len(view) - start
        used = 0
        for chunk in self._chunker.cut_buf(view[start:]):
            length = chunk.length
            if used + length == left and length < maximum and not final:
                break
            chunks.append(chunk.data)
            used += length
            self.offset += length
            if end_of_tier is not None and self.offset >= end_of_tier:
                self._climb()
                break
        return used

    def _end_of_tier(self) -> int | None:
        above = self._level + 1
        return self._tiers[above].offset if above < len(self._tiers) else None

    def _climb(self) -> None:
        while (end := self._end_of_tier()) is not None and self.offset >= end:
            self._level += 1
        self._chunker = self._make_chunker()

    def _make_chunker(self) -> FastCDC:
        tier = self._tiers[self._level]
        return FastCDC(tier.average, min_size=tier.minimum, max_size=tier.maximum, normalized_chunking=1, seed=0)
