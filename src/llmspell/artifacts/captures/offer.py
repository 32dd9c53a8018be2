"""What is offered: an output with where it comes from, checked; its content as bytes, or as a stream of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from blake3 import blake3

from llmspell.artifacts.captures.rule import SOURCES
from llmspell.artifacts.captures.screen import Screen, Unfit, is_json
from llmspell.artifacts.intake import in_memory, pieces
from llmspell.artifacts.mime import guess_mime
from llmspell.artifacts.rules import check_mime
from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.labels import check_label, check_metadata, check_tags
from llmspell.model.telling import told
from llmspell.model.values import Written, encode_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmspell.artifacts.captures.rule import CaptureRule
    from llmspell.artifacts.captures.sealed import Seal
    from llmspell.offload import Offload

_UNNAMED = {"tool": "output", "agent": "output", "user": "input"}
_JSON_TYPES = (dict, list, int, Written, float, bool, type(None))


@dataclass(slots=True)
class Offer:
    """An output. ``whole`` are its bytes when they are in memory, ``value`` the JSON value that they encode, if it was
    given as one; ``stream`` is what gives them otherwise.
    """

    source: str
    name: str
    mime_type: str
    metadata: dict[str, Any]
    tags: list[str]
    error: bool
    whole: bytes | None
    value: Any = None
    is_value: bool = False
    stream: Any = None

    @property
    def size(self) -> int | None:
        """Bytes; None where that is not known."""
        return None if self.whole is None else len(self.whole)


def check_offer(
    content: Any, *, source: str, name: str | None, mime_type: str | None, metadata: Mapping[str, Any] | None,
    tags: Iterable[str], error: bool,
) -> Offer:  # fmt: skip
    """An offer as it was made. Raises InvalidInput (``invalid-source``, ``invalid-content`` and those of fields) and
    LimitExceeded for fields, or a JSON value, that are too large.
    """
    if type(source) is not str or source not in SOURCES:
        raise InvalidInput(f"a source is one of {', '.join(SOURCES)}, not {told(source)}", code="invalid-source")
    if type(error) is not bool:
        raise InvalidInput(f"error is True or False, not {told(error)}", code="invalid-offer")
    is_value = type(content) in _JSON_TYPES
    whole = encode_value(content, bytes_max=limits.CAPTURE_VALUE_BYTES_MAX) if is_value else in_memory(content)
    if whole is None and not _gives_bytes(content):
        raise InvalidInput(
            "what is offered is text, bytes, a JSON value, a Path, a binary file or a stream of bytes,"
            f" not {told(content)}",
            code="invalid-content",
        )
    return Offer(
        source,
        check_label(name, "a name") if name is not None else _UNNAMED[source],
        check_mime(mime_type) if mime_type is not None else _mime_of(content, is_value=is_value),
        check_metadata({} if metadata is None else metadata),
        check_tags(tags),
        error,
        whole,
        content if is_value else None,
        is_value,
        None if whole is not None else content,
    )


def _gives_bytes(content: Any) -> bool:
    return isinstance(content, Path) or any(hasattr(content, one) for one in ("read", "__iter__", "__aiter__"))


def _mime_of(content: Any, *, is_value: bool) -> str:
    if is_value:
        return "application/json"
    name = content.name if isinstance(content, Path) else ""
    return guess_mime(name, text=isinstance(content, str))


class Begun:
    """A stream of which the beginning was read. ``rest`` gives what follows."""

    def __init__(self, head: bytes, rest: Any) -> None:
        self.head = head
        self.rest = rest


async def begin(offer: Offer, offload: Offload) -> Begun | None:
    """Read the beginning of a stream; a short one is in memory from here on, and then there is none."""
    source = offer.stream
    if hasattr(source, "__aiter__"):
        parts, ended = await _begin_async(rest := aiter(source))
        begun = Begun(parts, rest)
    else:
        given = pieces(source)
        parts, ended = await offload.run(_begin, given)
        begun = Begun(parts, given)
    if ended:
        offer.whole, offer.stream = parts, None
        return None
    return begun


def _begin(given: Iterator[Any]) -> tuple[bytes, bool]:
    head = bytearray()
    for piece in given:
        head += _bytes(piece)
        if len(head) > limits.CAPTURE_SAMPLE_BYTES:
            return bytes(head), False
    return bytes(head), True


async def _begin_async(given: AsyncIterator[Any]) -> tuple[bytes, bool]:
    head = bytearray()
    async for piece in given:
        head += _bytes(piece)
        if len(head) > limits.CAPTURE_SAMPLE_BYTES:
            return bytes(head), False
    return bytes(head), True


def _bytes(piece: Any) -> bytes:
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise InvalidInput(f"a stream gives bytes, not {type(piece).__name__}", code="invalid-content")
    return bytes(piece)


def is_sampled(rule: CaptureRule, offer: Offer, head: bytes) -> bool:
    """Whether a rule's share takes this offer: always the same for the same source, name, beginning and seed."""
    if rule.sample >= 1:
        return True
    hasher = blake3(b"llmspell capture sample 1")
    for part in (rule.seed.encode(), offer.source.encode(), offer.name.encode()):
        hasher.update(len(part).to_bytes(4) + part)
    hasher.update(head[: limits.CAPTURE_SAMPLE_BYTES])
    return int.from_bytes(hasher.digest(8)) < rule.sample * 2**64


