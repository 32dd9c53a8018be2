"""Text as it may be shown to a person: nothing in it can move the cursor, colour the screen or turn the line around.

Names, keys, values and messages come from agents and from the internet. What a terminal would act on is shown as an
escape instead; programs read ``--json``, which has everything exactly.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from llmspell.model.clock import to_datetime

_KEPT_IN_BLOCKS = "\n\t"
# Controls (C0, DEL, C1), line and paragraph separators, everything bidirectional or invisible, lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)


def line(text: object) -> str:
    """On one line."""
    return _UNSAFE.sub(_escape, str(text))


def block(text: str) -> str:
    """With its line ends and tabs."""
    return _UNSAFE.sub(lambda found: found[0] if found[0] in _KEPT_IN_BLOCKS else _escape(found), text)


def is_safe(text: str) -> bool:
    """Whether a terminal would only print it: nothing but visible characters, line ends and tabs."""
    return block(text) == text


def json_text(value: Any, *, indent: int | None = None, ascii: bool = False) -> str:
    """A JSON value in characters that a terminal only prints; still the same JSON value. One that is deeper than
    Python's own encoder goes is written all the same, without the indent.
    """
    try:
        text = json.dumps(value, ensure_ascii=ascii, indent=indent)
    except RecursionError:
        text = "".join(_deep(value, json.JSONEncoder(ensure_ascii=ascii)))
    return _UNSAFE.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def short(value: Any, chars_max: int = 60) -> str:
    """A JSON value on one line, cut with an ellipsis."""
    text = line(json_text(value))
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


def width(text: str) -> int:
    """Columns that a printed text takes: wide characters two, marks that combine none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def size(count: int) -> str:
    """Bytes in the largest unit that leaves a number above one: ``1.5 MB``."""
    if count < 1000:
        return f"{count} B"
    amount = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        amount /= 1000
        if amount < 999.95 or unit == "TB":
            return f"{amount:.1f} {unit}"
    raise AssertionError("unreachable")


def moment(text: str | None) -> str:
    """A time in RFC 3339 as people read it, in UTC to the second; a dash for none."""
    return "-" if text is None else text[:19].replace("T", " ")


def moment_ns(ns: int) -> str:
    """The same of nanoseconds since the epoch."""
    return moment(to_datetime(ns).isoformat())


def count(number: int, noun: str) -> str:
    """``1 key``, ``1,204 keys``."""
    plural = (
        noun if number == 1 else noun[:-1] + "ies" if noun.endswith("y") and noun[-2] not in "aeiou" else noun + "s"
    )
    return f"{number:,} {plural}"


class _Mark(str):
    """What stands between values."""

    __slots__ = ()


def _deep(value: Any, encoder: json.JSONEncoder) -> Iterator[str]:
    """The pieces of a JSON value, made without recursion: a chain of sessions is as deep as it is long."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, _Mark):
            yield item
        elif isinstance(item, dict):
            inside = [(f"{encoder.encode(name)}: ", inner) for name, inner in item.items()]
            waiting.extend(reversed(_marked("{", inside, "}")))
        elif isinstance(item, list | tuple):
            waiting.extend(reversed(_marked("[", [("", inner) for inner in item], "]")))
        else:
            yield encoder.encode(item)


def _marked(first: str, inside: list[tuple[str, Any]], last: str) -> list[Any]:
    found: list[Any] = [_Mark(first)]
    for number, (before, inner) in enumerate(inside):
        found += [_Mark(f"{', ' if number else ''}{before}"), inner]
    return [*found, _Mark(last)]


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] in "\n\t\r":
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}[found[0]]
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"
