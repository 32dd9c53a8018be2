"""What the journal says about artifacts: the payloads of its entries. Ids are UUID text, digests hex."""

from __future__ import annotations

from typing import Any

import msgspec


class ArtifactStored(msgspec.Struct, omit_defaults=True):
    """A version of a named artifact was stored. ``digest`` names its content.

    ``metered``: there were quotas, so that this counts towards them.
    """

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
    metered: bool = False


class ArtifactAdopted(ArtifactStored, omit_defaults=True, kw_only=True):
    """A fork made a version that it inherited its own, under the same name and number, to change its fields.
    ``source`` is the inherited one.
    """

    source: str
    created_at: int


class ArtifactUpdated(msgspec.Struct):
    """Descriptive fields of a version changed; those given have a new value."""

    id: str
    changed: dict[str, Any]


class ArtifactDeleted(msgspec.Struct, omit_defaults=True):
    """A version was deleted; its number is not given again. It may be undeleted until it is erased.

    ``inherited``: it is another session's, and is there no more for the fork ``session``.
    """

    id: str
    session: str
    name: str
    version: int
    metered: bool = False
    inherited: bool = False


class ArtifactUndeleted(msgspec.Struct, omit_defaults=True):
    """A deleted version is there again, with the labels that meant it and mean no other version since. ``inherited``
    as in the deletion.
    """

    id: str
    session: str
    name: str
    version: int
    metered: bool = False
    inherited: bool = False


class ArtifactErased(msgspec.Struct):
    """The content of a deleted version may go: nothing of it is given out any more, whatever moment is asked for.
    ``digest`` names the content; it stays as long as another version needs it.
    """

    id: str
    session: str
    name: str
    version: int
    digest: str


class ArtifactQuotaSet(msgspec.Struct):
    """How much a session may hold, or with ``session`` None the whole store. None: no bound."""

    session: str | None
    artifact_bytes_max: int | None
    total_bytes_max: int | None
    versions_max: int | None


class ArtifactTagged(msgspec.Struct):
    """A label of a name now means this version."""

    session: str
    name: str
    version: int
    label: str


class ArtifactRenamed(msgspec.Struct):
    """Every version of a name that is there has another name from here on; labels and grants go with it."""

    session: str
    name: str
    to: str
