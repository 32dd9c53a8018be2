"""What the journal says about artifacts: the payloads of its entries. Ids are UUID text, digests hex."""

from __future__ import annotations

from typing import Any

import msgspec


class ArtifactStored(msgspec.Struct):
    """A version of a named artifact was stored. ``digest`` names its content."""

    id: str
    session: str
    name: str
    version: int
    type: str
    mime_type: str
    description: str
    tags: list[str]
    metadata: dict[str, Any]
    derived_from: list[str]
    size: int
    digest: str


class ArtifactUpdated(msgspec.Struct):
    """Descriptive fields of a version changed; those given have a new value."""

    id: str
    changed: dict[str, Any]


class ArtifactDeleted(msgspec.Struct):
    """A version was deleted; its number is not given again."""

    id: str
    session: str
    name: str
    version: int


class ArtifactTagged(msgspec.Struct):
    """A label of a name now means this version."""

    session: str
    name: str
    version: int
    label: str
