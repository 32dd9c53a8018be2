"""The MIME type of content by its name, the same on every machine."""

from __future__ import annotations

import mimetypes

_mime_types = mimetypes.MimeTypes()
"""Python's built-in table and the names that agents use most: the machine's own files have no say."""
for _type, _ending in (
    ("text/markdown", ".md"), ("application/x-ndjson", ".jsonl"), ("text/x-lua", ".lua"), ("application/toml", ".toml"),
    ("application/yaml", ".yaml"), ("application/yaml", ".yml"), ("text/csv", ".csv"), ("text/x-python", ".py"),
):  # fmt: skip
    _mime_types.add_type(_type, _ending)


def guess_mime(name: str, *, text: bool) -> str:
    """The type that a name's ending stands for; else that of plain text or of bytes, as ``text`` says."""
    guessed, encoding = _mime_types.guess_type(name)
    if guessed is not None and encoding is None:
        return guessed
    return "text/plain" if text else "application/octet-stream"
