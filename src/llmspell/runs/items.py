"""The items of a run's record.

A *path* says where something happened. The main line of a script counts its steps: ``1``, ``2`` … A callback that was
run while step ``12`` waited is ``12.1``, its own steps are ``12.1.1``, ``12.1.2`` …, and so on. So a path with an odd
number of parts is a step, one with an even number a callback's run.

    step      a step came to its end: what it gave, or its error
    unit      a step changed the store (in the transaction that recorded this); what its unit of work gave
    call      a callback was called while a step waited
    stopped   a callback was stopped before its end, at one of its steps or (``at`` 0) before the first
    sealed    any of these that holds what must not be on disk in clear: its JSON, sealed and in base64
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from blake3 import blake3

from llmspell.errors import Corrupt

ARGS_SHOWN_BYTES_MAX = 1024
"""Arguments up to this size stand in the record, to show a difference; longer ones by their digest alone."""


class StepDone(msgspec.Struct, tag_field="item", tag="step", omit_defaults=True):
    """``error`` is ``{"code", "message", …}``; without it ``result`` is what the script got. ``keep`` is what a resumed
    run needs beyond that. Of a step that changed the store, name and arguments stand in its ``unit`` items.
    """

    path: str
    name: str = ""
    digest: str = ""
    args: msgspec.Raw = msgspec.Raw(b"null")
    result: Any = None
    error: dict[str, Any] | None = None
    keep: Any = None


class UnitDone(msgspec.Struct, tag_field="item", tag="unit", omit_defaults=True):
    """The ``number``-th unit of work of a step; ``seqs`` are the entries it wrote, ``value`` what it gave."""

    path: str
    name: str
    digest: str
    number: int
    args: msgspec.Raw = msgspec.Raw(b"null")
    seqs: list[int] = []
    value: Any = None


class Called(msgspec.Struct, tag_field="item", tag="call", omit_defaults=True):
    """``own``: the step's own operation led to the call; else it came from outside. ``origin`` names what called."""

    path: str
    callback: int
    args: list[Any]
    own: bool = False
    origin: str = ""


class Stopped(msgspec.Struct, tag_field="item", tag="stopped", omit_defaults=True):
    """``path`` is the callback's run; its step ``at`` never came back to it."""

    path: str
    code: str
    message: str
    at: int = 0


class Sealed(msgspec.Struct, tag_field="item", tag="sealed"):
    """Another item: sealed under the run's session, with its path as the key."""

    path: str
    text: str


Item = StepDone | UnitDone | Called | Stopped
encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Item | Sealed).decode


def seal(item: Item, by: Callable[[str, bytes], str]) -> bytes:
    """JSON of an item whose content is sealed; ``by`` gives the sealed text of a path's bytes."""
    return encode(Sealed(item.path, by(item.path, encode(item))))


def decode(raw: bytes | msgspec.Raw, by: Callable[[str, str], bytes]) -> Item:
    """An item of a record; ``by`` opens sealed ones. Raises what it raises."""
    item: Item | Sealed = _decode(raw)
    if isinstance(item, Sealed):
        item = _decode(by(item.path, item.text))
    if isinstance(item, Sealed):
        raise Corrupt(f"item {item.path} of a run's record is sealed twice")
    return item


_canonical = msgspec.json.Encoder(order="sorted", enc_hook=lambda value: {"callback": value.id}).encode
_NOT_SHOWN = msgspec.Raw(b"null")


def digest_of(args: list[Any], *, whole: bool = False) -> tuple[str, msgspec.Raw]:
    """What commits to a step's arguments (BLAKE3 of canonical JSON, 32 hex digits), and how the record shows them."""
    text = _canonical(args)
    digest = blake3(text).hexdigest(16)
    return digest, msgspec.Raw(text) if whole or len(text) <= ARGS_SHOWN_BYTES_MAX else _NOT_SHOWN
