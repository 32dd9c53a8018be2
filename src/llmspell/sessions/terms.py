"""Terms: what a session can be found by, each a number; the index holds them, queries and verification ask for them.

A term is the beginning of a digest, so two of them may meet: whoever finds a session by a term looks at the session
too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from blake3 import blake3

from llmspell.model.values import decode_value

METADATA_TERMS_MAX = 256
"""A session whose metadata has more values than this, or more bytes than ``METADATA_BYTES_MAX``, is found by looking at
it.
"""
METADATA_BYTES_MAX = 16 << 10


def _term(kind: str, *parts: str) -> int:
    digest = blake3("\0".join((kind, *(f"{len(part)}:{part}" for part in parts))).encode(errors="surrogatepass"))
    return int.from_bytes(digest.digest(8), "big", signed=True)


EVERY = 0
"""Every session has it: the one term whose sessions are indexed by the time they were created, too."""
LARGE = _term("large")
"""Sessions whose metadata is too large for terms."""


def status_term(status: str) -> int:
    """Sessions with this status."""
    return _term("status", status)


def creator_term(created_by: str) -> int:
    """Sessions created by this one."""
    return _term("created_by", created_by)


def parent_term(parent: bytes) -> int:
    """Sessions directly below this one."""
    return _term("parent", parent.hex())


def name_term(name: str) -> int:
    """Sessions of exactly this name."""
    return _term("name", name)


def tag_term(tag: str) -> int:
    """Sessions with this tag."""
    return _term("tag", tag)


def metadata_term(path: str, plain: str) -> int:
    """Sessions with this value (as ``plain`` gives it) at this path of their metadata."""
    return _term("metadata", path, plain)


def plain(value: Any) -> str:
    """A text that two JSON values share exactly if they are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, dict):
        inside = ",".join(f"{name!r}:{plain(value[name])}" for name in sorted(value))
        return f"{{{inside}}}"
    if isinstance(value, list):
        return f"[{','.join(map(plain, value))}]"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)
    return repr(value)


def places(metadata: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every path of metadata with the value there: names joined by dots, and the items of a list at the list's path."""
    waiting: list[tuple[str, Any]] = list(metadata.items())
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, dict):
            waiting += [(f"{path}.{name}", inner) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(path, inner) for inner in value]


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
    if len(metadata) > METADATA_BYTES_MAX:
        return {LARGE}
    found = set()
    for path, value in places(decode_value(metadata)):
        found.add(metadata_term(path, plain(value)))
        if len(found) > METADATA_TERMS_MAX:
            return {LARGE}
    return found
