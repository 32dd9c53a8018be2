"""Writing a bundle: to a file beside its path, which gets the name when all of it is durable."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import IO, Any, Literal

from llmspell.artifacts.blob import Blob
from llmspell.artifacts.content_reader import ContentReader
from llmspell.errors import AlreadyExists, Conflict, Corrupt, InvalidInput, NotFound, StorageFailed
from llmspell.migration.halfway import demand_settled
from llmspell.model.ids import id_text
from llmspell.outputs import beside, check_replaceable
from llmspell.portable.flattening import Flattened, Past, past_of
from llmspell.portable.frames import CONTENT, ENTRIES, HEADER, PIECE, FrameWriter
from llmspell.portable.leaving import Leaving, Read
from llmspell.portable.records import (
    PAGE_BYTES,
    PAGE_ENTRIES,
    PIECE_BYTES_MAX,
    Carried,
    Content,
    End,
    Header,
    encode,
)
from llmspell.portable.sealed import new_seal
from llmspell.ports.content import ContentStore
from llmspell.ports.database import Reading, Row
from llmspell.schema import queries
from llmspell.security.durable import sync_folder
from llmspell.sessions.ported import BundleKey, Exported, PortProgress, tell_nobody
from llmspell.state.kinds import StateSet

_SESSION = "SELECT name FROM session WHERE id = ? AND until_seq IS NULL"
_SESSIONS = queries("llmspell.sessions")
_ERASED_SINCE = (
    "SELECT 1 FROM artifact a CROSS JOIN artifact_erased e ON e.artifact = a.id"
    " WHERE a.session = ? AND e.seq > ? LIMIT 1"
)
_DIGESTS = 500
"""Contents of which one read tells."""
_BLOB = "SELECT size, stored_size, codec, inline, chunk_ids, chunks_digest, chunk_count FROM blob WHERE digest = ?"


@dataclass(frozen=True, slots=True)
class Origins:
    """What an export reads: one store."""

    read: Read
    content: ContentStore
    kinds: Any
    store_id: str
    timeline: str
    opened: Callable[[StateSet], Any]


def export_session(
    store: Origins, session: bytes, path: Path, now: int, key: BundleKey | None, *, secrets: bool, overwrite: bool,
    progress: PortProgress | None, whole: bool = False,
) -> Exported:  # fmt: skip
    """See ``AsyncSessions.export``. Synchronous, for a thread; memory is bounded by a page of entries. ``whole``: not
    begun at all when something sealed would be replaced. Raises InvalidInput (``archive-needs-key``).
    """
    check_replaceable(path, overwrite=overwrite)
    bundle = _Bundle(store, session, secrets, progress or tell_nobody)
    with bundle.kept():
        if whole:
            bundle.demand_whole()
        seal = None if key is None else new_seal(key)
        with _replacing(path, overwrite=overwrite) as (file, finish):
            frames = FrameWriter(file, seal)
            digest = bundle.write(frames, now)
            bundle.demand_unshredded()  # Before the file has its name: it may lack what was erased meanwhile.
            finish()
    return Exported(
        id_text(session), str(path), frames.bytes_written, bundle.entries, bundle.contents, bundle.seq, digest,
        seal is not None, bundle.redacted, bundle.left_out,
    )  # fmt: skip


def demand_plain(store: Origins, session: bytes) -> None:
    """See that a session can be exported whole without a key. Raises InvalidInput (``archive-needs-key``), NotFound,
    Corrupt. Reads its values and the records of its runs, up to the first that is sealed, and no content.
    """
    bundle = _Bundle(store, session, secrets=False, progress=tell_nobody)
    with bundle.kept():
        bundle.demand_whole()


class _Bundle:
    """One bundle on its way out: a session as it is when this is made."""

    def __init__(self, store: Origins, session: bytes, secrets: bool, progress: PortProgress) -> None:
        self._store = store
        self._session = session
        self._secrets = secrets
        self._progress = progress
        self.entries = self.contents = self.redacted = 0
        self.left_out: dict[str, int] = {}
        self._name, self.seq, self._past, self._forked = store.read(self._now)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """A block that reads it. What is found to be missing there may be so because somebody destroyed it meanwhile:
        then nothing is damaged. Raises NotFound (``erased``), Conflict (``session-changed``).
        """
        try:
            yield
        except Corrupt:
            self.demand_unshredded()
            self._demand_unerased()
            raise

    def demand_unshredded(self) -> None:
        """Raises NotFound (``erased``) when it, or what it goes back to, was shredded since the moment it is as of."""
        for session in (self._session, *(one for one, _ in self._past)):
            if self._store.read(partial(_one, _SESSIONS["shredded"], (session,))) is not None:
                raise NotFound(f"session {id_text(session)} was shredded while it was exported", code="erased")

    def _demand_unerased(self) -> None:
        for session in (self._session, *(one for one, _ in self._past)):
            if self._store.read(partial(_one, _ERASED_SINCE, (session, self.seq))) is not None:
                raise Conflict(
                    f"artifacts of session {id_text(session)} were deleted for good while it was exported",
                    code="session-changed", hint="export it again",
                )  # fmt: skip

    def demand_whole(self) -> None:
        """Raises InvalidInput (``archive-needs-key``) when something sealed would be replaced."""
        if not self._secrets and self._leaving().seals():
            raise InvalidInput(
                f"session {id_text(self._session)} has sealed values: they go into encrypted bundles only",
                code="archive-needs-key", hint="cleanup(archive_key=…)",
            )  # fmt: skip

    def write(self, frames: FrameWriter, now: int) -> str:
        """All frames; gives the checksum."""
        store = self._store
        sensitive: Literal["carried", "redacted"] = "carried" if self._secrets else "redacted"
        lineage = [(id_text(one), bound) for one, bound in self._past]
        id_ = id_text(self._session)
        header = Header(id_, self._name, store.store_id, store.timeline, self.seq, now, sensitive, lineage)
        frames.write(HEADER, encode(header))
        leaving = self._leaving()
        for content, pieces in self._contents(leaving.spans):
            frames.write(CONTENT, encode(content))
            for piece in pieces:
                frames.write(PIECE, piece)
            self.contents += 1
            self._progress("contents", self.contents)
        for page in _pages(leaving.entries()):
            frames.write(ENTRIES, encode(page))
            self.entries += len(page)
            self.redacted = leaving.redacted
            self._progress("entries", self.entries)
        self.left_out = dict(sorted(leaving.left_out.items()))
        return frames.end(encode(End(self.contents, self.entries, self.left_out)))

    def _leaving(self) -> Leaving | Flattened:
        store = self._store
        about = store.read, store.kinds, self._session, self.seq, store.opened if self._secrets else None
        return Flattened(*about, self._past, self._forked) if self._forked else Leaving(*about)

    def _now(self, view: Any) -> tuple[str, int, Past, int]:
        row = view.one(_SESSION, (self._session,))
        if row is None:
            raise NotFound(f"session {id_text(self._session)} does not exist", code="session-not-found")
        seq = view.one("SELECT max(seq) FROM entry")[0]
        demand_settled(view, f"session:{id_text(self._session)}", seq)  # Elsewhere nobody could finish it.
        return row[0], seq, *past_of(view, self._session)

    def _contents(self, spans: list[tuple[bytes, int, int]]) -> Iterator[tuple[Content, Iterator[bytes]]]:
        """Every content that a version names, once. What only deleted versions name may have been collected; so may
        what a fork dropped, and whether what it inherits is whole is seen when the bundle is taken in.
        """
        store, after = self._store, b""
        sql = _digests_sql(len(spans), _DIGESTS)
        levels = [one for span in spans for one in span]
        while rows := store.read(partial(_all, sql, (*levels, self.seq, self._session, after))):
            for digest, needed in rows:
                after = digest
                row = store.read(partial(_one, _BLOB, (digest,)))
                if row is not None:
                    blob = Blob(digest, *row)
                    pieces = ContentReader(store.content, blob).stream(PIECE_BYTES_MAX)
                    yield Content(digest.hex(), blob.size), pieces
                elif needed:
                    raise Corrupt(f"content {digest.hex()} of an artifact is missing", digest=digest.hex())


@cache
def _digests_sql(spans: int, count: int) -> str:
    """Digests that versions of a session name, or of those it goes back to: arguments (session, first and last seq) of
    each, the moment's seq, the session, and the digest to go on after. Whether each is needed by a version of its own
    that was there at the moment.
    """
    levels = ", ".join("(?, ?, ?)" for _ in range(spans))
    return (
        f"WITH level (session, first, bound) AS (VALUES {levels})"
        " SELECT a.digest, max((a.until_seq IS NULL OR a.until_seq > ?) AND a.session = ?)"
        " FROM level v CROSS JOIN artifact a ON a.session = v.session AND a.since_seq BETWEEN v.first AND v.bound"
        f" WHERE a.digest > ? GROUP BY a.digest ORDER BY a.digest LIMIT {count}"
    )


def _all(sql: str, args: tuple[Any, ...], view: Reading) -> list[Row]:
    return view.all(sql, args)


def _one(sql: str, args: tuple[Any, ...], view: Reading) -> Row | None:
    return view.one(sql, args)


def _pages(entries: Iterator[Carried]) -> Iterator[list[Carried]]:
    page: list[Carried] = []
    held = 0
    for carried in entries:
        size = len(bytes(carried.payload))
        if page and (len(page) == PAGE_ENTRIES or held + size > PAGE_BYTES):
            yield page
            page, held = [], 0
        page.append(carried)
        held += size
    if page:
        yield page


class _replacing:  # noqa: N801 - it is used as the block that it is
    """A file beside ``path``, for its owner only, that gets the name when ``finish`` is called and the block ends."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._path = path
        self._overwrite = overwrite
        self._finished = False

    def __enter__(self) -> tuple[IO[bytes], Callable[[], None]]:
        try:
            descriptor, self._name = tempfile.mkstemp(prefix=beside(self._path), suffix=".part", dir=self._path.parent)
        except OSError as exc:
            raise _cannot(self._path, exc) from exc
        except ValueError as exc:
            raise InvalidInput(f"{str(self._path)!r} is not a file's name", code="invalid-path") from exc
        self._file = os.fdopen(descriptor, "wb")
        return self._file, self._finish

    def _finish(self) -> None:
        self._finished = True

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: object) -> None:
        try:
            with self._file:
                if self._finished:
                    self._file.flush()
                    os.fsync(self._file.fileno())
            if self._finished:
                if not self._overwrite:
                    _give_name(Path(self._name), self._path)
                else:
                    Path(self._name).replace(self._path)
                sync_folder(self._path.parent)
        except AlreadyExists:
            self._finished = False
            raise
        except OSError as error:
            self._finished = False
            raise _cannot(self._path, error) from error
        finally:
            if not self._finished:
                Path(self._name).unlink(missing_ok=True)
        if isinstance(exc, OSError):
            raise _cannot(self._path, exc) from exc


def _give_name(temporary: Path, path: Path) -> None:
    """Give a file its name, unless another has it by now."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise _there(path) from None
    except OSError:  # No links on this disk: what is left is to look, and then to rename.
        if path.exists():
            raise _there(path) from None
        temporary.replace(path)
    else:
        temporary.unlink()


def _there(path: Path) -> AlreadyExists:
    return AlreadyExists(f"{str(path)!r} is there already", code="file-exists", hint="choose another path")


def _cannot(path: Path, exc: OSError) -> StorageFailed:
    return StorageFailed(f"cannot write {str(path)!r}: {exc.strerror}", code="cannot-write")
