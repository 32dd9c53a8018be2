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
from llmspell.adapters.sqlite.content_connections import PAGE_BYTES as CONTENT_PAGE_BYTES
from llmspell.adapters.sqlite.engine import Engine
from llmspell.adapters.sqlite.errors import map_error
from llmspell.adapters.sqlite.folder import StoreFolder
from llmspell.adapters.sqlite.formats import CONTENT, Finish, check_format, is_outdated, migrate
from llmspell.adapters.sqlite.head_mark import check_mark, marking
from llmspell.adapters.sqlite.inherited import check_not_inherited, note_closed, note_open
from llmspell.adapters.sqlite.sealed_files import seal_file, unseal_file
from llmspell.adapters.sqlite.turnstile import FileTurn, ThreadTurn
from llmspell.errors import InvalidInput, StorageFailed, WrongKey
from llmspell.model.entry import GENESIS, Head
from llmspell.model.ids import Ids, id_text
from llmspell.ports.sealing import StoreCipher, Vault
from llmspell.schema import APPLICATION_ID, FORMAT, first_tables, script
from llmspell.schema.migrations import MIGRATIONS, Migration, newest, newest_content

CONTENT_LOCK = "content.lock"
"""The lock file at which writers of the content file queue."""
MAIN_FILE = "main.db"
MAIN_PAGE_BYTES = 4096
_CREATIONS_MAX = 100
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
    cipher: StoreCipher | None = None
    """What seals the files of an encrypted store."""

    def check_mark(self) -> None:
        """Raises Corrupt (``head-mark``) when the head of an encrypted store was not written by a holder of its key."""
        if self.cipher is not None:
            check_mark(self.engine, self.cipher, self.timeline)

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
        if self.cipher is not None and isinstance(self.engine.path, Path):
            unseal(self.engine.path.parent)


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

    def holds(self, table: str) -> bool:
        """Whether a table has rows."""
        return next(self._connection.execute(f"SELECT 1 FROM {table} LIMIT 1"), None) is not None


def check_durability(durability: str | None) -> None:
    """Refuse a durability that is none."""
    if durability is not None and durability not in _DURABILITIES:
        raise InvalidInput(
            f"durability is one of {', '.join(_DURABILITIES)}, not {durability!r}", code="invalid-durability"
        )


