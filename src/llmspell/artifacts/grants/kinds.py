"""What grants are, and what the journal says about them. Ids are UUID text; ``granted_by`` None is the owner."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from llmspell.errors import InvalidInput
from llmspell.model.telling import told


class Level(IntEnum):
    """How much is granted; each holds what is below it."""

    READ = 1
    """Its fields, its content, its versions, its lineage."""
    WRITE = 2
    """New descriptive fields, labels and relations."""
    ADMIN = 3
    """Deleting it, and granting it on."""

    @property
    def right(self) -> str:
        """The level as people name it."""
        return self.name.lower()


RIGHTS = tuple(level.right for level in Level)


def level_of(right: str) -> Level:
    """The level of a right. Raises InvalidInput (``invalid-right``)."""
    if type(right) is not str or right not in RIGHTS:
        raise InvalidInput(f"a right is one of {', '.join(RIGHTS)}, not {told(right)}", code="invalid-right")
    return Level(RIGHTS.index(right) + 1)


class ArtifactGranted(msgspec.Struct):
    """A session may do something with another's artifact. ``version`` 0 is every version of the name."""

    session: str
    name: str
    version: int
    grantee: str
    right: str
    granted_by: str | None
    expires_at: int | None = None


class ArtifactRevoked(msgspec.Struct):
    """It may no longer. ``passed_on``: because whoever granted it may not grant it any more."""

    session: str
    name: str
    version: int
    grantee: str
    granted_by: str | None
    passed_on: bool = False
