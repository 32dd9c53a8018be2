"""Opening and creating the files of a store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from llmspell.adapters.sqlite.batch import Batch, View
from llmspell.adapters.sqlite.connection import MEMORY, Durability, connect
from llmspell.adapters.sqlite.content import SqliteContent
from llmspell.adapters.sqlite.engine import Engine
from llmspell.adapters.sqlite.errors import map_error
from llmspell.adapters.sqlite.folder import StoreFolder
from llmspell.adapters.sqlite.formats import CONTENT, Finish, check_format, is_outdated, migrate
from llmspell.adapters.sqlite.inherited import check_not_inherited, note_closed, note_open
from llmspell.adapters.sqlite.turnstile import FileTurn, ThreadTurn
from llmspell.errors import InvalidInput, StorageFailed
from llmspell.model.entry import GENESIS, Head
from llmspell.model.ids import Ids, id_text
from llmspell.schema import APPLICATION_ID, FORMAT, script
from llmspell.schema.migrations import MIGRATIONS, Migration, newest, newest_content

CONTENT_LOCK = "content.lock"
"""The lock file at which writers of the content file queue."""
_DURABILITIES = ("full", "process", "none")


@dataclass(frozen=True, slots=True)
class OpenStore:
    """The open files of a store, and who it is."""

    engine: Engine
    content: SqliteContent
    path: Path | None
    store_id: str
    timeline: str
    durability: Durability
    created: bool
    migrations: tuple[Migration, ...] = MIGRATIONS
    outdated: bool = False
    """The files are of an older format, and ``migrate`` has not run."""

    def migrate(self, finish: Finish) -> None:
        """Bring the files to the newest format; see ``formats.migrate``. Before it nothing else may write here."""
        if self.path is not None:
            turn = FileTurn(self.path / CONTENT_LOCK)
            try:
                migrate(self.engine, turn, self.migrations, finish)
            finally:
                turn.close()

    def rebuild(self) -> Rebuild:
        """Tables to rebuild the projections in."""
        return Rebuild()

    def close(self) -> None:
        """Close both files and the lock. Idempotent."""
        self.content.close()
        self.engine.close()
        self.engine.turn.close()
        note_closed(self.engine)


class Rebuild:
    """Empty tables in memory, to which a journal's entries are applied again. ``batch`` is the transaction to do it
    in.
    """

    def __init__(self) -> None:
        self._connection = apsw.Connection(MEMORY)
        self._connection.execute(script("main.sql"))
        self.batch = Batch(self._connection.execute, Head(0, GENESIS, 0), 0)

    def together(self) -> Any:
        """A context in which changes are one transaction."""
        return self._connection

    def rows(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Rows of a query."""
        return iter(self._connection.execute(sql))


def check_durability(durability: str | None) -> None:
    """Refuse a durability that is none."""
    if durability is not None and durability not in _DURABILITIES:
        raise InvalidInput(
            f"durability is one of {', '.join(_DURABILITIES)}, not {durability!r}", code="invalid-durability"
        )


