"""Reading a bundle: everything in it is checked and its content made durable before one unit names all of it.

A kill before that unit leaves nothing but content that nobody refers to. What is wrong with the file is InvalidInput
(``invalid-bundle``), whatever way a reader of ZIP, JSON or base64 has to say so.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from blake3 import blake3

from llmspell.artifacts.blob import Blob
from llmspell.artifacts.bundles.archive import ArchiveReader
from llmspell.artifacts.bundles.layout import Bundled, Manifest, damaged
from llmspell.artifacts.bundles.lines import LinesReader
from llmspell.artifacts.bundles.units import Staged
from llmspell.artifacts.content import ContentWriter
from llmspell.artifacts.info import ArtifactInfo
from llmspell.errors import Conflict, InvalidInput, LlmspellError, NotFound, StorageFailed
from llmspell.model.telling import told
from llmspell.outputs import without_waiting

if TYPE_CHECKING:
    from llmspell.ports.content import ContentStore

ON_CONFLICT = ("fail", "skip", "rename", "replace")
INLINE_BYTES_MAX = 16 << 20
"""So many bytes of small content are held for the unit; what comes after them is stored as chunks, which are collected
if no unit names them.
"""
BundleProgress = Callable[[int, int], None]
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, TypeError,
    KeyError, IndexError, OverflowError, AttributeError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a bundle: the versions that are there now, by name and number; names that were left out; new names
    by old ones; how many versions were deleted to make room. After a dry run all that is what would be: versions have
    the ids that they have in the bundle, and no stored size.
    """

    artifacts: list[ArtifactInfo]
    skipped: list[str]
    renamed: dict[str, str]
    replaced: int
    bytes: int
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "artifacts": [info.to_dict() for info in self.artifacts], "skipped": self.skipped, "renamed": self.renamed,
            "replaced": self.replaced, "bytes": self.bytes, "dry_run": self.dry_run,
        }  # fmt: skip


def check_on_conflict(on_conflict: str) -> str:
    """A rule for names that are taken. Raises InvalidInput (``invalid-conflict-rule``)."""
    if type(on_conflict) is not str or on_conflict not in ON_CONFLICT:
        raise InvalidInput(
            f"on_conflict is one of {', '.join(ON_CONFLICT)}, not {told(on_conflict)}", code="invalid-conflict-rule"
        )
    return on_conflict


class OpenBundle:
    """A bundle whose file is open. ``manifest`` and ``artifacts`` are checked. Synchronous; to be closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writers: list[ContentWriter] = []
        self._open()

    def begin_again(self) -> None:
        """Be as it was at first, so that ``stage`` reads all contents anew. Raises Conflict (``bundle-changed``)."""
        self.close()
        was = self.manifest, self.artifacts
        self._open()
        if (self.manifest, self.artifacts) != was:
            raise Conflict("the file was changed while it was being imported", code="bundle-changed")

    def _open(self) -> None:
        self._files = ExitStack()
        self._closed = False
        try:
            file = self._files.enter_context(opened_file(self._path))
            with readable():
                first = file.read(1)
                file.seek(0)
                self._reader: ArchiveReader | LinesReader = LinesReader(file) if first == b"{" else ArchiveReader(file)
        except BaseException:
            self._files.close()
            raise
        self.manifest: Manifest = self._reader.manifest
        self.artifacts: list[Bundled] = self._reader.artifacts
        self._contents = self._each_content()
        self._done = 0

    def stage(self, store: ContentStore, known: Container[str], progress: BundleProgress | None) -> dict[str, Staged]:
        """Make every content durable and see that each is what it is said to be; those ``known`` are in the store
        already. Raises InvalidInput, StorageFailed.
        """
        staged: dict[str, Staged] = {}
        held = 0
        for digest, pieces in self._contents:
            counted = self._counted(pieces, progress)
            if digest in known:
                _compare(digest, counted)
                staged[digest] = Staged(None, _whole)
                continue
            blob, writer = self._take(store, digest, counted, inline=held < INLINE_BYTES_MAX)
            staged[digest] = Staged(blob, writer.still_whole)
            held += len(blob.inline or b"")
        return staged

    def check(self, progress: BundleProgress | None) -> None:
        """See that every content is what it is said to be, and store none. Raises as ``stage``."""
        for digest, pieces in self._contents:
            _compare(digest, self._counted(pieces, progress))

    def close(self) -> None:
        """Let go of the file, and of content that is named by now or never will be."""
        self._closed = True  # Whoever waited may have given up: then a thread is still taking in.
        for writer in self._writers:
            writer.abort()
        self._writers.clear()
        self._files.close()

    def _each_content(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        contents = self._reader.contents()
        while True:
            with readable():
                found = next(contents, None)
            if found is None:
                return
            yield found[0], _each(found[1])

    def _counted(self, pieces: Iterator[bytes], progress: BundleProgress | None) -> Iterator[bytes]:
        for piece in pieces:
            self._done += len(piece)
            yield piece
            if progress is not None:
                progress(self._done, self.manifest.bytes)

    def _take(
        self, store: ContentStore, digest: str, pieces: Iterator[bytes], *, inline: bool
    ) -> tuple[Blob, ContentWriter]:
        writer = ContentWriter(store, inline=inline)
        self._writers.append(writer)
        if self._closed:
            writer.abort()
        try:
            for piece in pieces:
                writer.feed(piece)
            blob = writer.finish()
        except BaseException:
            writer.abort()
            raise
        if blob.digest.hex() != digest:
            damaged(f"content {digest} does not match its digest")
        return blob, writer


def _compare(digest: str, pieces: Iterator[bytes]) -> None:
    whole = blake3()
    for piece in pieces:
        whole.update(piece)
    if whole.hexdigest() != digest:
        damaged(f"content {digest} does not match its digest")


def _whole() -> bool:
    return True


@contextmanager
def readable() -> Iterator[None]:
    """What a reader finds wrong with a file is one error of ours."""
    try:
        yield
    except LlmspellError:
        raise
    except OSError as exc:
        if exc.errno in {None, errno.EINVAL}:  # It says that something lies before its beginning.
            raise InvalidInput(f"this bundle cannot be imported: {exc}", code="invalid-bundle") from exc
        raise StorageFailed(f"the bundle cannot be read: {exc}", code="source-failed") from exc
    except _UNREADABLE as exc:
        raise InvalidInput(
            f"this bundle cannot be imported: {type(exc).__name__}: {exc}", code="invalid-bundle"
        ) from exc


def _each(pieces: Iterator[bytes]) -> Iterator[bytes]:
    while True:
        with readable():
            piece = next(pieces, None)
        if piece is None:
            return
        yield piece


def opened_file(path: Path) -> IO[bytes]:
    """A bundle's file, open. What is no plain file is never waited for: a pipe nobody writes to would hold the caller.
    Raises NotFound (``file-not-found``), StorageFailed (``source-failed``).
    """
    try:
        file = open(path, "rb", opener=without_waiting)  # noqa: SIM115 - the caller closes it
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as exc:
        raise NotFound(f"there is no file {str(path)!r}: {exc.strerror}", code="file-not-found") from exc
    except OSError as exc:
        raise StorageFailed(f"cannot read {str(path)!r}: {exc.strerror}", code="source-failed") from exc
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise NotFound(f"{str(path)!r} is no plain file", code="file-not-found")
    return file
