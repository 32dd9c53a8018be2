"""What ``get`` returns: an artifact's info, and its content, read when asked for and checked before it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from llmspell.artifacts.content_reader import ContentReader
from llmspell.artifacts.info import ArtifactInfo
from llmspell.errors import Corrupt, InvalidInput, NotFound
from llmspell.model.values import decode_value

if TYPE_CHECKING:
    from llmspell.offload import Offload

T = TypeVar("T")
P = ParamSpec("P")
Gone = Callable[[], Awaitable[NotFound | None]]
"""Asks whether the artifact was deleted for good since it was opened."""
_INLINE_SIZE_MAX = 1 << 18
"""Content up to this size inside its row is read at once; more goes where long work goes."""
PIECE_BYTES = 1 << 20


class AsyncContent:
    """An artifact version with its content. Every byte's chunk is checked against its digest before it is served;
    what does not match raises Corrupt naming it.
    """

    def __init__(
        self, info: ArtifactInfo, reader: ContentReader, offload: Offload, gone: Gone, *, inline: bool
    ) -> None:
        self.info = info
        self._reader = reader
        self._offload = offload
        self._gone = gone
        self._inline = inline and info.size <= _INLINE_SIZE_MAX

    async def read(self) -> bytes:
        """The whole content. Memory grows with it; ``stream`` does not."""
        if self._inline:
            return self._reader.read_all()
        return await self._run(self._reader.read_all)

    async def text(self, encoding: str = "utf-8") -> str:
        """The content as text. Raises InvalidInput (``not-text``) when it is not in that encoding."""
        try:
            return (await self.read()).decode(encoding)
        except (TypeError, ValueError, LookupError) as exc:  # ValueError has those of decoding, and of a bad name
            raise InvalidInput(f"artifact {self.info.name!r} is not {encoding} text: {exc}", code="not-text") from None

    async def json(self) -> Any:
        """The content as a JSON value. Raises InvalidInput (``not-json``)."""
        try:
            return decode_value(await self.read())
        except (ValueError, RecursionError) as exc:
            raise InvalidInput(f"artifact {self.info.name!r} is not JSON: {exc}", code="not-json") from None

    async def stream(self, piece_bytes: int = PIECE_BYTES) -> AsyncIterator[bytes]:
        """The content in pieces of ``piece_bytes`` (the last may be shorter), in constant memory."""
        if type(piece_bytes) is not int or not 1 <= piece_bytes <= 64 * PIECE_BYTES:
            raise InvalidInput(f"piece_bytes is 1 to {64 * PIECE_BYTES}, not {piece_bytes!r}", code="invalid-range")
        pieces = self._reader.stream(piece_bytes)
        while (piece := await self._run(next, pieces, None)) is not None:
            yield piece

    async def range(self, start: int, length: int) -> bytes:
        """Bytes from ``start`` on, at most ``length``; fewer at the end, none beyond it. Reads only the chunks
        needed.
        """
        if self._inline:
            return self._reader.range(start, length)
        return await self._run(self._reader.range, start, length)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Read where long work goes; what is missing because it was deleted for good meanwhile is not damage."""
        try:
            return await self._offload.run(function, *args, **kwargs)
        except Corrupt as exc:
            if (error := await self._gone()) is not None:
                raise error from exc
            raise
