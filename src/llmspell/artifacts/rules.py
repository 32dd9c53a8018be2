"""Rules of artifacts' names, types and other fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.artifact_name import check_artifact_name, check_mime, is_artifact_id
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.labels import check_label, check_metadata, check_tags, check_text
from llmspell.model.telling import told

__all__ = [
    "Validator",
    "check_artifact_name",
    "check_fields",
    "check_mime",
    "check_sources",
    "check_type",
    "check_version_number",
    "is_id",
]

Validator = Callable[[dict[str, Any], bytes], str | None]


def is_id(name_or_id: str) -> bool:
    """Whether this is an artifact's id rather than its name."""
    return type(name_or_id) is str and is_artifact_id(name_or_id) is not None


def check_type(kind: str) -> str:
    """A type: one of the known ones or a text of the caller's own, but no id: that is a session in the wrong place."""
    kind = check_label(kind, "an artifact's type", chars_max=limits.TAG_CHARS_MAX)
    if is_id(kind):
        raise InvalidInput(
            f"an artifact's type is a word, not an id like {kind!r}", code="invalid-name",
            hint="a script's Artifact.store(session, type, name, content, metadata) takes all five",
        )  # fmt: skip
    return kind


def check_sources(derived_from: Iterable[str]) -> list[str]:
    """Ids of artifacts that content was made from. Raises InvalidInput (``invalid-id``)."""
    if isinstance(derived_from, str) or not isinstance(derived_from, Iterable):
        raise InvalidInput(f"derived_from are ids of artifacts in a list, not {told(derived_from)}", code="invalid-id")
    return [id_text(id_bytes(one, "derived_from")) for one in derived_from]


def check_version_number(version: object) -> int:
    """A version by its number. Raises InvalidInput (``invalid-version``)."""
    if type(version) is not int or not 1 <= version < 1 << 63:
        raise InvalidInput(
            f"a version is a number from 1, 'latest' or a label, not {told(version)}", code="invalid-version"
        )
    return version


def check_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Descriptive fields, checked by name."""
    checks: dict[str, Callable[[Any], Any]] = {
        "name": check_artifact_name,
        "description": lambda value: check_text(value, "a description"),
        "mime_type": check_mime,
        "tags": check_tags,
        "metadata": check_metadata,
    }
    return {name: checks[name](value) for name, value in fields.items()}
