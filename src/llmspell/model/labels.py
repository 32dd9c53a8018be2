"""Rules of names, tags, descriptions and metadata that people give to things."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from llmspell.errors import InvalidInput, LimitExceeded
from llmspell.model import limits
from llmspell.model.scope import Scope
from llmspell.model.telling import told
from llmspell.model.values import decode_value, encode_value


def check_label(text: str, what: str, *, chars_max: int = limits.NAME_CHARS_MAX, empty: bool = False) -> str:
    """A one-line text in NFC. Raises InvalidInput (``invalid-name``) when empty, too long, or with control
    characters.
    """
    if type(text) is not str:
        raise InvalidInput(f"{what} is a str, not {type(text).__name__}", code="invalid-name")
    if not text.isascii():
        text = _normal(text, what)
    if not text and not empty:
        raise InvalidInput(f"{what} is not empty", code="invalid-name")
    if len(text) > chars_max:
        raise InvalidInput(f"{what} has at most {chars_max} characters, this one {len(text)}", code="invalid-name")
    if not text.isprintable() and any(unicodedata.category(char) == "Cc" for char in text):
        raise InvalidInput(f"{what} holds no control characters: {text[:80]!r}", code="invalid-name")
    return text


def check_creator(text: str) -> str:
    """Who made something: a name of any kind, or a principal, whose kind is written as ``acting_as`` has it."""
    name = check_label(text, "created_by")
    try:
        meant = Scope.parse(name)
    except InvalidInput:
        return name  # Like "user:", it is nobody's scope.
    return name if meant.kind in {"custom", "global"} else f"{meant.kind}{name[len(meant.kind) :]}"


def check_text(text: str, what: str, *, chars_max: int = limits.DESCRIPTION_CHARS_MAX) -> str:
    """A longer text; newlines are welcome."""
    if type(text) is not str:
        raise InvalidInput(f"{what} is a str, not {type(text).__name__}", code="invalid-text")
    if len(text) > chars_max:
        raise InvalidInput(f"{what} has at most {chars_max:,} characters, this one {len(text):,}", code="invalid-text")
    return text if text.isascii() else _normal(text, what, form=None)


def check_tags(tags: Iterable[str]) -> list[str]:
    """Tags without repetition, in the order given. Raises InvalidInput (``invalid-tags``)."""
    if isinstance(tags, str | Mapping) or not isinstance(tags, Iterable):
        raise InvalidInput(f"tags are a list of str, not {told(tags)}", code="invalid-tags")
    checked = list(dict.fromkeys(check_label(tag, "a tag", chars_max=limits.TAG_CHARS_MAX) for tag in tags))
    if len(checked) > limits.TAGS_MAX:
        raise InvalidInput(f"{len(checked)} tags; at most {limits.TAGS_MAX}", code="invalid-tags")
    return checked


def check_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object of at most 1 MiB, as a dict of its own. Raises InvalidInput, LimitExceeded."""
    if not isinstance(metadata, Mapping):
        raise InvalidInput(f"metadata is a dict, not {type(metadata).__name__}", code="invalid-metadata")
    try:
        encoded = encode_value(dict(metadata), bytes_max=limits.METADATA_BYTES_MAX)
    except LimitExceeded as exc:
        raise LimitExceeded(f"metadata: {exc.message}", code="metadata-too-large") from None
    own: dict[str, Any] = decode_value(encoded)
    return own


def _normal(text: str, what: str, form: str | None = "NFC") -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{what} holds a lone surrogate", code="invalid-text") from None
    return unicodedata.normalize(form, text) if form is not None else text  # type: ignore[arg-type]
