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
"""Terms that many sessions share are kept for so many statuses, creators, parents and tags."""


def _term(kind: str, *parts: str) -> int:
    text = "".join([kind, *[f"\0{len(part)}:{part}" for part in parts]])
    return int.from_bytes(blake3(text.encode(errors="surrogatepass")).digest(8), "big", signed=True)


EVERY = 0
"""Every session has it: the one term whose sessions are indexed by the time they were created, too."""
LARGE = _term("large")
"""Sessions whose metadata is too large for terms."""


@lru_cache(_KEPT)
def status_term(status: str) -> int:
    """Sessions with this status."""
    return _term("status", status)


@lru_cache(_KEPT)
def creator_term(created_by: str) -> int:
    """Sessions created by this one."""
    return _term("created_by", created_by)


@lru_cache(_KEPT)
def parent_term(parent: bytes) -> int:
    """Sessions directly below this one."""
    return _term("parent", parent.hex())


def name_term(name: str) -> int:
    """Sessions of exactly this name."""
    return _term("name", name)


@lru_cache(_KEPT)
def tag_term(tag: str) -> int:
    """Sessions with this tag."""
    return _term("tag", tag)


def metadata_term(path: str, plain: str) -> int:
    """Sessions with this value (as ``plain`` gives it) at this path of their metadata."""
    return _term("metadata", path, plain)


def terms_of(
    name: str, status: str, tags: str, metadata: str, created_by: str | None, parent: bytes | None
) -> set[int]:
    """All terms of a session; ``tags`` and ``metadata`` as JSON text."""
    found = {EVERY, name_term(name), status_term(status), *map(tag_term, decode_value(tags))}
    if created_by is not None:
        found.add(creator_term(created_by))
    if parent is not None:
        found.add(parent_term(parent))
    return found | _metadata_terms(metadata)


def _metadata_terms(metadata: str) -> set[int]:
    found: set[int] = set()
    if metadata == "{}":
        return found
    if len(metadata) > METADATA_BYTES_MAX:
        return {LARGE}
    for path, value in places(decode_value(metadata), METADATA_BYTES_MAX):
        found.add(metadata_term(path, plain(value)))
        if len(found) > METADATA_TERMS_MAX:
            return {LARGE}
    return found
