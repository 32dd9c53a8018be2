"""What the journal says about schemas: the payloads of its entries."""

from __future__ import annotations

from typing import Any

import msgspec


class SchemaRegistered(msgspec.Struct):
    """A version of a schema is known from now on; ``schema`` is all of it."""

    name: str
    version: str
    hash: str
    schema: dict[str, Any]


class SchemaBound(msgspec.Struct):
    """Values of these keys are held against this version from now on. ``scope`` is a scope's name, empty for all."""

    scope: str
    prefix: str
    name: str
    version: str


class SchemaUnbound(msgspec.Struct):
    """Values of these keys are held against nothing any more."""

    scope: str
    prefix: str
