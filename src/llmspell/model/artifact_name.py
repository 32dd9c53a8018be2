"""The rules of artifacts' names and MIME types, which the room and its hooks share."""

from __future__ import annotations

import re

from llmspell.errors import InvalidInput
from llmspell.model.labels import check_label
from llmspell.model.telling import told

is_artifact_id = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}(?: ?; ?[ -~]{1,200})?").fullmatch


def check_mime(mime_type: str) -> str:
    """A MIME type like ``text/markdown``. Raises InvalidInput (``invalid-mime``)."""
    if type(mime_type) is not str or not _MIME(mime_type):
        raise InvalidInput(f"a MIME type is like text/markdown, not {told(mime_type)}", code="invalid-mime")
    return mime_type


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
    if is_artifact_id(name):
        raise InvalidInput(f"an artifact's name is not a UUID: {name!r}", code="invalid-name")
    return name
