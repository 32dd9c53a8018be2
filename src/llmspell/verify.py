"""Checking a whole store: the journal's chain, every payload, the projections against a rebuild, and all content.

Nothing is changed. Writers may go on: the journal is read a page at a time, and only the last comparison happens in one
read transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from llmspell.artifacts.blob import Blob, unpack_ids
from llmspell.artifacts.content_check import verify_chunks
from llmspell.artifacts.content_reader import ContentReader
from llmspell.artifacts.finding.check import find_damage
from llmspell.errors import Corrupt, LlmspellError
from llmspell.journal.kinds import Kinds, StoreCreated
from llmspell.journal.reading import COLUMNS, check_row, watermark_of
from llmspell.journal.reapplying import Chain, apply_again
from llmspell.journal.terms_check import index_damage
from llmspell.model.arguments import check_function
from llmspell.model.entry import GENESIS, Entry
from llmspell.model.ids import id_bytes
from llmspell.schema import first_names, later_tables
from llmspell.sessions.index_check import session_index_damage
from llmspell.unsealing import Unsealing

if TYPE_CHECKING:
    from llmspell.adapters.sqlite.batch import View
    from llmspell.adapters.sqlite.store import OpenStore, Rebuild
    from llmspell.ports.content import ContentStore
    from llmspell.ports.database import Row
    from llmspell.state.classes import Protection

Progress = Callable[[int, int], None]
_PAGE = 1000
_FINDINGS_MAX = 1000
_ENTRIES = "FROM entry WHERE seq > ? ORDER BY seq LIMIT ?"
_AS_BYTES = COLUMNS.replace(" kind,", " CAST(kind AS BLOB),").replace(" actor,", " CAST(actor AS BLOB),")
"""The columns of an entry whose texts are no texts; its hash cannot match then, and its neighbours can be checked."""
PROJECTIONS = {
    "state": ("scope", "key"),
    "session": ("id", "since_seq"),
    "fork_level": ("session", "depth"),
    "artifact": ("id", "since_seq"),
    "artifact_dropped": ("session", "name", "version", "since_seq"),
    "artifact_label": ("session", "name", "label", "since_seq"),
    "artifact_erased": ("artifact",),
    "artifact_relation": ("source", "kind", "target", "since_seq"),
    "artifact_grant": ("session", "name", "version", "grantee", "granted_by", "since_seq"),
    "artifact_quota": ("owner",),
    "capture_rules": ("owner",),
    "capture_count": ("session", "owner", "rule"),
    "correlation": ("id",),
    "checkpoint": ("session", "seq"),
    "run": ("id",),
    "migration": ("name", "from_version", "to_version"),
    "migration_run": ("id",),
    "agent": ("id", "since_seq"),
    "agent_head": ("id",),
    "agent_part": ("id", "until_seq", "part"),
    "agent_message": ("id", "until_seq", "number"),
    "state_artifact": ("artifact", "seq"),
    "state_default": ("scope", "since_seq"),
    "schema_version": ("name", "version"),
    "schema_binding": ("scope", "prefix", "since_seq"),
    "schema_newest": ("what",),
    "access_grant": ("principal", "scope", "bit", "granted_by", "since_seq"),
    "access_boundary": ("scope", "since_seq"),
    "access_cut_off": ("principal", "since_seq"),
    "access_record": ("seq",),
}
"""Tables derived from the journal, with their primary keys."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: ``what`` in words, ``where`` (``entry``, a table, ``content`` …), ``seq`` if there
    is one.
    """

    what: str
    where: str
    seq: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {"what": self.what, "where": self.where, "seq": self.seq}


@dataclass(slots=True)
class Verification:
    """What ``verify`` came to. ``checked`` counts entries, rows, blobs and chunks, and where there are any
    ``sealed_values`` that were opened and ``unopened_values`` that were not, for ``unopened_why``; ``head`` is (seq,
    hash) of the newest.
    """

    findings: list[Finding] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    head: tuple[int, str] = (0, GENESIS.hex())
    unopened_why: str | None = None

    @property
    def ok(self) -> bool:
        """Nothing was found."""
        return not self.findings

    def add(self, what: str, where: str, seq: int | None = None) -> None:
        """Note a finding, up to a thousand."""
        if len(self.findings) < _FINDINGS_MAX:
            self.findings.append(Finding(what, where, seq))

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "ok": self.ok,
            "findings": [finding.to_dict() for finding in self.findings],
            "checked": self.checked,
            "unopened_why": self.unopened_why,
            "head": {"seq": self.head[0], "hash": self.head[1]},
        }


def verify_store(files: OpenStore, kinds: Kinds, protection: Protection, progress: Progress | None) -> Verification:
    """Check everything about a store; see ``AsyncStore.verify``."""
    check_function(progress)
    report = Verification()
    engine = files.engine
    unsealing = Unsealing(protection)
    rebuilt = _Rebuilt(files, kinds, report, unsealing)
    if not engine.read(lambda view: _can_be_read(view, rebuilt.tables, report)):
        return report
    engine.read(rebuilt.copy_scopes)
    total = engine.read(lambda view: (view.one("SELECT max(seq) FROM entry") or (0,))[0] or 0)
    while rebuilt.chain.seq < total:
        if not engine.read(rebuilt.take_page):
            break
        if progress is not None:
            progress(min(rebuilt.chain.seq, total), total)
    engine.read(lambda view: _compare(view, rebuilt, report))
    report.checked["entries"] = rebuilt.chain.seq
    report.head = rebuilt.chain.seq, rebuilt.chain.previous.hex()
    if unsealing.opened or unsealing.unopened:
        report.checked |= {"sealed_values": unsealing.opened, "unopened_values": unsealing.unopened}
        report.unopened_why = unsealing.why
    for damage in chain(index_damage(engine.read), find_damage(engine.read), session_index_damage(engine.read)):
        report.add(*damage)
    engine.read(lambda view: _check_file(view, rebuilt.format, report))
    for (name,) in engine.read(lambda view: view.all("SELECT name FROM meta WHERE name LIKE 'shredding:%' LIMIT 20")):
        session = name.removeprefix("shredding:")
        report.add(f"the shredding of session {session} was begun and not finished: shred it again", "meta")
    try:
        files.check_mark()
    except Corrupt as exc:
        report.add(exc.message, "meta")
    _check_content(files, report)
    return report


class _Rebuilt:
    """The chain so far, and the projections as the entries so far make them, in a database in memory."""

    def __init__(self, files: OpenStore, kinds: Kinds, report: Verification, unsealing: Unsealing) -> None:
        self._kinds = kinds
        self._report = report
        self._unsealing = unsealing
        self._scopes: dict[str, int] = {}
        self._identity = {"store_id": files.store_id, "timeline": files.timeline}
        self.tables = files.rebuild()
        self.chain = Chain()
        self.format = 0
        """What the journal says about the format of the tables."""

    def copy_scopes(self, view: View) -> None:
        """Scopes belong to the journal: entries name them, projections use their ids."""
        for number, name in view.all("SELECT id, CAST(name AS BLOB) FROM scope"):
            self._scopes[name.decode(errors="replace")] = number

    def take_page(self, view: View) -> bool:
        """Check and apply the next entries; False when there are none."""
        rows = self._page(view)
        with self.tables.together():
            for row in rows:
                for wrong in self.chain.misplaced(row):
                    self._report.add(wrong, "entry", row[0])
                try:
                    entry = check_row(row)
                except Corrupt as exc:
                    self._report.add(exc.message, "entry", row[0])
                else:
                    self._apply(entry, view)
                self.chain.advance(row)
        return bool(rows)

    def _page(self, view: View) -> list[Row]:
        try:
            return view.all(f"SELECT {COLUMNS} {_ENTRIES}", (self.chain.seq, _PAGE))
        except UnicodeDecodeError:
            return [_row_at(view, seq) for (seq,) in view.all(f"SELECT seq {_ENTRIES}", (self.chain.seq, _PAGE))]

    def _apply(self, entry: Entry, view: View) -> None:
        async def scope_id(name: str) -> int | None:
            if name not in self._scopes:
                self.copy_scopes(view)
            return self._scopes.get(name)

        try:
            told = _finish(apply_again(self._kinds, self.tables.batch, entry, scope_id))
            for wrong in self._unsealing.look(entry, self._session_of):
                self._report.add(wrong, "sealed", entry.seq)
        except Exception as exc:  # noqa: BLE001 - whatever a forged entry makes its apply do is a finding
            self._report.add(f"entry {entry.seq} ({entry.kind}) cannot be applied: {exc}", "entry", entry.seq)
            return
        if isinstance(told, StoreCreated):
            self.format = told.format
            self._check_identity(told)
        elif told is not None:
            self.format = told.to_format

    def _session_of(self, run: str) -> bytes | None:
        found = self.tables.rows(f"SELECT session FROM run WHERE id = x'{id_bytes(run, 'run').hex()}'")
        return next((session for (session,) in found), None)

    def _check_identity(self, created: StoreCreated) -> None:
        for what, here in self._identity.items():
            said = getattr(created, what)
            if said != here:
                self._report.add(f"{what} is {here!r}, and was {said!r} when the store was created", "meta")


def _row_at(view: View, seq: int) -> Row:
    try:
        row = view.one(f"SELECT {COLUMNS} FROM entry WHERE seq = ?", (seq,))
    except UnicodeDecodeError:
        row = view.one(f"SELECT {_AS_BYTES} FROM entry WHERE seq = ?", (seq,))
    if row is None:
        raise Corrupt(f"entry {seq} was there a moment ago and is gone", seq=seq)
    return row


def _finish(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("an apply function awaited something other than its transaction")


def _can_be_read(view: View, made: Rebuild, report: Verification) -> bool:
    """Whether the tables are there that every store has. Without one of them nothing else can be checked."""
    return not [name for name in first_names() if not _is_as_made(view, made, name, report, or_more=True)]


def _is_as_made(view: View, made: Rebuild, table: str, report: Verification, *, or_more: bool = False) -> bool:
    """Whether it has its columns, and no others unless ``or_more``."""
    columns, wanted = ({row[1] for row in rows(f"PRAGMA table_info({table})")} for rows in (view.rows, made.rows))
    if columns == wanted or (or_more and columns > wanted):
        return True
    report.add(f"the table {table} " + ("has other columns than it should" if columns else "is missing"), table)
    return False


def _compare(view: View, rebuilt: _Rebuilt, report: Verification) -> None:
    """Entries that came since, then table by table, row by row in the order of the primary key."""
    while rebuilt.take_page(view):
        pass
    indexed = watermark_of(view)
    if indexed > rebuilt.chain.seq:
        last = rebuilt.chain.seq
        report.add(f"entries {last + 1} to {indexed} were indexed and are missing", "entry", last)
    rows = 0
    for table, key in PROJECTIONS.items():
        kinds = {row[1]: row[2] for row in view.all(f"PRAGMA table_info({table})")}
        columns = list(kinds)
        if not columns and table in later_tables() and not rebuilt.tables.holds(table):
            continue
        if not _is_as_made(view, rebuilt.tables, table, report):
            continue
        # Texts as bytes: damaged ones are no UTF-8, and bytes are in the same order.
        wanted_columns = (f"CAST({name} AS BLOB)" if kind == "TEXT" else name for name, kind in kinds.items())
        sql = f"SELECT {', '.join(wanted_columns)} FROM {table} ORDER BY {', '.join(key)}"
        width = [columns.index(name) for name in key]
        for live, wanted in _paired(view.rows(sql), rebuilt.tables.rows(sql), width):
            rows += 1
            if live == wanted:
                continue
            row = live or wanted or ()
            names = ", ".join(f"{columns[at]}={_shown(row[at], kinds[columns[at]])}" for at in width)
            what = (
                "is missing"
                if live is None
                else "should not be there"
                if wanted is None
                else "differs from the journal"
            )
            report.add(f"the row {names} of {table} {what}", table)
    report.checked["rows"] = rows


Pair = tuple[tuple[Any, ...] | None, tuple[Any, ...] | None]


def _paired(left: Iterator[Any], right: Iterator[Any], key: list[int]) -> Iterator[Pair]:
    """Rows of two ordered streams side by side; None where one has none with that key."""
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        mine = None if one is None else tuple(one[at] for at in key)
        theirs = None if other is None else tuple(other[at] for at in key)
        if mine is not None and (theirs is None or mine < theirs):
            yield one, None
            one = next(left, None)
        elif theirs is not None and (mine is None or theirs < mine):
            yield None, other
            other = next(right, None)
        else:
            yield one, other
            one, other = next(left, None), next(right, None)


def _shown(value: Any, kind: str) -> str:
    if not isinstance(value, bytes):
        return repr(value)
    return repr(value.decode(errors="replace")) if kind == "TEXT" else value.hex()


def _check_file(view: View, told: int, report: Verification) -> None:
    (found,) = view.one("PRAGMA user_version") or (0,)
    if told not in (0, found):
        report.add(f"main.db says it has format {found}, the journal says {told}", "main.db")
    for (line,) in view.all("PRAGMA quick_check(20)"):
        if line != "ok":
            report.add(f"SQLite says: {line}", "main.db")


def _check_content(files: OpenStore, report: Verification) -> None:
    """Every blob that an artifact names is there and reads back as its digest; every chunk matches its own."""
    engine = files.engine
    for digest, name, version in engine.read(
        lambda view: view.all(
            "SELECT a.digest, min(CAST(a.name AS BLOB)), min(a.version) FROM artifact a"
            " LEFT JOIN blob b ON b.digest = a.digest WHERE b.digest IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM artifact_erased e WHERE e.artifact = a.id) GROUP BY a.digest"
        )
    ):
        shown = name.decode(errors="replace")
        report.add(f"content {digest.hex()} of artifact {shown!r} v{version} is missing", "content")
    blobs, after = 0, b""
    while rows := engine.read(partial(_blobs_after, after)):
        for row in rows:
            blobs += 1
            after = row[0]
            try:
                blob = Blob(*row)
                _read_through(ContentReader(files.content, blob), row[0])
                _check_stored_size(files.content, blob)
            except LlmspellError as exc:
                report.add(f"content {row[0].hex()}: {exc}", "content")
    report.checked["blobs"] = blobs
    report.checked["chunks"] = files.content.stats().chunks
    try:
        for lost in files.content.unindexed():
            report.add(f"index and table of content.db are not one about {lost}", "content")
    except Corrupt as exc:
        report.add(f"the indexes of content.db cannot be read: {exc}", "content")
    for damaged in verify_chunks(files.content):
        report.add(f"chunk {damaged.id} {damaged.digest.hex()}: {damaged.what}", "content")


def _check_stored_size(content: ContentStore, blob: Blob) -> None:
    if blob.inline is not None:
        stored = len(blob.inline)
    else:
        ids = unpack_ids(blob.chunk_ids or b"", blob.chunk_count)
        stored = 0
        for start in range(0, len(ids), _PAGE):
            infos = content.infos(ids[start : start + _PAGE])
            stored += sum(infos[number].stored_size for number in ids[start : start + _PAGE])
    if stored != blob.stored_size:
        raise Corrupt(f"its stored form has {stored} bytes, {blob.stored_size} were recorded")


def _blobs_after(digest: bytes, view: View) -> list[Row]:
    return view.all(
        "SELECT digest, size, stored_size, codec, inline, chunk_ids, chunks_digest, chunk_count FROM blob"
        " WHERE digest > ? ORDER BY digest LIMIT 200",
        (digest,),
    )


def _read_through(reader: ContentReader, digest: bytes) -> None:
    whole = blake3()
    for piece in reader.stream():
        whole.update(piece)
    if whole.digest() != digest:
        raise Corrupt("its chunks are sound, but together they are not this content")
