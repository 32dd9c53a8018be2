"""What a relation is, and what the journal says about relations. Ids are UUID text."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from llmspell.errors import InvalidInput
from llmspell.model.telling import told


class Related(StrEnum):
    """What one artifact is to the other; each points to what was there before, or stands above."""

    DERIVED_FROM = "derived_from"
    CHILD_OF = "child_of"
    DEPENDS_ON = "depends_on"
    VERSION_OF = "version_of"


_ALIASES = {"child": Related.CHILD_OF}
_REVERSED = {"parent": Related.CHILD_OF, "parent_of": Related.CHILD_OF}


class Sense(NamedTuple):
    """A kind as somebody named it. ``turned``: the other way round, as a parent is to its child."""

    kind: Related
    turned: bool


def sense_of(kind: str) -> Sense:
    """The kind that a name means: one of ``Related``, or ``parent`` and ``child``. Raises InvalidInput
    (``invalid-relation``).
    """
    if type(kind) is str or isinstance(kind, Related):
        if kind in _REVERSED:
            return Sense(_REVERSED[kind], turned=True)
        if kind in _ALIASES or kind in set(Related):
            return Sense(_ALIASES.get(kind) or Related(kind), turned=False)
    raise InvalidInput(
        f"a relation is one of {', '.join(Related)}, parent or child, not {told(kind)}", code="invalid-relation"
    )


def kinds_of(kind: str | None) -> tuple[str, ...]:
    """The kinds to follow: all of them for None."""
    return tuple(str(one) for one in Related) if kind is None else (str(sense_of(kind).kind),)


class ArtifactRelated(msgspec.Struct):
    """An artifact is something to another one: ``artifact`` of ``session`` is ``kind`` (``derived_from`` …)
    ``other``.
    """

    artifact: str
    session: str
    kind: str
    other: str


class ArtifactUnrelated(ArtifactRelated):
    """It is that no longer."""
