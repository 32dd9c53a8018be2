"""Writing a bundle: what was there at one moment, streamed into a file that has its name only when it is whole."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell.artifacts.blob import Blob
from llmspell.artifacts.bundles.archive import ArchiveWriter
from llmspell.artifacts.bundles.layout import FORMAT, VERSION, Bundled, Manifest, digest_of_lines, line_of, too_many
from llmspell.artifacts.bundles.lines import LinesWriter
from llmspell.artifacts.compression import Codec
from llmspell.artifacts.content_reader import ContentReader
from llmspell.artifacts.info import ArtifactInfo
from llmspell.artifacts.inherited import labels
from llmspell.errors import AlreadyExists, InvalidInput, LimitExceeded, StorageFailed
from llmspell.journal.asking import Asking, driven
from llmspell.model import limits
from llmspell.model.ids import id_bytes, id_text
from llmspell.model.telling import told
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.lineage import Lineage
    from llmspell.ports.content import ContentStore
    from llmspell.ports.database import Reading

_SQL = queries("llmspell.artifacts.bundles")
FORMATS: dict[str, type[ArchiveWriter | LinesWriter]] = {"zip": ArchiveWriter, "json": LinesWriter}
_DENSE = 50
"""Content that the store compressed to less than such a part is not deflated: an archive that unpacks to hundreds of
times its size looks like an attack, and is refused.
"""
BundleProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What a bundle holds: versions, contents, and their bytes; ``file_bytes`` is the file's size."""

    path: str
    format: str
    artifacts: int
    contents: int
    bytes: int
    file_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return asdict(self)


def check_format(format: str) -> str:
    """The name of a format. Raises InvalidInput (``invalid-format``)."""
    if type(format) is not str or format not in FORMATS:
        raise InvalidInput(
            f"a bundle's format is one of {', '.join(FORMATS)}, not {told(format)}", code="invalid-format"
        )
    return format


def bundled(view: Reading, infos: Sequence[ArtifactInfo], lineage: Lineage | None) -> list[Bundled]:
    """The lines of versions, with their labels, and their relations among each other. ``lineage`` is that of a fork
    whose handle asks.
    """
    if len(infos) > limits.BUNDLE_ARTIFACTS_MAX:
        raise too_many(len(infos))
    ids = {info.id for info in infos}
    found = []
    for info in infos:
        raw = id_bytes(info.id)
        if lineage is None:
            rows = view.all(_SQL["labels_of"], (id_bytes(info.session), info.name, info.version))
            meant = [label for (label,) in rows]
        else:
            every = driven(labels(Asking(view), lineage, info.name))
            meant = sorted(label for label, version in every.items() if version == info.version)
        relations = [(kind, other) for kind, other in _relations(view, raw) if other in ids]
        found.append(
            Bundled(
                info.id, info.session, info.name, info.version, info.type, info.mime_type, info.description, info.tags,
                info.metadata, info.derived_from, info.size, info.digest, info.created_at.isoformat(),
                info.updated_at.isoformat(), meant, relations,
            )
        )  # fmt: skip
    return found


def _relations(view: Reading, artifact: bytes) -> Iterator[tuple[str, str]]:
    for kind, target in view.all(_SQL["relations_of"], (artifact,)):
        yield kind, id_text(target)


class BundleFile:
    """A bundle on its way to a file: ``add`` contents, some at a time, then ``finish``; or ``give_up``. Synchronous."""

    def __init__(
        self, path: Path, format: str, store_id: str, made_ns: int, found: Sequence[Bundled], *, overwrite: bool
    ) -> None:
        lines = [line_of(one) for one in found]
        if sum(map(len, lines)) > limits.BUNDLE_FIELDS_BYTES_MAX:
            raise LimitExceeded("the fields of these versions are too large for one bundle", code="bundle-too-large")
        self.sizes = {one.digest: one.size for one in found}
        self.bytes = sum(self.sizes.values())
        self._report = str(path), format, len(found), len(self.sizes), self.bytes
        made_at = datetime.fromtimestamp(made_ns // 1_000_000_000, UTC).isoformat()
        manifest = Manifest(
            FORMAT, VERSION, store_id, made_at, len(found), len(self.sizes), self.bytes, digest_of_lines(lines)
        )
        self._overwrite = overwrite
        self._target = _target_of(path, overwrite=overwrite)
        self._done = 0
        with writing(path):
            descriptor, name = tempfile.mkstemp(
                prefix=f".{self._target.name[:100]}.", suffix=".part", dir=self._target.parent
            )
            self._temporary = Path(name)
            self._file = os.fdopen(descriptor, "w+b")
            try:
                self._writer = FORMATS[format](self._file, manifest, lines)
            except BaseException:
                with suppress(OSError):  # What is still to be written fits no better now, and the file must go.
                    self._file.close()
                self._temporary.unlink(missing_ok=True)
                raise

    def add(self, some: Sequence[tuple[str, Blob]], content: ContentStore, progress: BundleProgress | None) -> None:
        """The next contents. Raises Corrupt, StorageFailed."""
        for digest, blob in some:
            deflate = blob.codec != Codec.RAW and blob.stored_size * _DENSE > blob.size
            pieces = self._counted(ContentReader(content, blob).stream(), progress)
            with writing(self._target):
                self._writer.add(digest, blob.size, pieces, deflate=deflate)

    def finish(self) -> ExportReport:
        """Make the file durable and give it its name."""
        with writing(self._target):
            self._writer.end()
            self._file.flush()
            os.fsync(self._file.fileno())
            size = self._file.seek(0, os.SEEK_END)
            self._file.close()
            self._temporary.chmod(_mode(self._target))
            if self._overwrite:
                self._temporary.replace(self._target)
            else:
                _place(self._temporary, self._target)
            _sync_folder(self._target.parent)
        return ExportReport(*self._report, size)

    def give_up(self) -> None:
        """Leave nothing behind, unless it was finished."""
        if not self._file.closed:
            with suppress(Exception):
                self._writer.end()  # An archive that is never ended would end itself in a file that is closed.
            with suppress(OSError):
                self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _counted(self, pieces: Iterator[bytes], progress: BundleProgress | None) -> Iterator[bytes]:
        for piece in pieces:
            self._done += len(piece)
            yield piece
            if progress is not None:
                progress(self._done, self.bytes)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says against writing is StorageFailed (``cannot-write``)."""
    try:
        yield
    except OSError as exc:
        raise StorageFailed(f"cannot write {str(path)!r}: {exc.strerror or exc}", code="cannot-write") from exc


def _target_of(path: Path, *, overwrite: bool) -> Path:
    if "\0" in str(path) or path.is_dir():
        raise InvalidInput(f"{str(path)!r} is not a file's name", code="invalid-path")
    if not overwrite and (path.exists() or path.is_symlink()):
        raise AlreadyExists(
            f"{str(path)!r} is there already",
            code="file-exists",
            hint="choose another name, or replace it: overwrite=True, in a shell --overwrite",
        )
    return Path(os.path.realpath(path))


def _place(temporary: Path, target: Path) -> None:
    """Give a file its name, unless another has it by now."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise AlreadyExists(f"{str(target)!r} is there already", code="file-exists") from None
    except OSError:  # No links on this disk: what is left is to look, and then to rename.
        if target.exists():
            raise AlreadyExists(f"{str(target)!r} is there already", code="file-exists") from None
        temporary.replace(target)
        return
    temporary.unlink()


def _mode(target: Path) -> int:
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
