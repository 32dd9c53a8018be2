"""Terms: what a session can be found by, each a number; the index holds them, queries and verification ask for them.

A term is the beginning of a digest, so two of them may meet: whoever finds a session by a term looks at the session
too.
"""

from __future__ import annotations

from functools import lru_cache

from blake3 import blake3

from llmspell.model.fields import places, plain
from llmspell.model.values import decode_value

METADATA_TERMS_MAX = 256
"""A session whose metadata has more values than this, or more bytes than ``METADATA_BYTES_MAX``, is found by looking at
it.
"""
METADATA_BYTES_MAX = 16 << 10

_KEPT = 1024
"""Terms that many sessions share are kept for so many creators and tags."""


def _term(kind: str, *parts: str) -> int:
    text = "".join([kind, *[f"\0{len(part)}:{part}" for part in parts]])
    return int.from_bytes(blake3(text.encode(errors="surrogatepass")).digest(8), "big", signed=True)


LARGE = _term("large")
"""Sessions whose metadata is too large for terms."""


@lru_cache(_KEPT)
def creator_term(created_by: str) -> int:
    """Sessions created by this one."""
    return _term("created_by", created_by)


@lru_cache(_KEPT)
def tag_term(tag: str) -> int:
    """Sessions with this tag."""
    return _term("tag", tag)


def metadata_term(path: str, plain: str) -> int:
    """Sessions with this value (as ``plain`` gives it) at this path of their metadata."""
    return _term("metadata", path, plain)


def terms_of(tags: str, metadata: str, created_by: str | None) -> set[int]:
    """All terms of a session; ``tags`` and ``metadata`` as JSON text. What else it is found by has indexes."""
    found = set(map(tag_term, decode_value(tags)))
    if created_by is not None:
        found.add(creator_term(created_by))
    return found | _metadata_terms(metadata) if metadata != "{}" else found


def _metadata_terms(metadata: str) -> set[int]:
    if len(metadata) > METADATA_BYTES_MAX:
        return {LARGE}
    found: set[int] = set()
    for path, value in places(decode_value(metadata), METADATA_BYTES_MAX):
        found.add(metadata_term(path, plain(value)))
        if len(found) > METADATA_TERMS_MAX:
            return {LARGE}
    return found
