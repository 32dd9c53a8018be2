"""The bare engine's side: the very statements our store runs, replayed by apsw with nothing around them.

A *tape* is recorded from a store at work: every statement with its bindings, cut at each operation. Replaying it
against a copy of the database as it stood when recording began writes the same rows, with the same bytes and the same
indexes, in one transaction per operation; what is left out is everything we do in Python. So the budget
"1.8x the same rows by bare apsw" needs no second schema that could drift from the real one.

What the engine is spared, which makes it the stricter opponent: statements that only read (head, version, hooks' old
value), checkpoints (done between turns, outside the figure), and ``secure_delete``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from benchmarks.harness import Durability, Runner, Skipped
from benchmarks.peers import SYNCHRONOUS

CONTROL = ("BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA", "ATTACH", "DETACH")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as the engine was asked to run it, and the database file it went to."""

    file: str
    sql: str
    bindings: Any
    writes: bool


@dataclass(slots=True)
class Tape:
    """Recorded operations, and a copy of each database file as it stood before the first of them."""

    folder: Path
    operations: list[list[Statement]] = field(default_factory=list)
    bases: dict[str, Path] = field(default_factory=dict)


class Recorder:
    """Listens to every connection that is opened while it is installed."""

    def __init__(self, folder: Path) -> None:
        self._tape = Tape(folder)
        self._current: list[Statement] | None = None
        self._files: set[str] = set()

    def watch(self, connection: apsw.Connection) -> None:
        """Hear what this connection runs (an ``apsw.connection_hooks`` entry)."""
        connection.exec_trace = self._seen

    def _seen(self, cursor: Any, sql: str, bindings: Any) -> bool:
        connection = cursor if isinstance(cursor, apsw.Connection) else cursor.connection
        if connection.filename:
            self._files.add(connection.filename)
        if self._current is not None and not sql.lstrip().upper().startswith(CONTROL):
            readonly = getattr(cursor, "is_readonly", sql.lstrip().upper().startswith("SELECT"))
            self._current.append(Statement(connection.filename, sql, bindings, not readonly))
        return True

    def start(self) -> None:
        """Copy the databases seen so far; from here on statements belong to the first operation."""
        for number, name in enumerate(sorted(self._files)):
            base = self._tape.folder / f"base-{number}.db"
            with closing(apsw.Connection(name)) as source, closing(apsw.Connection(str(base))) as target:
                source.set_busy_timeout(2000)
                with target.backup("main", source, "main") as backup:
                    backup.step(-1)
            self._tape.bases[name] = base
        self._current = []

    def cut(self) -> None:
        """What was heard since the last cut is one operation."""
        assert self._current is not None, "start() comes first"
        self._tape.operations.append(self._current)
        self._current = []

    def tape(self) -> Tape:
        """Stop listening and give what was recorded."""
        self._current = None
        if not any(self._tape.operations):
            raise Skipped("the tape is empty: our store ran no statement that apsw could hear")
        return self._tape


@contextmanager
def recorder(folder: Path) -> Iterator[Recorder]:
    """A recorder that hears the connections opened inside the block."""
    listening = Recorder(folder)
    apsw.connection_hooks.append(listening.watch)
    try:
        yield listening
    finally:
        apsw.connection_hooks.remove(listening.watch)