def create_tables(connection: apsw.Connection, ids: Ids, *, scratch: bool) -> None:
    """The tables and the identity of a new store, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(script("main.sql"))
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={FORMAT}")
    store_id, timeline = id_text(ids.new()), id_text(ids.new())
    for name, value in (("store_id", store_id), ("timeline", timeline), ("scratch", int(scratch))):
        connection.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (name, value))
    connection.execute("INSERT INTO scope (id, name, salt) VALUES (1, 'global', ?)", (ids.salt(),))
    connection.execute("COMMIT")


def open_store(
    path: Path | str,
    ids: Ids,
    *,
    create: bool = True,
    read_only: bool = False,
    durability: Durability | None = None,
    migrations: tuple[Migration, ...] = MIGRATIONS,
) -> OpenStore:
    """Open (or create) a store's files. Raises StoreMissing, InvalidInput (``foreign-store``), NeedsMigration, Busy.

    A store created with durability ``none`` is scratch for ever: nothing stronger can be promised for its files, and
    nothing weaker than ``process`` for any other. Files of an older format are opened as they are: the caller has them
    migrated, by ``migrate``, before anything else is done with them.
    """
    check_durability(durability)
    if str(path) == MEMORY:
        return _open_memory(ids, read_only=read_only, durability=durability)
    folder = StoreFolder(Path(path).absolute())
    created = False
    if not folder.exists:
        folder.check_free()
        if not create or read_only:
            folder.generation()
        created = _create(folder, ids, scratch=durability == "none")
    return _open_folder(folder, read_only=read_only, durability=durability, created=created, migrations=migrations)


def _open_memory(ids: Ids, *, read_only: bool, durability: Durability | None) -> OpenStore:
    if durability not in (None, "none"):
        raise InvalidInput(
            f"a store in memory cannot have durability {durability!r}", code="invalid-durability", hint="name a folder"
        )
    if read_only:
        raise InvalidInput("a store in memory that cannot be written is always empty", code="invalid-input")
    engine = Engine(MEMORY, ThreadTurn(), "none")
    create_tables(engine.writer, ids, scratch=True)
    content = SqliteContent(MEMORY, durability="none")
    store_id, timeline, _ = _identity(engine)
    return OpenStore(engine, content, None, store_id, timeline, "none", True)


def _create(folder: StoreFolder, ids: Ids, *, scratch: bool) -> bool:
    """Make a store, unless another process was quicker; everything is on disk before its name is."""
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
        turn = FileTurn(folder.lock)
    except OSError as exc:
        raise StorageFailed(f"cannot create a store at {folder.path}: {exc.strerror}", code="cannot-create") from exc
    turn.acquire()
    try:
        if folder.exists:
            return False
        generation = folder.first_generation()
        connection = connect(generation / "main.db", "checkpointer", "full")
        try:
            create_tables(connection, ids, scratch=scratch)
        finally:
            connection.close()
        folder.publish(generation)
    except apsw.Error as exc:
        raise map_error(exc, f"create a store at {folder.path}") from exc
    except OSError as exc:
        raise StorageFailed(f"cannot create a store at {folder.path}: {exc}", code="cannot-create") from exc
    finally:
        turn.release()
        turn.close()
    return True


def _open_folder(
    folder: StoreFolder,
    *,
    read_only: bool,
    durability: Durability | None,
    created: bool,
    migrations: tuple[Migration, ...],
) -> OpenStore:
    generation = folder.generation()
    main = generation / "main.db"
    if not main.is_file():
        raise StorageFailed(f"{folder.path} names {generation.name}, which has no main.db", code="store-damaged")
    check_not_inherited(main)
    outdated = _look(main, migrations, read_only=read_only)
    turn = FileTurn(folder.lock) if not read_only else ThreadTurn()
    try:
        engine = Engine(main, turn, durability or "full", read_only=read_only)
    except BaseException:
        turn.close()
        raise
    note_open(engine, main)
    if not outdated:
        engine.format = newest(migrations)
    try:
        store_id, timeline, scratch = _identity(engine)
        strength = _strength(durability, scratch)
        engine.set_durability(strength)
        content_turn = FileTurn(folder.path / CONTENT_LOCK) if not read_only else ThreadTurn()
        # Content is synced even under ``process``: an entry that a later sync makes durable must find its content.
        content_strength: Durability = "none" if strength == "none" else "full"
        content = SqliteContent(
            generation / CONTENT,
            durability=content_strength,
            turn=content_turn,
            read_only=read_only,
            format_number=newest_content(migrations),
        )
    except BaseException:
        engine.close()
        turn.close()
        note_closed(engine)
        raise
    return OpenStore(engine, content, folder.path, store_id, timeline, strength, created, migrations, outdated)


def _look(main: Path, migrations: tuple[Migration, ...], *, read_only: bool) -> bool:
    """Refuse a foreign or newer file before anything of ours could change it; gives whether it is an older one."""
    try:
        connection = connect(main, "reader", "full", read_only=True)
        try:
            found = check_format(View(connection), main, newest(migrations))
        finally:
            connection.close()
        return is_outdated(main.parent, found, migrations, read_only=read_only)
    except apsw.Error as exc:
        raise map_error(exc, f"open {main}") from exc


def _identity(engine: Engine) -> tuple[str, str, bool]:
    try:
        rows: dict[str, Any] = dict(engine.read(lambda view: view.all("SELECT name, value FROM meta")))
        return str(rows["store_id"]), str(rows["timeline"]), bool(rows["scratch"])
    except (KeyError, UnicodeDecodeError) as exc:
        raise StorageFailed(f"{engine.path} does not say which store it is: {exc}", code="store-damaged") from exc


def _strength(asked: Durability | None, scratch: bool) -> Durability:
    if scratch:
        if asked not in (None, "none"):
            raise InvalidInput(
                f"this store was created as scratch (durability none); it cannot promise {asked!r}",
                code="scratch-store",
                hint="create another store and copy what you need",
            )
        return "none"
    if asked == "none":
        raise InvalidInput("durability none is only for a store created as scratch", code="invalid-durability")
    return asked or "full"
