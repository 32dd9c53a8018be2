"""Semantic versions (semver.org 2.0.0), exactly: three numbers, a pre-release, build metadata; and what is required
of one.

Nothing is guessed: ``v1.0.0``, ``1.0`` and ``01.0.0`` are no versions. What must stay true: the order is total, so that
"the latest" is one version.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model.telling import told

VERSION_CHARS_MAX = 100

_NUMBER = r"(?:0|[1-9][0-9]*)"
_MARK = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_MARK}(?:\.{_MARK})*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
)
_Mark = tuple[int, int, str]


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version; compares as semver.org demands. Build metadata, which has no precedence there, only breaks ties."""

    major: int
    minor: int
    patch: int
    released: bool
    marks: tuple[_Mark, ...]
    build: str

    @classmethod
    def parse(cls, text: str | Version) -> Version:
        """The version that a text states. Raises InvalidInput (``invalid-version``)."""
        if isinstance(text, Version):
            return text
        found = _VERSION.fullmatch(text) if type(text) is str and len(text) <= VERSION_CHARS_MAX else None
        if found is None:
            raise InvalidInput(
                f"{told(text)} is no semantic version",
                code="invalid-version",
                hint="a version is three numbers with dots, like '2.0.0', '2.1.0-beta.1' or '2.0.0+build.5'",
            )
        major, minor, patch, marks, build = found.groups()
        parts = () if marks is None else tuple(map(_mark, marks.split(".")))
        return cls(int(major), int(minor), int(patch), marks is None, parts, build or "")

    @property
    def line(self) -> tuple[int, ...]:
        """Versions of one line promise to fit each other: the same major, or below 1.0.0 the same minor."""
        return (self.major,) if self.major else (0, self.minor)

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        if not self.released:
            text += "-" + ".".join(word or str(number) for _, number, word in self.marks)
        return f"{text}+{self.build}" if self.build else text


def _mark(text: str) -> _Mark:
    """Numbers are below words, and compare as numbers."""
    return (0, int(text), "") if text.isdigit() else (1, 0, text)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {">=": ge, "<=": le, "==": eq, ">": gt, "<": lt}


@dataclass(frozen=True, slots=True)
class Requirement:
    """Which versions will do: ``*`` any, ``1.2.0`` this one, ``>=1.2.0,<3.0.0`` all of these comparisons, ``^1.2.0``
    from this one on within its line.
    """

    text: str
    _tests: tuple[Callable[[Version], bool], ...]

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """The requirement that a text states. Raises InvalidInput (``invalid-version``)."""
        if type(text) is not str or len(text) > 10 * VERSION_CHARS_MAX:
            raise InvalidInput(f"a requirement is a short str, not {str(text)[:40]!r}", code="invalid-version")
        if text.strip() == "*":
            return cls("*", ())
        return cls(text, tuple(_test(part.strip()) for part in text.split(",")))

    def admits(self, version: Version) -> bool:
        """Whether a version will do. Pre-releases are versions like all others."""
        return all(test(version) for test in self._tests)


def _test(part: str) -> Callable[[Version], bool]:
    if part.startswith("^"):
        least = Version.parse(part[1:].strip())
        return lambda version: version >= least and version.line == least.line
    for sign, compare in _COMPARISONS.items():
        if part.startswith(sign):
            bound = Version.parse(part[len(sign) :].strip())
            return lambda version: compare(version, bound)
    exact = Version.parse(part)
    return lambda version: version == exact
