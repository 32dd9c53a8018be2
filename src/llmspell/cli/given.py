"""What people give on a line: JSON or plain text, ``-`` for stdin, ``name=value`` pairs, versions and times."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from llmspell.cli.invocation import running
from llmspell.errors import InvalidInput, LimitExceeded, StorageFailed
from llmspell.model.clock import Clock, to_datetime
from llmspell.model.limits import VALUE_BYTES_MAX
from llmspell.model.values import decode_value

STDIN = "-"
_PIECE_BYTES = 1 << 20
_OPEN_FILE = re.compile(r"/(?:dev|proc/[^/]+)/fd/[^/]+").fullmatch
_NUMBER = re.compile(r"-\d").match
_OPTION = re.compile(r"-{1,2}[a-z][a-z-]*(?:=.*)?", re.DOTALL).fullmatch
_AGO = re.compile(r"-?(\d+(?:\.\d+)?)(s|m|h|d|w)").fullmatch
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _no_option(_type: Any, text: str | None) -> None:
    """A word that begins with ``-`` is a mistyped option rather than a value, except ``-`` itself and numbers."""
    if isinstance(text, str) and text.startswith("-") and text != STDIN and not _NUMBER(text) and not _verbatim(text):
        raise ValueError(f"{text!r} begins with -; put -- before it if it is meant")


def _verbatim(text: str) -> bool:
    return text in running.get().verbatim


Word = Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_option)]
"""A value that may be ``-`` or a negative number."""
When = Annotated[Word | None, Parameter(help="A time, or 2h (or -2h) for some time ago; included.")]
Fields = Annotated[
    list[str] | None,
    Parameter(help="A field of the metadata, PATH=JSON, names of the path joined by dots; several times."),
]
Words = Annotated[
    str | None,
    Parameter(
        help="Words of name, description, tags and metadata, all of them: '\"in a row\"' in quotes, 'beg*' by their"
        " beginning."
    ),
]

NewTags = Annotated[list[str] | None, Parameter(name="--tag", help="A tag, instead of those it has; several times.")]
NoTags = Annotated[bool, Parameter(help="Take every tag away.")]
NewMeta = Annotated[
    list[str] | None, Parameter(help="A field of metadata, NAME=JSON, instead of all that it has; several times.")
]
NoMeta = Annotated[bool, Parameter(help="Take all metadata away.")]


def _no_long_option(_type: Any, text: str | None) -> None:
    """To Lua a mistyped option is a comment, which does nothing and succeeds."""
    if isinstance(text, str) and _OPTION(text) and not _verbatim(text):
        raise ValueError(f"{text!r} looks like an option; put -- before it if it is meant")


Code = Annotated[str, Parameter(allow_leading_hyphen=True, validator=_no_long_option)]
"""A piece of a program: it may begin with any character."""


def value(text: str, *, as_text: bool = False) -> tuple[Any, str | None]:
    """The value that a word (``-``: all of stdin) stands for: JSON, or else the text itself.

    Also a remark when text looks like JSON and is none. Raises InvalidInput (``not-text``), LimitExceeded.
    """
    if text == STDIN:
        text = read_stdin()
    if as_text:
        return text, None
    try:
        return decode_value(text), None
    except UnicodeEncodeError:
        raise InvalidInput(f"{text!r:.80} holds bytes that are no text", code="not-text") from None
    except (msgspec.DecodeError, RecursionError) as exc:
        looks = text.lstrip()[:1] in ("{", "[", '"')
        return text, f"kept as text: it looks like JSON but is not ({exc})" if looks else None


def read_stdin() -> str:
    """All of stdin as text, its last line end included."""
    raw = sys.stdin.buffer.read(VALUE_BYTES_MAX + 1)
    if len(raw) > VALUE_BYTES_MAX:
        raise LimitExceeded(
            f"stdin holds more than the {VALUE_BYTES_MAX:,} bytes of a value", code="value-too-large",
            hint="keep large content as an artifact: `llmspell artifact put - --session NAME --name NAME`",
        )  # fmt: skip
    try:
        return raw.decode()
    except UnicodeDecodeError as exc:
        raise InvalidInput(f"stdin is not UTF-8 text: {exc}", code="not-text") from None


def pairs(given: Iterable[str] | None, option: str) -> dict[str, Any]:
    """``name=value`` words as a dict, each value JSON or else text. Raises InvalidInput (``invalid-pair``)."""
    found: dict[str, Any] = {}
    for pair in given or ():
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise InvalidInput(f"{option} takes NAME=VALUE, not {pair!r}", code="invalid-pair")
        if name in found:
            raise InvalidInput(f"{option} gives {name!r} twice", code="invalid-pair")
        found[name] = value(text)[0] if text != STDIN else text
    return found


def replaced(tags: list[str] | None, meta: list[str] | None, *, no_tags: bool, no_meta: bool) -> dict[str, Any]:
    """Tags and metadata that take the place of others: ``--tag`` or ``--no-tags``, ``--meta`` or ``--no-meta``; None
    where nothing is said. Raises InvalidInput (``usage``, ``invalid-pair``).
    """
    for words, none, said, negative in ((tags, no_tags, "--tag", "--no-tags"), (meta, no_meta, "--meta", "--no-meta")):
        if words is not None and none:
            raise InvalidInput(f"{said} and {negative} say opposite things; leave one out", code="usage")
    metadata = None if meta is None else pairs(meta, "--meta")
    return {"tags": [] if no_tags else tags, "metadata": {} if no_meta else metadata}


def version(text: str | None) -> int | str | None:
    """A version: a number, ``latest`` or a label."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else text


def time(text: str | None, clock: Clock) -> datetime | str | None:
    """A time: RFC 3339, or how long ago (``90s``, ``5m``, ``2h``, ``1d``, ``1w``)."""
    ago = _AGO(text) if text is not None else None
    if ago is None:
        return text
    try:
        return to_datetime(clock.now_ns()) - timedelta(**{_UNITS[ago[2]]: float(ago[1])})
    except OverflowError:
        raise InvalidInput(f"{text!r} is longer ago than time itself", code="invalid-time") from None


def source(text: str) -> Any:
    """What an artifact is made of: the file of that name, or stdin for ``-``. A pipe (``<(command)``) is waited for,
    and read to its end: whoever writes its name on a line means that, as with ``cat``.
    """
    if text == STDIN:
        return sys.stdin.buffer
    path = Path(text)
    return _piped(path) if path.exists() and not path.is_file() and not path.is_dir() else path


def nameless(text: str) -> bool:
    """Whether what is given is the open file of a process (``-``, ``/dev/stdin``, ``<(command)``), which has no name of
    its own.
    """
    return text in (STDIN, "/dev/stdin") or _OPEN_FILE(text) is not None


def _piped(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from iter(lambda: file.read(_PIECE_BYTES), b"")
    except OSError as exc:
        raise StorageFailed(f"cannot read {str(path)!r}: {exc.strerror}", code="source-failed") from exc
