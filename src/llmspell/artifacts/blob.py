"""A blob: content by its digest, and where its bytes are (beside the row itself, or in chunks)."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

from llmspell.errors import Corrupt

DIGEST_BYTES = 32
INLINE_BYTES_MAX = 16 << 10
"""Content that is at most this long after compression stays beside its row."""
INLINE_SIZE_MAX = 1 << 20
"""Content longer than this is not even tried; so no inline content expands to more."""
_ID_MAX = (1 << 63) - 1
_VARINT_BYTES_MAX = 10


@dataclass(frozen=True, slots=True)
class Blob:
    """Content as the main file refers to it. Exactly one of ``inline`` and ``chunk_ids`` is given.

    ``digest``         BLAKE3 of the whole content, 32 bytes
    ``size``           bytes of the content
    ``stored_size``    bytes of its encoded form; shared chunks count in full
    ``codec``          how ``inline`` is encoded; with chunks, the codec that at least one of them was given in this put
    ``inline``         the encoded content, at most 16 KiB
    ``chunk_ids``      ids of the chunks in order, see ``pack_ids``
    ``chunks_digest``  BLAKE3 over the digests of the chunks in order: a read checks the list by it, then every chunk by
                       its own digest, and so needs no pass over the whole
    ``chunk_count``    how many ids there are; 0 with ``inline``
    """

    digest: bytes
    size: int
    stored_size: int
    codec: int
    inline: bytes | None = None
    chunk_ids: bytes | None = None
    chunks_digest: bytes | None = None
    chunk_count: int = 0


def pack_ids(ids: Iterable[int]) -> bytes:
    """Ids as zigzag varints of their differences: one byte for a chunk stored right after the one before it."""
    packed = bytearray()
    previous = 0
    for number in ids:
        step = number - previous
        previous = number
        left = step << 1 if step >= 0 else (-step << 1) - 1
        while left > 0x7F:
            packed.append((left & 0x7F) | 0x80)
            left >>= 7
        packed.append(left)
    return bytes(packed)


def unpack_ids(packed: bytes, count: int) -> array[int]:
    """The ids again, 64-bit. Raises Corrupt unless they are exactly ``count`` positive numbers."""
    ids = array("q")
    value = shift = previous = 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            if shift >= 7 * _VARINT_BYTES_MAX:
                raise Corrupt("a list of chunk ids holds a number that is too long")
            continue
        previous += -((value + 1) >> 1) if value & 1 else value >> 1
        if not 0 < previous <= _ID_MAX or len(ids) == count:
            raise Corrupt(f"a list of {count} chunk ids holds others than {count} positive numbers")
        ids.append(previous)
        value = shift = 0
    if shift or len(ids) != count:
        raise Corrupt(f"a list of {count} chunk ids ends after {len(ids)}")
    return ids
