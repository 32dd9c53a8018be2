"""Labels that are semantic versions, and what asks for one of several: ``^1.2``, ``~1.2.3``, ``>=1.0 <2``, ``1.x``.

A label counts as a version when it is one to three numbers with dots, and a pre-release or build if it has one, with or
without a ``v`` before: ``v1``, ``1.2``, ``2.0.0-rc.1``. Of those that fit the highest is meant. A pre-release only fits
when what is asked for names one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from llmspell.errors import InvalidInput
from llmspell.model.labels import check_label
from llmspell.schemas.version import Version

_LABEL = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?((?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?)")
_PART = re.compile(
    r"(\^|~|>=|<=|>|<|=)?\s*v?(\d{1,9}|[x*])(?:\.(\d{1,9}|[x*]))?(?:\.(\d{1,9}|[x*]))?(-[0-9A-Za-z.-]+)?"
)
_APART = re.compile(r"(?<=[^\s,^~<>=])[\s,]+")
_RANGE = re.compile(r"[\^~<>=*,]|\.x\b")
Numbers = tuple[int, int, int]


def check_version_label(label: str) -> str:
    """A label in NFC. Raises InvalidInput (``invalid-name``, ``invalid-label`` for what means a version in another way:
    a number, ``latest``, a range; and for one with space around it).
    """
    label = check_label(label, "a label")
    if label == "latest" or label.isdigit():
        raise InvalidInput(
            f"{label!r} already means a version: a label is neither a number nor 'latest'", code="invalid-label"
        )
    if label != label.strip():
        raise InvalidInput(f"a label has no space around it: {label[:80]!r}", code="invalid-label")
    if is_range(label) and all(_PART.fullmatch(part) for part in _APART.split(label)):
        raise InvalidInput(
            f"{label[:80]!r} asks for one of several versions, so it cannot be the label of one", code="invalid-label"
        )
    return label


def is_range(version: str) -> bool:
    """Whether a version that somebody asks for means one of several, and is no plain label."""
    return _RANGE.search(version) is not None


def version_of(label: str) -> Version | None:
    """The version that a label is, or None."""
    found = _LABEL.fullmatch(label)
    if found is None:
        return None
    major, minor, patch, rest = found.groups()
    try:
        return Version.parse(f"{int(major)}.{int(minor or 0)}.{int(patch or 0)}{rest}")
    except InvalidInput:
        return None


def newest_fitting(labels: Iterable[tuple[int, str]], wanted: str) -> int | None:
    """The number of the version with the highest label that fits ``wanted``; None when none does.

    Raises InvalidInput (``invalid-version``) when it is no range.
    """
    bounds = [_bounds(part) for part in _APART.split(wanted.strip())]
    pre_releases = "-" in wanted
    fitting = []
    for number, label in labels:
        version = version_of(label)
        if version is None or not (version.released or pre_releases):
            continue
        if all(low <= version and (high is None or version < high) for low, high in bounds):
            fitting.append((version, number))
    return max(fitting)[1] if fitting else None


def _bounds(part: str) -> tuple[Version, Version | None]:
    """From which version on, and up to below which one."""
    found = _PART.fullmatch(part)
    if found is None:
        raise InvalidInput(
            f"{part[:40]!r} asks for no version", code="invalid-version",
            hint="like '^1.2', '~1.2.3', '>=1.0 <2', '1.x', a number, 'latest' or a label",
        )  # fmt: skip
    sign, *numbers, mark = found.groups()
    known = []
    for number in numbers:
        if number is None or number in "x*":
            break
        known.append(int(number))
    low = _version(known, mark or "")
    first = Version.parse("0.0.0-0")
    if sign in {">=", ">"}:
        return (low if sign == ">=" else _after(known, low), None)
    if sign in {"<", "<="}:
        return first, low if sign == "<" else _after(known, low)
    if not known:
        return first, None
    if sign == "^":
        lead = next((at for at, number in enumerate(known) if number), len(known) - 1)
        return low, _next(known[: lead + 1])
    if sign == "~":
        return low, _next(known[:2])
    return low, _after(known, low)


def _version(known: list[int], mark: str = "") -> Version:
    major, minor, patch = (*known, 0, 0, 0)[:3]
    return Version.parse(f"{major}.{minor}.{patch}{mark}")


def _next(known: list[int]) -> Version:
    """The lowest version above all that begin with these numbers; its own pre-releases are above them, too."""
    return _version([*known[:-1], known[-1] + 1], "-0")


def _after(known: list[int], low: Version) -> Version:
    """What comes after everything that a version stands for."""
    if len(known) == 3:
        return _version([*known[:2], known[2] + 1], "-0") if low.released else _version(known)
    return _next(known) if known else _version([10**9])