class _Engine:
    """Bare connections to fresh copies of the bases; starts over when the tape has been played to its end."""

    def __init__(self, tape: Tape, folder: Path, durability: Durability) -> None:
        self._tape, self._folder, self._durability = tape, folder, durability
        self._connections: dict[str, apsw.Connection] = {}
        self._generation = 0

    def connection(self, file: str) -> apsw.Connection:
        if file not in self._connections:
            base = self._tape.bases.get(file)
            path = self._folder / f"{self._generation}-{len(self._connections)}.db"
            connection = apsw.Connection(str(path))
            if base is not None:
                with closing(apsw.Connection(str(base))) as source, connection.backup("main", source, "main") as backup:
                    backup.step(-1)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={SYNCHRONOUS[self._durability]}")
            connection.execute("PRAGMA cache_size=-16384")  # what our own connections have
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)  # this too: they would compile anew at each binding
            connection.wal_autocheckpoint(0)
            _warm(connection)
            self._connections[file] = connection
        return self._connections[file]

    def rewind(self) -> None:
        """Throw the copies away and begin anew."""
        self.close()
        self._generation += 1
        for file in self._tape.bases:
            self.connection(file)

    def checkpoint(self) -> None:
        for connection in self._connections.values():
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()
        for path in self._folder.glob("*.db*"):
            path.unlink()


@contextmanager
def play(tape: Tape, folder: Path, durability: Durability, *, writes: bool = True) -> Iterator[Runner]:
    """A runner that plays the tape: each operation's writes in one transaction, or (``writes=False``) its reads."""
    with ExitStack() as stack:
        engine = _Engine(tape, folder, durability)
        stack.callback(engine.close)
        engine.rewind()
        chosen = [_planned(operation, writes=writes) for operation in tape.operations]
        if not any(chosen):
            raise Skipped(f"our operation ran no statement that {'writes' if writes else 'reads'}")
        step = _write if writes else _read
        position = 0

        def played(count: int) -> float:
            nonlocal position
            batch = chosen[position : position + count]
            planned = [[(engine.connection(file), statements) for file, statements in each] for each in batch]
            start = time.perf_counter()
            for each in planned:
                step(each)
            position += len(batch)
            return time.perf_counter() - start

        def run(n: int) -> float:
            nonlocal position
            spent, left = 0.0, n
            engine.checkpoint()
            while left:
                if position + 1 >= len(chosen):
                    engine.rewind()
                    position = 0
                played(
                    1
                )  # not counted: the first commit after a checkpoint starts the log over, with a sync of its own
                count = min(left, len(chosen) - position)
                spent += played(count)
                left -= count
            return spent

        yield run


def _warm(connection: apsw.Connection) -> None:
    """Read every page once: a fresh connection must not pay for a cold cache that ours left behind long ago."""
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        connection.execute(f'SELECT count(*) FROM "{name}" NOT INDEXED').fetchall()  # noqa: S608 - names of our own schema
    indexes = "SELECT tbl_name, name FROM sqlite_master WHERE type = 'index' AND sql NOT LIKE '%WHERE%'"
    for table, index in connection.execute(indexes).fetchall():
        connection.execute(f'SELECT count(*) FROM "{table}" INDEXED BY "{index}"').fetchall()  # noqa: S608 - same


def _planned(operation: list[Statement], *, writes: bool) -> list[tuple[str, list[tuple[str, Any]]]]:
    """The statements of one operation, by database file in the order the files were first touched."""
    files: dict[str, list[tuple[str, Any]]] = {}
    for statement in operation:
        if statement.writes == writes:
            files.setdefault(statement.file, []).append((statement.sql, statement.bindings))
    return list(files.items())


def _write(planned: list[tuple[apsw.Connection, list[tuple[str, Any]]]]) -> None:
    for connection, statements in planned:
        cursor = connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        for sql, bindings in statements:
            cursor.execute(sql, bindings)
        cursor.execute("COMMIT")


def _read(planned: list[tuple[apsw.Connection, list[tuple[str, Any]]]]) -> None:
    for connection, statements in planned:
        for sql, bindings in statements:
            for _ in connection.execute(sql, bindings):
                pass


def record(folder: Path, operations: int, prepare: Callable[[], Callable[[], object]]) -> Tape:
    """Record ``operations`` calls of the callable that ``prepare`` gives once its store is open and warm."""
    with recorder(folder) as listening:
        operation = prepare()
        listening.start()
        for _ in range(operations):
            operation()
            listening.cut()
    return listening.tape()
