"""What the frames of a bundle say, and the order they must come in.

HEADER   which session, of which store, as of when           once, first
CONTENT  a content's digest and size, then PIECEs of it      for each content that a version names, before entries
ENTRIES  the session's entries, oldest first, a page each    at least one page
END      how many of each there were                         once, last
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from blake3 import blake3

from llmspell.errors import InvalidInput
from llmspell.model.ids import id_bytes
from llmspell.portable.frames import CONTENT, END, ENTRIES, HEADER, PIECE, FrameReader, refuse

PIECE_BYTES_MAX = 1 << 20
PAGE_ENTRIES = 256
PAGE_BYTES = 4 << 20
_DIGEST_CHARS = 64
_SEQ_MAX = (1 << 63) - 1


class Header(msgspec.Struct, forbid_unknown_fields=True):
    """First frame. ``seq`` is the store's entry that the bundle is as of; ``exported_at`` nanoseconds.

    ``sensitive``: whether sealed values are carried in clear (inside an encrypted bundle) or replaced. ``lineage``: of
    what was a fork, the sessions whose entries come before its own, the nearest first, each with the last that counts.
    """

    session: str
    name: str
    store_id: str
    timeline: str
    seq: int
    exported_at: int
    sensitive: Literal["redacted", "carried"] = "redacted"
    lineage: list[tuple[str, int]] = []


class Content(msgspec.Struct, forbid_unknown_fields=True):
    """Head of a content; its bytes follow."""

    digest: str
    size: int


class Carried(msgspec.Struct, forbid_unknown_fields=True):
    """An entry as it was in its store. Times are nanoseconds; ids and digests hex."""

    seq: int
    id: str
    at: int
    kind: str
    kind_version: int
    correlation: str
    cause: int
    actor: str
    payload: msgspec.Raw
    inside: bool = True
    """Whether it was written in the session, rather than about it from outside."""


class End(msgspec.Struct, forbid_unknown_fields=True):
    """Last frame: what came before it, and what of the session's timeline is not in the bundle, by kind."""

    contents: int
    entries: int
    left_out: dict[str, int] = {}


class Piece(msgspec.Struct):
    """Bytes of the content whose head came last; ``last`` when it is whole and its digest was right."""

    data: bytes
    last: bool


_encode = msgspec.json.Encoder().encode
_header = msgspec.json.Decoder(Header).decode
_content = msgspec.json.Decoder(Content).decode
_entries = msgspec.json.Decoder(list[Carried]).decode
_end = msgspec.json.Decoder(End).decode
Record = Header | Content | Piece | Carried | End


def encode(record: msgspec.Struct | list[Carried]) -> bytes:
    """JSON of a record."""
    return _encode(record)


def read_records(reader: FrameReader) -> Iterator[Record]:
    """A bundle's records, each checked, in their order: whoever read the ``End`` read a whole one.

    Raises Corrupt (``invalid-bundle``), WrongKey. Holds one frame in memory.
    """
    kind, text = reader.read()
    if kind != HEADER:
        refuse("its first frame is no header")
    header = _parsed(_header, text, "the header")
    _demand(0 <= header.seq <= _SEQ_MAX and 0 <= header.exported_at <= _SEQ_MAX, "the header has odd numbers")
    yield header
    counts, seen = {"contents": 0, "entries": 0}, 0
    digests: set[str] = set()
    kind, text = reader.read()
    while kind == CONTENT:
        head = _parsed(_content, text, "the head of a content")
        _check_content(head, digests)
        digests.add(head.digest)
        counts["contents"] += 1
        yield head
        yield from _pieces(reader, head)
        kind, text = reader.read()
    while kind == ENTRIES:
        page = _parsed(_entries, text, "a page of entries")
        _demand(0 < len(page) <= PAGE_ENTRIES, "a page of entries has too many or none")
        for carried in page:
            _check_carried(carried, seen)
            seen = carried.seq
            counts["entries"] += 1
            yield carried
        kind, text = reader.read()
    if kind != END:
        refuse(f"a frame of type {kind} stands where none may")
    end = _parsed(_end, text, "the last frame")
    _demand(counts["entries"] > 0, "it has no entries")
    _demand((end.contents, end.entries) == (counts["contents"], counts["entries"]), "it is not as many as it says")
    yield end


def _pieces(reader: FrameReader, head: Content) -> Iterator[Piece]:
    left, whole = head.size, blake3()
    if left == 0:
        _demand(whole.hexdigest() == head.digest, f"content {head.digest} is not what its digest says")
        yield Piece(b"", last=True)
    while left:
        kind, data = reader.read()
        _demand(kind == PIECE and 0 < len(data) <= min(left, PIECE_BYTES_MAX), f"content {head.digest} is not whole")
        left -= len(data)
        whole.update(data)
        if not left:
            _demand(whole.hexdigest() == head.digest, f"content {head.digest} is not what its digest says")
        yield Piece(data, last=not left)


def _check_content(head: Content, known: set[str]) -> None:
    digest = head.digest
    _demand(len(digest) == _DIGEST_CHARS and set(digest) <= set("0123456789abcdef"), "a content has no digest")
    _demand(digest not in known, f"content {digest} is there twice")
    _demand(0 <= head.size <= _SEQ_MAX, f"content {digest} has an odd size")


def _check_carried(carried: Carried, before: int) -> None:
    _demand(before < carried.seq <= _SEQ_MAX, f"entry {carried.seq} is not in its place")
    _demand(0 <= carried.at <= _SEQ_MAX and carried.kind_version >= 1, f"entry {carried.seq} has odd numbers")
    _demand(0 <= carried.cause < carried.seq, f"entry {carried.seq} is caused by a later one")
    _demand(0 < len(carried.actor) <= 1024 and carried.actor.isprintable(), f"entry {carried.seq} names no actor")
    for text in (carried.id, carried.correlation):
        try:
            id_bytes(text)
        except InvalidInput:
            refuse(f"entry {carried.seq} has an id that is none")


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        refuse(otherwise)


def _parsed(decode: Any, text: bytes, what: str) -> Any:
    try:
        return decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as exc:
        refuse(f"{what} cannot be read ({exc})")
