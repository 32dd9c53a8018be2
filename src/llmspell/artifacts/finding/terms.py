"""What the lagging index holds of an artifact: terms that can be asked for exactly, words, and its folded name.

A term is a number of 47 bits, a digest of what it stands for: a query takes it for a first choice and then looks at the
artifact's row, so two that share a number do no harm. SQLite keeps it in six bytes. Exact names and contents need none:
``artifact_named`` and ``artifact_digest`` lead to them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from blake3 import blake3

from llmspell.model.fields import places, plain
from llmspell.model.values import decode_value
from llmspell.model.words import without_accents, words_of_fields

PATH_CHARS_MAX = 256
"""A field at a longer path has no term."""
FOUND_COLUMNS = "a.since_seq, a.session, a.name, a.type, a.size, a.description, a.tags, a.metadata"


def term(sort: str, value: bytes) -> int:
    """The number of a term: of the sort ``session``, ``type``, ``tag`` or ``field``."""
    return int.from_bytes(blake3(sort.encode() + b"\0" + value).digest(6), "big") >> 1


def field_term(path: str, value: str) -> int:
    """The term of a field of the metadata, its value as ``plain`` gives it."""
    return term("field", f"{len(path)}:{path}{value}".encode(errors="surrogatepass"))


def is_indexed(path: str, value: str) -> bool:
    """Whether a field has a term: its path is short, and its value no list or dict. Others are looked at."""
    return len(path) <= PATH_CHARS_MAX and value[0] not in "{["


class Indexed(NamedTuple):
    """A row of an artifact, selected as ``FOUND_COLUMNS``, as the index holds it."""

    since_seq: int
    name: str
    size: int
    terms: frozenset[int]
    words: str
    folded: str


def indexed(row: tuple[Any, ...]) -> Indexed:
    """What the index is to hold of a row."""
    since_seq, session, name, kind, size, description, tags, metadata = row
    terms = {
        term("session", session), term("type", kind.encode()),
        *(term("tag", one.encode()) for one in decode_value(tags)),
        *(
            field_term(path, plain(value))
            for path, value in places(decode_value(metadata), PATH_CHARS_MAX)
            if not isinstance(value, dict | list)
        ),
    }  # fmt: skip
    return Indexed(
        since_seq, name, size, frozenset(terms), words_of_fields(name, description, tags, metadata), folded_name(name)
    )


def folded_name(name: str) -> str:
    """A name without case and accents, between blanks: its beginning and its end are groups of characters, too."""
    return f"  {without_accents(name)} "
