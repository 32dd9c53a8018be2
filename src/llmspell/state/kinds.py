"""What the journal says about state: the payloads of its entries."""

from __future__ import annotations

import msgspec


class StateSet(msgspec.Struct, omit_defaults=True):
    """A key got a value. ``previous`` is the seq of the entry before it for this key, 0 for the first."""

    scope: str
    key: str
    value: msgspec.Raw
    version: int
    previous: int
    state_class: str = "standard"
    expires_at: int | None = None
    redacted: list[dict[str, str]] | msgspec.UnsetType = msgspec.UNSET
    """What was replaced in an external value, or found in a standard one: ``{"path", "kind"}`` each."""
    artifacts: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Ids of the artifacts that this change has to do with."""
    sealed_for: str | msgspec.UnsetType = msgspec.UNSET
    """The scope that a sealed value was sealed for, where that is another: a fork was set back to what it inherited."""


class StateDefaultSet(msgspec.Struct):
    """Keys that are new in a scope are kept in this class from now on, unless whoever sets one names another."""

    scope: str
    state_class: str


class StateDeleted(msgspec.Struct):
    """A key was deleted; it takes a version of its own, so that versions of a key never repeat."""

    scope: str
    key: str
    version: int
    previous: int


class StateExpired(StateDeleted):
    """A key's time to live had run out and the sweeper removed it."""
