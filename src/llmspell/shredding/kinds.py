"""What the journal says about what was destroyed. A restore applies these entries to what it brings back."""

from __future__ import annotations

import msgspec


class SessionShredded(msgspec.Struct):
    """A session was destroyed with all that belongs to it. ``keys`` are the ids of the data keys that went with it."""

    id: str
    scope: str
    keys: list[str]


class PayloadErased(msgspec.Struct, omit_defaults=True):
    """Payloads were erased, with their salts: those of the entries in ``ranges`` (first and last seq of each).
    ``bindings``: they said what keys of the session were bound to.
    """

    session: str
    ranges: list[tuple[int, int]]
    bindings: bool = False
