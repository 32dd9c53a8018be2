"""Words: what full text is made of, the same for what is stored and for what is asked, in every room.

Texts are folded here rather than by the engine, so that its index and a look at what is not indexed yet agree on every
text. Case and accents do not count; letters and digits of any script make words, together with the marks that are
letters of theirs (the vowels of Hindi); everything else separates them. Scripts that write without spaces, and Korean,
whose words carry their endings, are taken character by character, and a run of them is found as a phrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.telling import told
from llmspell.model.values import decode_value

GAP = "\u00b6"
"""Stands between two texts, so that no phrase reaches from one into the other; no word holds it."""
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19FF), (0x1A20, 0x1AAF),  # Thai to Tai Tham
    (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0x1100, 0x11FF), (0xAC00, 0xD7A3),  # Burmese, hangul
    (0x3005, 0x3007), (0x3031, 0x3035), (0x303B, 0x303B), (0x3041, 0x312F), (0x31A0, 0x31FF),  # kana, bopomofo
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFD),  # ideographs
)  # fmt: skip
_ACCENTS = frozenset({1, 7, *range(10, 37), *range(200, 241)})
"""Combining classes of what people leave out: accents of letters, points of Hebrew and Arabic, the nukta. Those that
are not among them (voiced kana, viramas, vowels and tones of Thai) make another word.
"""
_INVISIBLE = frozenset({0x034F, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)})
"""Marks that only choose how a character looks."""
_BREAKS = frozenset({0x200B, 0x200C})
"""The invisible characters that people write instead of a blank; all others of their kind stand within words."""
_BARE = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe"})
"""Letters whose accent Unicode does not take apart."""
_IOTA_BELOW = "\u0345"
"""An accent of Greek of which folding case would make a letter."""
_KNOWN_MAX = 20_000
_ASCII = {point: chr(point).lower() if chr(point).isalnum() else " " for point in range(128)}
_QUERY = re.compile(r'"([^"]*)"(\*?)|([^\s"]+)')
_json = msgspec.json.Encoder().encode


class _Folded(dict[int, str]):
    """What becomes of a code point of composed text, worked out when it is first met."""

    def __init__(self, fold: Callable[[str], str]) -> None:
        self._fold = fold

    def __missing__(self, point: int) -> str:
        folded = self._fold(chr(point))
        if len(self) < _KNOWN_MAX:
            self[point] = folded
        return folded


def _fold(char: str) -> str:
    return "".join(f" {one} " if _is_unspaced(ord(one)) else one for one in _folded(char, _kept))


def _folded(char: str, kept: Callable[[str], str]) -> str:
    bare = unicodedata.normalize("NFKD", char).replace(_IOTA_BELOW, "")
    apart = unicodedata.normalize("NFKD", bare.casefold())
    return unicodedata.normalize("NFC", "".join(map(kept, apart)).translate(_BARE))


def _without_accent(char: str) -> str:
    """A character, or nothing for an accent."""
    return "" if unicodedata.category(char) == "Mn" and not _kept(char) else char


_FOLDED = _Folded(_fold)
_PLAIN = _Folded(lambda char: _folded(char, _without_accent))


def without_accents(text: str) -> str:
    """Composed text without case and accents, one character after the other: a part of it is a part of what this gives.
    What separates words stays.
    """
    return text.lower() if text.isascii() else text.translate(_PLAIN)


def _kept(char: str) -> str:
    """A character of a word, a blank, or nothing."""
    point, category = ord(char), unicodedata.category(char)
    if char.isalnum() or category == "Mc" or 0x20000 <= point <= 0x3FFFD:
        return char
    if category == "Mn":
        return "" if unicodedata.combining(char) in _ACCENTS or point in _INVISIBLE else char
    if category == "Me" or (category == "Cf" and point not in _BREAKS):
        return ""
    return " "


def _is_unspaced(point: int) -> bool:
    return any(low <= point <= high for low, high in _UNSPACED)


def words_of(text: str) -> list[str]:
    """The words of a text in order, folded, at most 64 characters of each. Some 15 ns a character of plain ASCII, 40 to
    130 ns of others.
    """
    folded = text.translate(_ASCII) if text.isascii() else unicodedata.normalize("NFKC", text).translate(_FOLDED)
    words = folded.split()
    if len(folded) > limits.WORD_CHARS_MAX:
        return [word[: limits.WORD_CHARS_MAX] for word in words]
    return words


def words_in(texts: Iterable[str]) -> str:
    """The words of several texts, a blank between two of them, and a gap between two texts."""
    return f" {GAP} ".join(filter(None, (" ".join(words_of(text)) for text in texts)))


def words_of_fields(name: str, description: str, tags: str, metadata: str) -> str:
    """The words that something which has these fields is found by; the last two as JSON text."""
    return words_in((name, description, *decode_value(tags), *_texts_in(decode_value(metadata))))


def _texts_in(value: Any) -> Iterator[str]:
    """The names, texts and numbers of a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_in(inner)
    elif isinstance(value, str):
        yield value
    elif value is not None and not isinstance(value, bool):
        yield _json(value).decode()


class Term(NamedTuple):
    """Words that stand one after the other; ``prefix``: the last one may go on."""

    words: tuple[str, ...]
    prefix: bool

    def expression(self) -> str:
        """The same as FTS5 writes it. Words hold no character that means anything there."""
        return f'"{" ".join(self.words)}"{" *" if self.prefix else ""}'

    def is_in(self, spaced: str) -> bool:
        """Whether words, each between blanks, hold them."""
        return f" {' '.join(self.words)}{'' if self.prefix else ' '}" in spaced


class TextQuery(NamedTuple):
    """What a person typed: every term must be there."""

    terms: tuple[Term, ...]

    @classmethod
    def parse(cls, text: str) -> TextQuery:
        """Terms apart by spaces; ``"words in a row"`` are a phrase, and so is what holds no space (``report.md``); a
        ``*`` at a term's end takes longer words too. Nothing else has a meaning.

        Raises InvalidInput (``invalid-text-query``) when there is no word in it, or too much.
        """
        if type(text) is not str or len(text) > limits.SEARCH_CHARS_MAX:
            raise InvalidInput(
                f"a text to search for is a str of at most {limits.SEARCH_CHARS_MAX:,} characters, not {told(text)}",
                code="invalid-text-query",
            )
        terms = dict.fromkeys(
            Term(words, bool(star) or bare.endswith("*"))
            for quoted, star, bare in _QUERY.findall(text)
            if (words := tuple(words_of(quoted or bare)))
        )
        if not terms:
            raise InvalidInput(f"there is no word in {told(text)} to search for", code="invalid-text-query")
        return cls(tuple(terms))

    def expression(self) -> str:
        """The same for FTS5."""
        return " AND ".join(term.expression() for term in self.terms)

    def is_in(self, words: str) -> bool:
        """Whether words, as ``words_in`` gives them, hold every term."""
        spaced = f" {words} "
        return all(term.is_in(spaced) for term in self.terms)

    def fits(self, name: str, description: str, tags: str, metadata: str) -> bool:
        """Whether something with these fields, the last two as JSON text, has every term. Where all is plain ASCII,
        folding only takes away, so that a word which is not there as it stands is not there at all.
        """
        raw = f"{name} {description} {tags} {metadata}"
        if raw.isascii():
            lowered = raw.lower()
            if not all(word in lowered for term in self.terms for word in term.words):
                return False
        return self.is_in(words_of_fields(name, description, tags, metadata))
