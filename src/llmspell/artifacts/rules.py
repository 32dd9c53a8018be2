"""Rules of artifacts' names, types and other fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.labels import check_label, check_metadata, check_tags, check_text

Validator = Callable[[dict[str, Any], bytes], str | None]
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}(?: ?; ?[ -~]{1,200})?").fullmatch


def check_artifact_name(name: str) -> str:
    """A name in NFC, at most 255 characters; slashes group, but nothing leads outside.

    Refused are ``..`` as a part, backslashes, ``//`` and a leading ``/``.

    A name is not a UUID, which would be taken for an id. Raises InvalidInput (``invalid-name``).
    """
    name = check_label(name, "an artifact's name")
    if ".." in name.split("/") or "\\" in name or name.startswith("/") or "//" in name:
        raise InvalidInput(
            f"an artifact's name does not lead anywhere: {name!r} has '..', '\\\\', '//' or a leading '/'",
            code="invalid-name",
        )
    if _ID(name):
        raise InvalidInput(f"an artifact's name is not a UUID: {name!r}", code="invalid-name")
    return name


def is_id(name_or_id: str) -> bool:
    """Whether this is an artifact's id rather than its name."""
    return type(name_or_id) is str and _ID(name_or_id) is not None


def check_type(kind: str) -> str:
    """A type: one of the known ones or a text of the caller's own."""
    return check_label(kind, "an artifact's type", chars_max=limits.TAG_CHARS_MAX)


def check_mime(mime_type: str) -> str:
    """A MIME type like ``text/markdown``. Raises InvalidInput (``invalid-mime``)."""
    if type(mime_type) is not str or not _MIME(mime_type):
        raise InvalidInput(f"a MIME type is like text/markdown, not {mime_type!r}", code="invalid-mime")
    return mime_type


def check_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Descriptive fields, checked by name."""
    checks: dict[str, Callable[[Any], Any]] = {
        "name": check_artifact_name,
        "description": lambda value: check_text(value, "a description"),
        "tags": check_tags,
        "metadata": check_metadata,
    }
    return {name: checks[name](value) for name, value in fields.items()}
