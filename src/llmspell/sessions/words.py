"""Words: what full text is made of, the same for what is stored and for what is asked.

Texts are folded here rather than by the engine, so that its index and a scan of what is not indexed yet agree on every
text: case and accents do not count, letters and digits of any script make words, everything else separates them.
Scripts that write without spaces (Chinese, Japanese) are taken character by character, and a run of them in a query is
a phrase.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.values import decode_value

_BETWEEN = " \ue000 "
"""Between two parts of a text: a token that no text gives, so that no phrase reaches from one part into the next."""
_EDGE = "\0"
"""Around a character that is a word by itself; no folded text has one."""
_UNSPACED = (
    (0x3041, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFD),
)  # fmt: skip
_KNOWN_MAX = 20_000
_ASCII = {point: chr(point) if chr(point).isalnum() else " " for point in range(128)}
_json = msgspec.json.Encoder().encode


class _Folded(dict[int, str]):
    """What becomes of a code point, worked out when it is first met."""

    def __missing__(self, point: int) -> str:
        folded = _fold_point(point)
        if len(self) < _KNOWN_MAX:
            self[point] = folded
        return folded


_FOLDED = _Folded()


def _fold_point(point: int) -> str:
    char = chr(point)
    if char.isalnum():
        return f"{_EDGE}{char}{_EDGE}" if any(low <= point <= high for low, high in _UNSPACED) else char
    if unicodedata.category(char).startswith("M"):
        return "" if unicodedata.combining(char) else char
    return " "


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower().translate(_ASCII)
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return plain.translate(_FOLDED)


def words_of(parts: Iterable[str]) -> str:
    """The words of texts, folded, each between two blanks; parts are kept apart."""
    return _BETWEEN.join(_spaced(_folded(part).replace(_EDGE, " ")) for part in parts)


def _spaced(folded: str) -> str:
    return " ".join(word[: limits.WORD_CHARS_MAX] for word in folded.split())


def session_words(name: str, description: str, tags: str, metadata: str) -> str:
    """The words of a session: of its name, description, tags and metadata (the last two as JSON text)."""
    return words_of((name, description, *decode_value(tags), *_texts(decode_value(metadata))))


def _texts(value: Any) -> Iterator[str]:
    """The names, texts and numbers of a JSON value."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            yield from one
            waiting.extend(reversed(one.values()))
        elif isinstance(one, list):
            waiting.extend(reversed(one))
        elif one is not None and not isinstance(one, bool):
            yield _json(one).decode()


@dataclass(frozen=True, slots=True)
class Search:
    """Words that a text has to have, all of them; each is a phrase of one word, or of characters that follow each
    other.
    """

    phrases: tuple[str, ...]

    def expression(self) -> str:
        """The same as FTS5 writes it. Words are letters and digits only, so nothing in them means anything there."""
        return " AND ".join(f'"{phrase}"' for phrase in self.phrases)

    def fits(self, name: str, description: str, tags: str, metadata: str) -> bool:
        """Whether a session has these words."""
        raw = f"{name} {description} {tags} {metadata}"
        if raw.isascii() and not self._may_be_in(raw.lower()):
            return False
        words = f" {session_words(name, description, tags, metadata)} "
        return all(f" {phrase} " in words for phrase in self.phrases)

    def _may_be_in(self, lowered: str) -> bool:
        """Folding plain ASCII only takes away, so a word that is not there as it stands is not there at all."""
        return all(word in lowered for phrase in self.phrases for word in phrase.split())


def parse_search(text: str) -> Search:
    """What a text asks for: its words, whatever stands between them. Raises InvalidInput (``invalid-search``) when it
    has none, or is too long.
    """
    if type(text) is not str:
        raise InvalidInput(f"text to search for is a str, not {type(text).__name__}", code="invalid-search")
    if len(text) > limits.SEARCH_CHARS_MAX:
        raise InvalidInput(
            f"text to search for has at most {limits.SEARCH_CHARS_MAX:,} characters, this one {len(text):,}",
            code="invalid-search",
        )
    phrases = dict.fromkeys(_spaced(word.replace(_EDGE, " ")) for word in _folded(text).split())
    if not phrases:
        raise InvalidInput(f"there is no word in {text!r:.80} to search for", code="invalid-search")
    return Search(tuple(phrases))
