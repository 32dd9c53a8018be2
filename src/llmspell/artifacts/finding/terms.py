"""What the lagging index holds of an artifact: terms that can be asked for exactly, words, and its folded name.

A term is a number of 63 bits, a digest of what it stands for: a query takes it for a first choice and then looks at the
artifact's row, so two that share a number do no harm.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from blake3 import blake3

from llmspell.model.values import decode_value
from llmspell.model.words import texts_in, words_in

_encode = msgspec.json.Encoder().encode
FOUND_COLUMNS = "a.since_seq, a.session, a.name, a.type, a.digest, a.size, a.description, a.tags, a.metadata"


def term(sort: str, value: bytes) -> int:
    """The number of a term: of the sort ``session``, ``type``, ``name``, ``digest``, ``tag`` or ``field``."""
    return int.from_bytes(blake3(sort.encode() + b"\0" + value).digest(8), "big") >> 1


def field_term(key: str, value: Any) -> int:
    """The term of a field of the metadata with a value that is no list or dict."""
    return term("field", _encode((key, value)))


class Indexed(NamedTuple):
    """A row of an artifact, selected as ``FOUND_COLUMNS``, as the index holds it."""

    since_seq: int
    name: str
    size: int
    terms: frozenset[int]
    words: list[str]
    folded: str


def indexed(row: tuple[Any, ...]) -> Indexed:
    """What the index is to hold of a row."""
    since_seq, session, name, kind, digest, size, description, tags, metadata = row
    labels, fields = decode_value(tags), decode_value(metadata)
    terms = {
        term("session", session), term("type", kind.encode()), term("name", name.encode()), term("digest", digest),
        *(term("tag", one.encode()) for one in labels),
        *(field_term(key, value) for key, value in fields.items() if not isinstance(value, dict | list)),
    }  # fmt: skip
    return Indexed(
        since_seq, name, size, frozenset(terms), words_of_row(name, description, labels, fields), folded_name(name)
    )


def words_of_row(name: str, description: str, tags: list[str], metadata: dict[str, Any]) -> list[str]:
    """The words that full text finds an artifact by."""
    return words_in((name, description, *tags, *texts_in(metadata)))


def folded_name(name: str) -> str:
    """A name without case, between blanks, so that its beginning and its end are groups of characters too."""
    return f"  {name.casefold()} "
