"""JSON values: the only data the store keeps. Checked by exact type before encoding, because encoders change what
they do not know (NaN becomes null, tuples become lists, int keys become strings) without a word.

Accepted: dict with str keys, list, str, int of any size, finite float, bool, None; depth up to 128. A ``Written``, that
the store itself gives for a version, is the int that it is. Everything else is InvalidInput and the message names the
path, like ``$.user.tags[3]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, Self

import msgspec

from llmspell.errors import InvalidInput, LimitExceeded
from llmspell.model import limits

_PLAIN = frozenset((str, int, bool, type(None)))
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Written(int):
    """The version that writing an external value gave its key. ``redactions`` say what was replaced in it (``path`` and
    ``kind`` of each, none when nothing was). Kept as a value, or in one, it is the int.
    """

    redactions: tuple[dict[str, str], ...]

    def __new__(cls, version: int, redactions: Sequence[dict[str, str]] = ()) -> Self:
        """A version with what was replaced."""
        made = super().__new__(cls, version)
        made.redactions = tuple(redactions)
        return made


def encode_value(value: Any, *, bytes_max: int = limits.VALUE_BYTES_MAX) -> bytes:
    """UTF-8 JSON of an exact JSON value.

    Raises InvalidInput (``invalid-value``, ``value-cycle``, ``value-depth``) with the path of the first offending
    part, LimitExceeded (``value-too-large``) above ``bytes_max``. About 0.1 µs per node.
    """
    if type(value) not in _PLAIN and _exact(value, limits.VALUE_DEPTH_MAX, bytes_max) < 0:
        value = _made_plain(value, bytes_max)
    try:
        encoded = _encode(value)
    except (UnicodeEncodeError, RecursionError):
        _explain(value, bytes_max)
    except ValueError as exc:
        # Python itself refuses to write integers of more than some thousand digits, which take quadratic time.
        message = f"the value holds an integer that is too long to write: {exc}"
        raise InvalidInput(message, code="invalid-value") from exc
    if len(encoded) > bytes_max:
        raise _too_large(
            f"{len(encoded):,} bytes as JSON, more than the {bytes_max:,} allowed", len(encoded), bytes_max
        )
    return encoded


def plain_value(value: Any, *, bytes_max: int = limits.VALUE_BYTES_MAX) -> Any:
    """The value itself; where a ``Written`` is in it, a copy with the int. For whoever keeps a value besides its JSON.
    Raises what ``encode_value`` does, but for texts, and integers that are too long.
    """
    if type(value) in _PLAIN or _exact(value, limits.VALUE_DEPTH_MAX, bytes_max) >= 0:
        return value
    return _made_plain(value, bytes_max)


def decode_value(encoded: bytes | str | msgspec.Raw) -> Any:
    """The value of JSON text written by ``encode_value``."""
    return _decode(encoded)


def _exact(value: Any, depth: int, room: int) -> int:
    """What is left of ``room`` bytes, below 0 when this is no JSON value or cannot fit.

    Each item takes a byte at least, so that a value whose parts occur in it many times over, which a few hundred bytes
    of memory suffice for, is refused before it is written out.
    """
    kind = type(value)
    if kind in _PLAIN:
        return room
    if kind is float:
        return room if value - value == 0.0 else -1
    if depth == 0:
        return -1
    if kind is dict:
        room -= len(value) + 1
        for key, item in value.items():
            if type(key) is not str:
                return -1
            if type(item) not in _PLAIN and (room := _exact(item, depth - 1, room)) < 0:
                return room
        return room
    if kind is list:
        room -= len(value) + 1
        for item in value:
            if type(item) not in _PLAIN and (room := _exact(item, depth - 1, room)) < 0:
                return room
        return room
    return -1


def _too_large(what: str, size: int, limit: int) -> LimitExceeded:
    return LimitExceeded(
        f"the value takes {what}",
        code="value-too-large",
        hint="keep large content as an artifact and its id in the state",
        size=size,
        limit=limit,
    )


def _made_plain(value: Any, bytes_max: int) -> Any:
    """A value in which there is something that is not plain: a ``Written``, or what is refused here."""
    _walk(value, "$", {}, _Room(bytes_max))
    made = _with_ints(value)
    if type(made) not in _PLAIN and _exact(made, limits.VALUE_DEPTH_MAX, bytes_max) < 0:
        _explain(made, bytes_max)
    return made


def _with_ints(value: Any) -> Any:
    """A copy of a value that was walked, so it ends."""
    kind = type(value)
    if kind is dict:
        return {key: _with_ints(item) for key, item in value.items()}
    if kind is list:
        return [_with_ints(item) for item in value]
    return int(value) if kind is Written else value


def _explain(value: Any, bytes_max: int) -> NoReturn:
    _walk(value, "$", {}, _Room(bytes_max))
    raise InvalidInput("the value cannot be written as JSON", code="invalid-value")


class _Room:
    """Bytes that the rest of a value may take, counted as ``_exact`` does."""

    def __init__(self, bytes_max: int) -> None:
        self.limit = bytes_max
        self._left = bytes_max

    def take(self, items: int) -> None:
        """Count a list or dict."""
        self._left -= items + 1
        if self._left < 0:
            what = f"more than the {self.limit:,} bytes of JSON allowed, each part counted wherever it occurs"
            raise _too_large(what, self.limit - self._left, self.limit)


def _walk(value: Any, path: str, above: dict[int, str], room: _Room) -> None:
    kind = type(value)
    if kind is str:
        _check_text(value, path)
    elif kind is float:
        if value - value != 0.0:
            raise InvalidInput(
                f"{path} is {value!r}: NaN and infinity are not JSON values", code="invalid-value", path=path
            )
    elif kind in (dict, list):
        steps: Any = value.items() if kind is dict else enumerate(value)
        if id(value) in above:
            raise InvalidInput(
                f"{path} contains itself: it is the same {kind.__name__} as {above[id(value)]}",
                code="value-cycle",
                path=path,
            )
        if len(above) >= limits.VALUE_DEPTH_MAX:
            raise InvalidInput(
                f"{path[:200]} is nested deeper than {limits.VALUE_DEPTH_MAX} levels",
                code="value-depth",
                path=path[:200],
            )
        room.take(len(value))
        above[id(value)] = path
        for step, item in steps:
            if kind is dict and type(step) is not str:
                raise InvalidInput(
                    f"{path} has the key {_shown(step)} of type {type(step).__name__}; keys are str",
                    code="invalid-value",
                    path=path,
                )
            if kind is dict:
                _check_text(step, path)
            _walk(item, f"{path}.{step}" if kind is dict else f"{path}[{step}]", above, room)
        del above[id(value)]
    elif kind not in _PLAIN and kind is not Written:
        raise InvalidInput(
            f"{path} is a {kind.__module__}.{kind.__qualname__};"
            " accepted are dict, list, str, int, float, bool and None",
            code="invalid-value",
            path=path,
        )


def _shown(key: Any) -> str:
    try:
        return repr(key)[:80]
    except Exception:  # noqa: BLE001 - an object may refuse to be shown, as an integer of many thousand digits does
        return "that cannot be shown"


def _check_text(text: str, path: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            f"{path} holds a lone surrogate, which UTF-8 cannot carry", code="invalid-value", path=path
        ) from None


class Held(msgspec.Struct, frozen=True):
    """A value as schemas see it: before it is sealed, or secrets in it are replaced.

    ``mark`` is that of the bindings it was held against, empty for none. ``secret``: a refusal tells nothing of it but
    the rule. ``replaced``: paths of what was replaced before, and so is not judged.
    """

    value: Any
    mark: bytes = b""
    secret: bool = False
    replaced: tuple[str, ...] = ()


ELSEWHERE = b"elsewhere"
"""The mark of a value that is judged by whoever writes it: a migration brings it to a version that is not bound yet."""
JUDGED = Held(None, ELSEWHERE)
