"""Rights, boundaries and principals as people write them, and as the tables keep them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from enum import StrEnum

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.labels import check_label
from llmspell.model.scope import Scope
from llmspell.model.telling import told

OWNER = "owner"
"""Who grants when no principal does. No principal can have this name: a scope's name has a kind."""


class Right(StrEnum):
    """What may be done in a scope."""

    READ = "read"
    """Values, versions and histories of keys whose name is known."""
    WRITE = "write"
    """Give keys values. Whoever writes learns the versions of what it writes."""
    DELETE = "delete"
    """Remove keys, one or all."""
    LIST = "list"
    """The names of the keys."""


BITS = {Right.READ: 1, Right.WRITE: 2, Right.DELETE: 4, Right.LIST: 8}
ALL = 15
STRICT = "strict"
READ_ONLY = "read-only"
_BOUNDARIES = {STRICT: 0, READ_ONLY: BITS[Right.READ] | BITS[Right.LIST]}
_JOINERS = "\u200c\u200d"
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that fill a place and show nothing."""
_NO_PRINCIPALS = frozenset(("global", "shared"))


def mask_of(rights: object, *, empty: bool = False) -> int:
    """Rights as bits. Raises InvalidInput (``invalid-right``), also for none at all unless ``empty``."""
    if isinstance(rights, str) or not isinstance(rights, Iterable):
        raise InvalidInput(f"rights are a set like {{'read', 'list'}}, not {told(rights)}", code="invalid-right")
    mask = 0
    for right in rights:
        try:
            mask |= BITS[Right(right)]
        except ValueError:
            raise InvalidInput(
                f"a right is one of {', '.join(Right)}, not {told(right)}", code="invalid-right"
            ) from None
    if not mask and not empty:
        raise InvalidInput("no rights are named", code="invalid-right", hint=f"there are {', '.join(Right)}")
    return mask


def rights_of(mask: int) -> tuple[str, ...]:
    """Names of the rights in a mask, in the order read, write, delete, list."""
    return tuple(str(right) for right, bit in BITS.items() if mask & bit)


def boundary_of(boundary: object) -> int:
    """What a boundary lets everybody do, as bits: ``strict`` nothing, ``read-only`` read and list, or rights by name.

    Raises InvalidInput (``invalid-boundary``, ``invalid-right``).
    """
    if isinstance(boundary, str):
        if boundary not in _BOUNDARIES:
            raise InvalidInput(
                f"a boundary is {STRICT!r}, {READ_ONLY!r} or a set of rights, not {told(boundary)}",
                code="invalid-boundary",
            )
        return _BOUNDARIES[boundary]
    return mask_of(boundary, empty=True)


def scope_of(given: str | Scope) -> Scope:
    """The scope that is meant: itself, or what ``Scope.parse`` reads. Raises InvalidInput (``invalid-scope``)."""
    return given if isinstance(given, Scope) else Scope.parse(given)


def principal_of(given: str | Scope, *, known: bool = False) -> Scope:
    """The principal that is meant: a scope of any kind but global and shared, whose text has one spelling. ``known``:
    one that was let in, maybe before names with what nobody sees were refused; what it has can be seen and ended.

    Raises InvalidInput (``invalid-principal``): a text with control characters or more than 255 characters, one that
    looks like another principal's (not in Unicode's normal form C, with signs that nobody sees, with space around an
    id), or one that typing cannot name.
    """
    try:
        scope = scope_of(given)
    except InvalidInput as exc:
        raise InvalidInput(
            f"a principal is named like a scope: {exc.message}",
            code="invalid-principal",
            hint='like "agent:researcher"',
        ) from exc
    if scope.kind in _NO_PRINCIPALS:
        raise InvalidInput(f"{scope.name} is a scope that nobody acts as", code="invalid-principal")
    text = scope.text
    if Scope.parse(text) != scope:
        raise InvalidInput(
            f"{scope.name} cannot be a principal: the id of its workflow holds a colon", code="invalid-principal"
        )
    try:
        same = check_label(text, "a principal", chars_max=limits.NAME_CHARS_MAX) == text
    except InvalidInput as exc:
        raise InvalidInput(exc.message, code="invalid-principal") from exc
    if not same:
        raise InvalidInput(
            f"{text!r} is not in Unicode's normal form C, so it could be mistaken for another principal",
            code="invalid-principal",
        )
    if not known and (_unseen(text) or any(one != one.strip() for one in scope.ids)):
        raise InvalidInput(
            f"{text!r} holds what nobody sees, so it could be mistaken for another principal", code="invalid-principal",
            hint="take away spaces around the name, zero-width signs and marks of direction",
        )  # fmt: skip
    return scope


def _unseen(text: str) -> bool:
    """Whether a text has signs without a shape of their own. Joiners amid letters and signs that take them are none."""
    if text.isascii():
        return False
    return not _BLANK.isdisjoint(text) or any(
        unicodedata.category(char) == "Cf" and not (char in _JOINERS and before > "\x7f" and after > "\x7f")
        for before, char, after in zip(f" {text}", text, f"{text[1:]} ", strict=False)
    )


def shown(name: str) -> str:
    """A scope's name as a person types it; anything else as it is."""
    try:
        return Scope.from_name(name).text
    except InvalidInput:
        return name