class Stage(Protocol):
    """What bytes go through on their way."""

    def feed(self, piece: bytes) -> bytes:
        """The next bytes."""
        ...

    def finish(self) -> bytes:
        """The rest."""
        ...


class Meter:
    """Counts what was offered, and gives up what does not keep to a rule's bounds."""

    def __init__(self, rule: CaptureRule) -> None:
        self._rule = rule
        self.size = 0

    def feed(self, piece: bytes) -> bytes:
        """The piece itself. Raises Unfit (``too-large``)."""
        self.size += len(piece)
        check_bounds(self._rule, self.size, ended=False)
        return piece

    def finish(self) -> bytes:
        """Nothing. Raises Unfit (``too-small``)."""
        check_bounds(self._rule, self.size, ended=True)
        return b""


def check_bounds(rule: CaptureRule, size: int, *, ended: bool) -> None:
    """Raise Unfit when so many bytes are too many, or at the end too few."""
    if rule.size_max is not None and size > rule.size_max:
        told_size = f"{size:,} bytes" if ended else f"{size:,} bytes or more"
        raise Unfit("too-large", f"{told_size}, and {rule.size_max:,} are captured at most")
    if ended and size < rule.size_min:
        raise Unfit("too-small", f"{size:,} bytes, and {rule.size_min:,} are captured at least")


class Line:
    """What content goes through: the look for secrets, and sealing. A stream is also held to the rule's bounds."""

    def __init__(self, rule: CaptureRule, screen: Screen | None, seal: Seal | None) -> None:
        self.meter = Meter(rule)
        self._screen = screen
        self._stages = [stage for stage in (screen, seal) if stage is not None]

    @property
    def changes(self) -> bool:
        """Whether anything may come out otherwise than it went in."""
        return bool(self._stages)

    def whole(self, offer: Offer) -> bytes:
        """The content of an offer in memory. Its bounds were looked at before."""
        data = offer.whole or b""
        if self._screen is not None:
            if offer.is_value:
                clean = self._screen.value(offer.value)
                if clean is offer.value:
                    return data
                return encode_value(clean, bytes_max=limits.CAPTURE_VALUE_BYTES_MAX)
            if is_json(offer.mime_type) and len(data) <= limits.VALUE_BYTES_MAX:
                data = self._screen.json(data) or data
        step = limits.CAPTURE_STEP_BYTES
        parts = [_through(self._stages, data[at : at + step]) for at in range(0, len(data), step)]
        return b"".join((*parts, _rest(self._stages)))

    def stream(self, begun: Begun, offload: Offload) -> Iterator[bytes] | AsyncIterator[bytes]:
        """Whatever comes of a stream: one of the same sort."""
        if hasattr(begun.rest, "__aiter__"):
            return self._async(begun.head, begun.rest, offload)
        return self._sync(begun.head, begun.rest)

    def _feed(self, piece: Any) -> bytes:
        return _through([self.meter, *self._stages], _bytes(piece))

    def _finish(self) -> bytes:
        return _rest([self.meter, *self._stages])

    def _sync(self, head: bytes, rest: Iterator[Any]) -> Iterator[bytes]:
        yield self._feed(head)
        for piece in rest:
            yield self._feed(piece)
        yield self._finish()

    async def _async(self, head: bytes, rest: AsyncIterator[Any], offload: Offload) -> AsyncIterator[bytes]:
        yield await offload.run(self._feed, head)
        async for piece in rest:
            yield await offload.run(self._feed, piece)
        yield await offload.run(self._finish)


def _through(stages: Sequence[Stage], piece: bytes) -> bytes:
    for stage in stages:
        if piece:
            piece = stage.feed(piece)
    return piece


def _rest(stages: Sequence[Stage]) -> bytes:
    """What is still inside of each, through those after it."""
    return b"".join([_through(stages[at + 1 :], stage.finish()) for at, stage in enumerate(stages)])
