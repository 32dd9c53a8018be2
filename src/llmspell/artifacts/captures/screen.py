"""Looking for secrets in content that is too long to be held: window by window, as text where it is text.

Each window is looked at with what stands before it and well beyond where it is cut, so that a secret is found though
it lies across a cut. What is no text (a byte that is no UTF-8, or a zero byte) cannot have a part replaced and stay
what it is: it is refused when a secret shows in it, read as it is or as UTF-16.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from llmspell.errors import InvalidInput
from llmspell.model.entry import REDACTED

WINDOW_CHARS = 1 << 20
BEYOND_CHARS = 256 << 10
"""Longer than anything that one expression finds."""
BEFORE_CHARS = 1024
_NO_TEXT = re.compile("[\x00\udc80-\udcff]").search
_JSON = re.compile(r"(?:application|text)/(?:[\w.+-]+\+)?json").fullmatch
Redact = Callable[[Any], tuple[Any, Sequence[Any]]]
"""A JSON value with its secrets replaced, and what was found: each has ``kind``, in a text also ``start``, ``end``."""


Span = tuple[int, int, str]
"""From, to, and what kind of secret."""


class Unfit(Exception):
    """An offer is skipped: the reason, and what more there is to say."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Screen:
    """Replaces secrets in content that comes in pieces, or with ``refuse`` raises Unfit at the first."""

    def __init__(self, redact: Redact, *, refuse: bool) -> None:
        self._redact = redact
        self._refuse = refuse
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._parts: list[str] = []
        self._waiting = self._done = 0
        self.found: Counter[str] = Counter()
        """How many secrets of each kind were replaced."""

    def feed(self, piece: bytes) -> bytes:
        """The next bytes that can be given out, often none."""
        text = self._decode(piece)
        self._parts.append(text)
        self._waiting += len(text)
        return self._screened(last=False) if self._waiting > WINDOW_CHARS + BEYOND_CHARS else b""

    def finish(self) -> bytes:
        """The rest."""
        self._parts.append(self._decode(b"", final=True))
        return self._screened(last=True)

    def value(self, value: Any) -> Any:
        """A JSON value without its secrets."""
        clean, found = self._redact(value)
        self._note(found)
        return clean

    def json(self, data: bytes) -> bytes | None:
        """JSON text without the secrets that the names of fields give away, too; None when there is none, or no JSON.

        The text itself is still to be looked at then: what a parser drops (a key said twice) is in it.
        """
        try:
            value = msgspec.json.decode(data)
            clean = self.value(value)
            return None if clean is value else msgspec.json.encode(clean)
        except (msgspec.DecodeError, RecursionError, ValueError, InvalidInput):
            return None

    def _screened(self, *, last: bool) -> bytes:
        text = "".join(self._parts)
        spans = self._spans(text, whole=last and not self._done)
        if spans is None:
            return self._replaced(text)
        limit = len(text) if last else _cut(text, spans)
        at, out = self._done, list[str]()
        for start, end, kind in spans:
            if end > at and start < limit:
                out += text[at : max(start, at)], REDACTED
                at = end
                self.found[kind] += 1
        if at < limit:
            out.append(text[at:limit])
        limit = max(limit, at)
        kept = text[max(0, limit - BEFORE_CHARS) :]
        self._done = min(limit, BEFORE_CHARS)
        self._parts, self._waiting = [kept], len(kept)
        return "".join(out).encode("utf-8", "surrogateescape")

    def _spans(self, text: str, *, whole: bool) -> list[Span] | None:
        """Where secrets stand, in order; None when a finder of somebody's own does not say."""
        binary = _NO_TEXT(text) is not None
        found = self._redact(text)[1]
        if binary and (found or ("\0" in text and self._redact(text.replace("\0", ""))[1])):
            raise Unfit("secret-in-binary", "what holds it is no text, in which it could be replaced")
        if found and self._refuse:
            raise Unfit("secret-found", str(found[0].kind))
        if not all(hasattr(one, "start") and hasattr(one, "end") for one in found):
            if not whole:
                raise Unfit("not-scannable", "the redactor does not say where secrets stand, and the content is long")
            return None
        return sorted((one.start, one.end, str(one.kind)) for one in found)

    def _replaced(self, text: str) -> bytes:
        clean, found = self._redact(text)
        self._note(found)
        return str(clean).encode("utf-8", "surrogateescape")

    def _note(self, found: Sequence[Any]) -> None:
        if found and self._refuse:
            raise Unfit("secret-found", str(found[0].kind))
        self.found.update(str(one.kind) for one in found)


def is_json(mime_type: str) -> bool:
    """Whether content of this type is JSON."""
    return _JSON(mime_type.partition(";")[0].strip().lower()) is not None


def _cut(text: str, spans: list[Span]) -> int:
    """Up to where a window is given out: not into a secret, and so far that something is."""
    limit = len(text) - BEYOND_CHARS
    for start, end, _ in spans:
        if start < limit < end:
            return start if start > BEFORE_CHARS else end
    return limit