def create_tables(
    connection: apsw.Connection, ids: Ids, *, scratch: bool, store_id: str | None = None, whole: bool = False
) -> None:
    """The tables and the identity of a new store, in one transaction; with ``whole`` also those that are made later."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(script("main.sql") if whole else first_tables())
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={FORMAT}")
    store_id, timeline = store_id or id_text(ids.new()), id_text(ids.new())
    for name, value in (("store_id", store_id), ("timeline", timeline), ("scratch", int(scratch))):
        connection.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (name, value))
    connection.execute("INSERT INTO scope (id, name, salt) VALUES (1, 'global', ?)", (ids.salt(),))
    connection.execute("COMMIT")


def open_store(
    path: Path | str, ids: Ids, *, create: bool = True, read_only: bool = False, durability: Durability | None = None,
    migrations: tuple[Migration, ...] = MIGRATIONS, encrypt: bool = False, vault: Vault | None = None,
) -> OpenStore:  # fmt: skip
    """Open (or create) a store's files. Raises StoreMissing, InvalidInput (``foreign-store``), NeedsMigration, Busy,
    WrongKey.

    A store created with durability ``none`` is scratch for ever: nothing stronger can be promised for its files, and
    nothing weaker than ``process`` for any other. One made with ``encrypt`` is sealed for ever, by a key from
    ``vault``; one that was not is refused. Files of an older format are opened as they are: the caller has them
    migrated, by ``migrate``, before anything else is done with them.
    """
    check_durability(durability)
    if str(path) == MEMORY:
        if encrypt:
            raise InvalidInput("a store in memory has no files to encrypt", code="no-folder")
        return _open_memory(ids, read_only=read_only, durability=durability)
    folder = StoreFolder(Path(path).absolute())
    created = False
    if not folder.exists:
        folder.check_free()
        if not create or read_only:
            folder.generation()
        created = _create(folder, ids, scratch=durability == "none", vault=vault if encrypt else None)
    generation = folder.generation()
    cipher = _unlocked(folder, generation, vault, encrypt=encrypt)
    try:
        return _open_folder(
            folder, generation, read_only=read_only, durability=durability, created=created, cipher=cipher,
            migrations=migrations,
        )  # fmt: skip
    except BaseException:
        if cipher is not None:
            unseal(generation)
        raise


def is_new(path: Path | str) -> bool:
    """Whether a store would have to be made here."""
    return str(path) != MEMORY and not StoreFolder(Path(path).absolute()).exists


def _open_memory(ids: Ids, *, read_only: bool, durability: Durability | None) -> OpenStore:
    if durability not in (None, "none"):
        raise InvalidInput(
            f"a store in memory cannot have durability {durability!r}", code="invalid-durability", hint="name a folder"
        )
    if read_only:
        raise InvalidInput("a store in memory that cannot be written is always empty", code="invalid-input")
    engine = Engine(MEMORY, ThreadTurn(), "none")
    create_tables(engine.writer, ids, scratch=True, whole=True)
    content = SqliteContent(MEMORY, durability="none")
    store_id, timeline, _ = _identity(engine)
    return OpenStore(engine, content, None, store_id, timeline, "none", True)


def _unlocked(folder: StoreFolder, generation: Path, vault: Vault | None, *, encrypt: bool) -> StoreCipher | None:
    """What opens an encrypted store; its files are sealed ones from here on. None for a plain store."""
    store_id = folder.sealed_as(generation)
    if store_id is None:
        if encrypt:
            raise InvalidInput(
                f"the store at {folder.path} was not made encrypted, and cannot become so",
                code="not-encrypted",
                hint="make another store with encrypt=True, and copy what you need",
            )
        return None
    if vault is None:
        raise WrongKey(f"the store at {folder.path} is encrypted, and no key was given", code="key-needed")
    cipher = vault.unlock(store_id, folder.path)
    seal(generation, cipher)
    return cipher


def seal(generation: Path, cipher: StoreCipher) -> None:
    """Have the databases of a generation opened as sealed files."""
    seal_file(generation / MAIN_FILE, MAIN_PAGE_BYTES, cipher)
    seal_file(generation / CONTENT, CONTENT_PAGE_BYTES, cipher)


def unseal(generation: Path) -> None:
    """The counterpart of ``seal``."""
    unseal_file(generation / MAIN_FILE)
    unseal_file(generation / CONTENT)


def _create(folder: StoreFolder, ids: Ids, *, scratch: bool, vault: Vault | None) -> bool:
    """Make a store, unless another process was quicker; everything is on disk before its name is. What came to nothing
    leaves no folder.
    """
    made = folder.missing()
    turn = _turn_to_create(folder)
    try:
        if folder.exists:
            return False
        generation = folder.first_generation()
        store_id = id_text(ids.new())
        if vault is None:
            _create_main(generation, ids, store_id, scratch=scratch)
        else:
            cipher = vault.make(store_id, folder.path)
            folder.note_sealed(generation, store_id)
            seal(generation, cipher)
            try:
                _create_main(generation, ids, store_id, scratch=scratch)
            finally:
                unseal(generation)
        folder.publish(generation)
    except BaseException as exc:
        if not folder.exists:
            folder.unmake(made)
        if isinstance(exc, apsw.Error):
            raise map_error(exc, f"create a store at {folder.path}") from exc
        if isinstance(exc, OSError):
            raise StorageFailed(f"cannot create a store at {folder.path}: {exc}", code="cannot-create") from exc
        raise
    finally:
        turn.release()
        turn.close()
    return True


def _turn_to_create(folder: StoreFolder) -> FileTurn:
    """The turn, taken. Whoever had it before may have given up and taken folder and lock file away: then anew."""
    for _ in range(_CREATIONS_MAX):
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            turn = FileTurn(folder.lock)
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise StorageFailed(
                f"cannot create a store at {folder.path}: {exc.strerror}", code="cannot-create"
            ) from exc
        try:
            turn.acquire()
        except BaseException:
            turn.close()
            raise
        if turn.stands():
            return turn
        turn.release()
        turn.close()
    raise StorageFailed(
        f"cannot create a store at {folder.path}: others give up there again and again", code="cannot-create"
    )


def _create_main(generation: Path, ids: Ids, store_id: str, *, scratch: bool) -> None:
    connection = connect(generation / MAIN_FILE, "checkpointer", "full")
    try:
        create_tables(connection, ids, scratch=scratch, store_id=store_id)
    finally:
        connection.close()


def _open_folder(
    folder: StoreFolder, generation: Path, *, read_only: bool, durability: Durability | None, created: bool,
    cipher: StoreCipher | None, migrations: tuple[Migration, ...],
) -> OpenStore:  # fmt: skip
    main = generation / MAIN_FILE
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
            generation / CONTENT, durability=content_strength, turn=content_turn, read_only=read_only,
            format_number=newest_content(migrations), cipher=cipher,
        )  # fmt: skip
        if cipher is not None:
            check_mark(engine, cipher, timeline)
            engine.before_commit = marking(cipher, timeline)
    except BaseException:
        engine.close()
        turn.close()
        note_closed(engine)
        raise
    return OpenStore(engine, content, folder.path, store_id, timeline, strength, created, migrations, outdated, cipher)


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
