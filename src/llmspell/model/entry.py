"""Entry: one immutable, ordered record of a change, and the hash that chains it to the one before.

    header   seq, id, at, clock, kind, kind version, subject digest, session, correlation, cause, actor
    payload  JSON text, with a random salt inside its digest
    hash     BLAKE3(previous hash, header, payload digest)

The digest of the payload stands in the hash, not the payload: once an entry erases a payload together with its salt,
the chain still verifies and nothing about the payload can be guessed. ``subject`` is BLAKE3(scope's salt, room/key) cut
to 16 bytes, for the same reason.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import msgspec
from blake3 import blake3

from llmspell.model.clock import to_datetime
from llmspell.model.ids import id_text
from llmspell.model.values import decode_value

GENESIS = bytes(32)
"""The previous hash of a store's first entry."""

REDACTED = "[REDACTED]"
"""What stands in the place of a secret."""
IMPORTED = "imported:"
"""Before the actor of an entry that was first written in another store: its ``clock`` says when, its ``at`` when it
came here.
"""
NO_ID = bytes(16)
numbers = struct.Struct(">QqqHQ").pack
"""The header's fields of fixed size: seq, at, clock, kind version, cause."""


class Draft(NamedTuple):
    """What a unit hands to the journal: everything of an entry that is not given by its place in the order.

    ``scope`` is the name of the owning scope, ``subject`` the thing within it (``state/KEY``, ``artifact/NAME``,
    ``session``), ``payload`` UTF-8 JSON.
    """

    id: bytes
    clock: int
    kind: str
    scope: str
    subject: str
    payload: bytes
    salt: bytes
    session: bytes | None
    correlation: bytes
    cause: int
    actor: str
    kind_version: int = 1


class Head(NamedTuple):
    """The newest entry of a timeline: the next one chains to it. ``seq`` 0 for an empty journal."""

    seq: int
    hash: bytes
    at: int


class Entry(msgspec.Struct, frozen=True):
    """One entry as read back, its hash checked. Times are nanoseconds since the Unix epoch.

    ``at`` never decreases along the journal; ``clock`` is what the wall clock said. ``payload`` is None when it was
    erased by a later entry.
    """

    seq: int
    id: bytes
    at: int
    clock: int
    kind: str
    kind_version: int
    subject: bytes
    session: bytes | None
    correlation: bytes
    cause: int
    actor: str
    payload: bytes | None
    hash: bytes

    @property
    def erased(self) -> bool:
        """Whether the payload was erased by a later entry."""
        return self.payload is None

    @property
    def happened_at(self) -> int:
        """When it happened: ``at``, except for what was imported, which happened in another store before."""
        return self.clock if self.actor.startswith(IMPORTED) else self.at

    @property
    def data(self) -> Any:
        """The payload as a JSON value; None when erased. A sealed value shows as ``[REDACTED]``: state's own reads open
        it.
        """
        if self.payload is None:
            return None
        data = decode_value(self.payload)
        if self.kind == "state.set" and data.get("state_class") == "sensitive":
            data["value"] = REDACTED
        return data

    def to_dict(self) -> dict[str, Any]:
        """The entry in JSON types, ids and digests as text, times as RFC 3339."""
        return {
            "seq": self.seq,
            "id": id_text(self.id),
            "time": to_datetime(self.at).isoformat(),
            "kind": self.kind,
            "session": self.session and id_text(self.session),
            "correlation_id": id_text(self.correlation),
            "cause": self.cause or None,
            "actor": self.actor,
            "data": self.data,
            "hash": self.hash.hex(),
            **({"erased": True} if self.payload is None else {}),
            **({"happened_at": to_datetime(self.clock).isoformat()} if self.actor.startswith(IMPORTED) else {}),
        }


def subject_digest(scope_salt: bytes, subject: str) -> bytes:
    """The 16 bytes by which an index finds a subject without its text standing in the header."""
    return blake3(scope_salt + subject.encode()).digest(16)


def payload_digest(salt: bytes, payload: bytes) -> bytes:
    """32 bytes that commit to a payload and can be kept when payload and salt are erased."""
    return blake3(salt + payload).digest()


def entry_hash(
    previous: bytes,
    seq: int,
    id_: bytes,
    at: int,
    clock: int,
    kind: str,
    kind_version: int,
    subject: bytes,
    session: bytes | None,
    correlation: bytes,
    cause: int,
    actor: str,
    digest: bytes,
) -> bytes:
    """The hash of an entry in its place. Fields of variable length are last and separated, so no two headers agree."""
    fixed = numbers(seq, at, clock, kind_version, cause)
    words = f"{kind}\0{actor}".encode()
    return blake3(b"".join((previous, fixed, id_, subject, session or NO_ID, correlation, digest, words))).digest()
