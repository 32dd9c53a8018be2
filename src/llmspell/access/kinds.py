"""What the journal says about access. Principals and scopes are names of scopes; ``granted_by`` may be ``owner``."""

from __future__ import annotations

import msgspec


class AccessGranted(msgspec.Struct):
    """A principal was given rights in a scope; for each of them this replaces what the same grantor gave before."""

    principal: str
    scope: str
    rights: list[str]
    granted_by: str
    children: bool
    expires_at: int | None = None


class AccessRevoked(msgspec.Struct):
    """Rights that one grantor had given ended. ``passed_on``: because the grantor no longer holds them itself."""

    principal: str
    scope: str
    rights: list[str]
    granted_by: str
    passed_on: bool = False


class AccessBoundarySet(msgspec.Struct):
    """What everybody may do in a scope from now on; no rights: nothing."""

    scope: str
    rights: list[str]


class AccessCutOff(msgspec.Struct):
    """A principal may do nothing any more, whatever it was granted, its own scope included."""

    principal: str


class AccessRestored(AccessCutOff):
    """A principal that was cut off may do again what it was granted."""


class AccessUsed(msgspec.Struct):
    """A principal did something in a scope that is not its own, ``count`` times since the last such entry."""

    principal: str
    scope: str
    rights: list[str]
    count: int


class AccessDenied(msgspec.Struct):
    """A principal was refused, ``count`` times since the last such entry. Scope ``*``: many different ones."""

    principal: str
    scope: str
    rights: list[str]
    count: int
    code: str
