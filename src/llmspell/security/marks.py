"""Marks that only a holder of the key can make: on the journal's head, and on the names of chunks.

The hash chain has no key, so whoever can write the database can compute it anew; a mark on the head shows that the last
writer had the key. It does not show that this head is the newest: an old copy of the whole folder carries its old mark,
and only a witness outside can tell.
"""

from __future__ import annotations

import struct
from hmac import compare_digest

from blake3 import blake3

from llmspell.errors import Corrupt
from llmspell.model.entry import Head
from llmspell.security.keys import DataKey

MARK_BYTES = 32
_place = struct.Struct(">QqI").pack


def head_mark(key: DataKey, store_id: bytes, timeline: bytes, head: Head) -> bytes:
    """32 bytes over the store, the timeline and its head: keyed BLAKE3. 2 µs.

    ``timeline`` is its id, as text or bytes of any length.
    """
    words = b"".join((_place(head.seq, head.at, len(timeline)), timeline, store_id, head.hash))
    return blake3(words, key=key.derive("mark on a head")).digest()


def check_head(key: DataKey, store_id: bytes, timeline: bytes, head: Head, mark: bytes) -> None:
    """Raises Corrupt (``head-mark``) unless ``mark`` is that of this head, made with this key."""
    if not compare_digest(head_mark(key, store_id, timeline, head), mark):
        raise Corrupt(
            f"the head of the journal, entry {head.seq}, does not carry the mark of this store's key",
            code="head-mark",
            hint="somebody without the key wrote to the store; restore a backup, or compare with an anchor",
        )


def chunk_name(key: DataKey, digest: bytes) -> bytes:
    """32 bytes that name a chunk instead of its digest: equal chunks under one key have equal names.

    A bare digest tells whoever has a file whether it is stored here; a name cannot be computed without the key.
    """
    return blake3(digest, key=key.derive("name of a chunk")).digest()
