"""Words of texts, as full-text search compares them: without case and accents, split where no letter or digit is.

What the search index holds and what a query is compared with are made by the same functions here, so that a text which
is not indexed yet is judged like one that is. Ideographs, kana and hangul are words one by one: there is nothing
between them to split at, and a run of them is found as a phrase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from llmspell.errors import InvalidInput
from llmspell.model.telling import told

WORD_CHARS_MAX = 64
"""Of a longer word only so much counts."""
QUERY_CHARS_MAX = 1000
QUERY_TERMS_MAX = 32
GAP = "\u00b6"
"""Stands between two texts, so that no phrase reaches from one into the other; no word holds it."""
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]|[^\W_\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]+"
)
_QUERY = re.compile(r'"([^"]*)"(\*?)|(\S+)')


def words_of(text: str) -> list[str]:
    """The words of a text in order: case folded, without accents, at most 64 characters each."""
    if text.isascii():
        folded = text.lower()
    else:
        apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        bare = "".join(char for char in apart if unicodedata.category(char) != "Mn")
        folded = unicodedata.normalize("NFC", bare)
    return [word[:WORD_CHARS_MAX] for word in _WORD.findall(folded)]


def texts_in(value: Any) -> Iterator[str]:
    """Every text and number of a JSON value, keys too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)
    elif isinstance(value, str):
        yield value
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def words_in(texts: Iterable[str]) -> list[str]:
    """Words of several texts, with a gap after each."""
    found: list[str] = []
    for text in texts:
        found += words_of(text)
        found.append(GAP)
    return found


class Term(NamedTuple):
    """Words that stand one after the other; ``prefix``: the last one may go on."""

    words: tuple[str, ...]
    prefix: bool

    def is_in(self, words: list[str]) -> bool:
        """Whether they do."""
        first, count = self.words[0], len(self.words)
        if count == 1:
            return any(word.startswith(first) for word in words) if self.prefix else first in words
        for at in range(len(words) - count + 1):
            found = tuple(words[at : at + count])
            if found == self.words or (
                self.prefix and found[:-1] == self.words[:-1] and found[-1].startswith(self.words[-1])
            ):
                return True
        return False


class TextQuery(NamedTuple):
    """What a person typed: every term must be there."""

    terms: tuple[Term, ...]

    @classmethod
    def parse(cls, text: str) -> TextQuery:
        """Terms apart by spaces; ``"words in a row"`` are a phrase, and so is what holds no space (``report.md``); a
        ``*`` at a term's end takes longer words too. Nothing else has a meaning.

        Raises InvalidInput (``invalid-text-query``) when there is no word in it, or too much.
        """
        if type(text) is not str or len(text) > QUERY_CHARS_MAX:
            raise InvalidInput(
                f"a text to search for is a str of at most {QUERY_CHARS_MAX:,} characters, not {told(text)}",
                code="invalid-text-query",
            )
        terms = []
        for quoted, star, bare in _QUERY.findall(text):
            words = tuple(words_of(quoted or bare))
            if words:
                terms.append(Term(words, bool(star) or bare.endswith("*")))
        if not terms or len(terms) > QUERY_TERMS_MAX:
            raise InvalidInput(
                f"{told(text)} holds {len(terms) or 'no'} words to search for; 1 to {QUERY_TERMS_MAX} are possible",
                code="invalid-text-query",
            )
        return cls(tuple(terms))

    def match(self) -> str:
        """The same for FTS5. Words hold no character that means anything there."""
        return " AND ".join(f'"{" ".join(term.words)}"{" *" if term.prefix else ""}' for term in self.terms)

    def is_in(self, words: list[str]) -> bool:
        """Whether words (of ``words_in``) hold every term."""
        return all(term.is_in(words) for term in self.terms)
