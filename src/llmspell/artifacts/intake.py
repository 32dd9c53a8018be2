"""Taking content in: whatever a caller may hand over becomes a blob, in constant memory."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from blake3 import blake3

from llmspell.artifacts.blob import Blob
from llmspell.artifacts.compression import Compression
from llmspell.artifacts.content import FEED_BYTES, SHARING_BYTES_MIN, ContentWriter
from llmspell.errors import InvalidInput, NotFound, StorageFailed
from llmspell.model.arguments import check_path
from llmspell.offload import Offload
from llmspell.outputs import without_waiting
from llmspell.ports.content import ContentStore

Source = bytes | bytearray | memoryview | str | Path | IO[bytes] | Iterable[bytes] | AsyncIterator[bytes]
Progress = Callable[[int], None]
_INLINE_BYTES = 64 << 10
"""Content in memory up to this size is hashed and compressed at once; handing it to a thread would cost more."""


class Taken(NamedTuple):
    """Content that was taken in. ``blob`` is None when the store had it; ``still_whole`` asks whether its chunks are
    all there yet, which a collect might have changed; ``release`` says that the unit which names them is over.
    """

    digest: bytes
    size: int
    blob: Blob | None
    still_whole: Callable[[], bool] = lambda: True
    release: Callable[[], None] = lambda: None


async def take(
    source: Any, store: ContentStore, offload: Offload, compression: Compression, progress: Progress | None,
    *, sharing: bool = False,
) -> tuple[Blob, ContentWriter]:  # fmt: skip
    """The blob of ``source``, its chunks durable; ``sharing``: see ``ContentWriter``. Raises InvalidInput
    (``invalid-content``), NotFound (a file).
    """
    whole = in_memory(source)
    writer = ContentWriter(store, compression=compression, sharing=sharing)
    try:
        if whole is not None:
            small = len(whole) <= (SHARING_BYTES_MIN if sharing else _INLINE_BYTES)
            blob = _whole(writer, whole) if small else await offload.run(_whole, writer, whole)
        elif hasattr(source, "__aiter__"):
            blob = await _from_async(writer, source, offload, progress)
        else:
            blob = await offload.run(_from_pieces, writer, source, progress)
    except BaseException:
        writer.abort()
        raise
    if progress is not None:
        progress(blob.size)
    return blob, writer


def in_memory(source: Any) -> bytes | None:
    """The bytes of a source that is in memory already; None for files and streams."""
    if type(source) is bytes:
        return source
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, str):
        try:
            return source.encode()
        except UnicodeEncodeError:
            raise InvalidInput(
                "the text holds a lone surrogate, which UTF-8 cannot carry", code="invalid-content"
            ) from None
    return None


def digest_of(whole: bytes) -> bytes:
    """BLAKE3 of content in memory."""
    return blake3(whole).digest()


def _whole(writer: ContentWriter, whole: bytes) -> Blob:
    writer.feed(whole)
    return writer.finish()


def _from_pieces(writer: ContentWriter, source: Any, progress: Progress | None) -> Blob:
    size = 0
    for piece in pieces(source):
        _feed(writer, piece)
        size += len(piece)
        if progress is not None:
            progress(size)
    return writer.finish()


async def _from_async(
    writer: ContentWriter, source: AsyncIterator[bytes], offload: Offload, progress: Progress | None
) -> Blob:
    size = 0
    async for piece in source:
        await offload.run(_feed, writer, piece)
        size += len(piece)
        if progress is not None:
            progress(size)
    return await offload.run(writer.finish)


def _feed(writer: ContentWriter, piece: Any) -> None:
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise InvalidInput(f"a stream gives bytes, not {type(piece).__name__}", code="invalid-content")
    writer.feed(piece)


def pieces(source: Any) -> Iterator[bytes]:
    """What a file, a path or an iterable gives, piece by piece. What a path names is a plain file: a pipe might never
    be written to, a device never end. Raises NotFound, StorageFailed, InvalidInput.
    """
    if isinstance(source, Path):
        check_path(source)
        try:
            with open(source, "rb", opener=without_waiting) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise StorageFailed(
                        f"{str(source)!r} is no plain file", code="source-failed",
                        hint="open it, and give what it was opened as",
                    )  # fmt: skip
                yield from iter(lambda: file.read(FEED_BYTES), b"")
        except (FileNotFoundError, IsADirectoryError) as exc:
            raise NotFound(f"cannot read {source}: {exc.strerror}", code="file-not-found") from exc
        except OSError as exc:
            raise StorageFailed(f"cannot read {source}: {exc}", code="source-failed") from exc
    elif hasattr(source, "read"):
        try:
            yield from iter(lambda: source.read(FEED_BYTES), b"")
        except (OSError, ValueError) as exc:  # A closed file says so by a ValueError.
            raise StorageFailed(f"the file cannot be read: {exc}", code="source-failed") from exc
    elif isinstance(source, Iterable) and not isinstance(source, dict):
        yield from source
    else:
        raise InvalidInput(
            f"content is bytes, str, a Path, a binary file or a stream of bytes, not {type(source).__name__}",
            code="invalid-content",
        )
