"""What reads of the artifacts room return about an artifact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from llmspell.artifacts.compression import Codec
from llmspell.artifacts.kinds import ArtifactStored
from llmspell.model.clock import to_datetime
from llmspell.model.ids import id_text
from llmspell.model.values import decode_value
from llmspell.ports.database import Row

TYPES = ("user_input", "agent_output", "tool_result", "system_generated", "conversation", "code", "data", "model")
"""The types with a meaning of their own; any other text is a custom type."""


@dataclass(frozen=True, slots=True)
class ArtifactInfo:
    """One stored version of a named artifact.

    ``id`` names exactly this version; ``size`` is the content's bytes, ``stored_size`` what they take after compression
    (chunks shared with other artifacts counted in full); ``digest`` is BLAKE3 in hex; times are aware UTC.
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
    stored_size: int
    compression: str
    digest: str
    created_at: datetime
    updated_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types, times as RFC 3339."""
        found = {name: getattr(self, name) for name in self.__slots__}
        found["created_at"] = self.created_at.isoformat()
        found["updated_at"] = self.updated_at.isoformat()
        return found


def info_of(row: Row) -> ArtifactInfo:
    """The info of a row selected as ``info`` or ``brief``."""
    return ArtifactInfo(
        id=id_text(row[0]),
        session=id_text(row[1]),
        name=row[2],
        version=row[3],
        type=row[4],
        mime_type=row[5],
        description=row[6],
        tags=decode_value(row[7]),
        metadata=decode_value(row[8]),
        derived_from=decode_value(row[9]),
        size=row[10],
        stored_size=row[14] or 0,
        compression=_codec(row[15]),
        digest=row[11].hex(),
        created_at=to_datetime(row[12]),
        updated_at=to_datetime(row[13]),
    )


def info_of_new(new: ArtifactStored, at: int, stored_size: int, codec: int) -> ArtifactInfo:
    """The info of a version that was just stored."""
    time = to_datetime(at)
    return ArtifactInfo(
        new.id, new.session, new.name, new.version, new.type, new.mime_type, new.description, new.tags, new.metadata,
        new.derived_from, new.size, stored_size, _codec(codec), new.digest, time, time,
    )  # fmt: skip


def _codec(number: int | None) -> str:
    try:
        name = Codec(number).name.lower() if number is not None else "unknown"
    except ValueError:
        name = "unknown"
    return "none" if name == "raw" else name
