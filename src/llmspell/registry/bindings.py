"""Which keys are held against which schema, as this process knows it, and how a unit makes sure that it is still so.

What is bound is read once and kept. A unit of work compares the generation of its transaction with the one in which
that was confirmed: they differ when another process committed in between (or this one bound something), and then one
row tells whether the bindings changed. So a write with nothing bound compares two numbers, and asks nothing.

Values are checked before their unit begins. Each brings the mark of the bindings it was held against; in the unit it
is held against them again if they have another mark by then. That another unit confirmed them does not count: it says
nothing about this value. What is known only changes inside a transaction, so that nothing older ever replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.errors import Corrupt, InvalidInput
from llmspell.journal.reading import COLUMNS, check_row
from llmspell.model.values import ELSEWHERE, Held, decode_value
from llmspell.registry.kinds import SchemaRegistered
from llmspell.registry.projection import BINDINGS
from llmspell.schema import queries
from llmspell.schemas.checking import demand_unasked

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal, Writer
    from llmspell.ports.database import Reading, Row, Transaction
    from llmspell.schemas.schema import Schema

_SQL = queries("llmspell.registry")
_MARK = _SQL["mark"]
_OPEN = f"SELECT scope, prefix, since_seq, {COLUMNS} FROM ({_SQL['open_schemas']}) JOIN entry ON entry.seq = schema_seq"
_payload = msgspec.json.Decoder(SchemaRegistered).decode


@dataclass(frozen=True, slots=True)
class Binding:
    """Keys of ``scope`` (a scope's name; None: of every scope) that begin with ``prefix`` are held against a version of
    a schema. ``since_seq`` is the entry that said so.
    """

    name: str
    version: str
    scope: str | None
    prefix: str
    since_seq: int

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {
            "name": self.name,
            "version": self.version,
            "scope": self.scope,
            "prefix": self.prefix,
            "since_seq": self.since_seq,
        }


@dataclass(frozen=True, slots=True)
class Bound:
    """All bindings: for a scope's name (empty: every scope) its prefixes, the longest first, with the entry that
    bound each.

    ``mark`` is the hash of the newest entry about them, empty when there is none. A seq would not do: what a batch
    wrote that was undone had one too, and another entry has it now.
    """

    mark: bytes = b""
    by_scope: Mapping[str, tuple[tuple[str, Schema, int], ...]] = field(default_factory=dict)

    def schema(self, scope: str, key: str) -> Schema | None:
        """What a key is held against: the scope's own binding before one for every scope, then the longest prefix."""
        found = self._found(scope, key)
        return None if found is None else found[0]

    def by(self, scope: str, key: str) -> tuple[str, str, int] | None:
        """Name and version of that, and the entry that bound it; None without."""
        found = self._found(scope, key)
        return None if found is None else (found[0].name, str(found[0].version), found[1])

    def at(self, scope: str, prefix: str) -> tuple[str, str, int] | None:
        """The same of what exactly these keys are bound to (an empty scope: those of every scope)."""
        places = self.by_scope.get(scope, ())
        return next(((one.name, str(one.version), since) for bound, one, since in places if bound == prefix), None)

    def _found(self, scope: str, key: str) -> tuple[Schema, int] | None:
        for place in (scope, ""):
            for prefix, schema, since in self.by_scope.get(place, ()):
                if key.startswith(prefix):
                    return schema, since
        return None


class Bindings:
    """What is bound, for the rooms that write values. ``active`` says whether anything is. ``validators`` are this
    process's functions by name.
    """

    __slots__ = ("_journal", "active", "bound", "generation", "validators")

    def __init__(self) -> None:
        self._journal: Journal | None = None
        self.bound = Bound()
        self.active = False
        self.generation = -1
        self.validators: dict[str, Callable[[Any], Any]] = {}

    def of(self, journal: Journal) -> None:
        """The journal to load from; its units ask here from now on."""
        self._journal = journal
        journal.guard = self

    async def confirm(self, writer: Transaction | Writer) -> bool:
        """Whether what is known still holds in this transaction: one row by its key. If not, it is known after."""
        mark = _mark_in(await writer.one(_MARK, (BINDINGS,)))
        if mark == self.bound.mark:
            self.generation = writer.generation
            return True
        self.bound = bound_of(mark, await writer.all(_OPEN))
        self.active = bool(self.bound.by_scope)
        self.generation = writer.generation
        return False

    async def hold(self, writer: Writer, scope: str, key: str, raw: bytes, held: Held | None) -> None:
        """Hold a value against what its key is bound to in this transaction; see ``journal.guards``."""
        if self.generation != writer.generation:
            await self.confirm(writer)
        bound = self.bound
        if held is not None and held.mark in (bound.mark, ELSEWHERE):
            return
        schema = bound.schema(scope, key)
        if schema is not None:
            self._check(schema, key, held or Held(decode_value(raw)))

    def doubt(self) -> None:
        """Let the next unit confirm what is known."""
        self.generation = -1

    async def load(self) -> None:
        """Know what is bound now. It takes a turn at writing: a read beside it could be overtaken by a unit."""
        assert self._journal is not None  # noqa: S101 - the wiring gives it
        await self._journal.database.write(self.confirm)

    def binds(self, scope: str) -> bool:
        """Whether any key of a scope is held against anything."""
        return scope in self.bound.by_scope or "" in self.bound.by_scope

    def check(self, scope: str, key: str, held: Held, bound: Bound | None = None) -> bytes:
        """Hold a value against what its key is bound to, as far as is known, or as ``bound`` says; gives the mark of
        that. Raises InvalidInput (``schema-mismatch``), NotFound (``unknown-validator``). Messages never show the
        value.
        """
        bound = bound or self.bound
        schema = bound.schema(scope, key)
        if schema is not None:
            self._check(schema, key, held)
        return bound.mark

    def _check(self, schema: Schema, key: str, held: Held) -> None:
        demand_unasked(schema, self.validators)
        problems = schema.check(held.value, validators=self.validators)
        at = [n for n, one in enumerate(problems) if not _within(one.path, held.replaced)]
        if at and held.secret:
            veiled = schema.check(held.value, validators=self.validators, veiled=True)
            # As many, unless a validator changed its mind.
            problems = [veiled[n] for n in at] if len(veiled) == len(problems) else veiled
        else:
            problems = [problems[n] for n in at]
        if problems:
            first, more = problems[0], len(problems) - 1
            raise InvalidInput(
                f"the value of {key!r} does not meet {schema.name} {schema.version}: {first}"
                + (f" (and {more} more)" if more else ""),
                code="schema-mismatch",
                hint=f"`llmspell schema show {schema.name}` shows what it has to be",
                key=key,
                schema=schema.name,
                version=str(schema.version),
                problems=[{"path": one.path, "code": one.code, "message": one.message} for one in problems],
            )


def _within(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith((f"{place}.", f"{place}[")) for place in places)


def load_bound(view: Reading, known: Bound) -> Bound:
    """What is bound in a view, for whoever judges what is in it; ``known`` itself if that is it. One row by its key
    then.
    """
    mark = _mark_in(view.one(_MARK, (BINDINGS,)))
    return known if mark == known.mark else bound_of(mark, view.all(_OPEN))


async def is_bound(writer: Writer, known: Bound) -> bool:
    """Whether that is still what is bound, in a transaction."""
    return known.mark == _mark_in(await writer.one(_MARK, (BINDINGS,)))


def _mark_in(row: Row | None) -> bytes:
    return b"" if row is None else bytes(row[0])


def bound_of(mark: bytes, rows: Iterable[Row]) -> Bound:
    """What is bound as of the entry with the hash ``mark``, of rows of scope, prefix, the entry that bound it and that
    of a schema.
    """
    by_scope: dict[str, list[tuple[str, Schema, int]]] = {}
    for scope, prefix, since, *stored in rows:
        entry = check_row(tuple(stored))
        by_scope.setdefault(scope, []).append((prefix, schema_in(entry.payload, f"of entry {entry.seq}"), since))
    return Bound(mark, {scope: tuple(sorted(found, key=lambda one: -len(one[0]))) for scope, found in by_scope.items()})


def schema_in(payload: bytes | None, what: str) -> Schema:
    """The schema of an entry's payload."""
    from llmspell.schemas.schema import Schema

    if payload is None:
        raise Corrupt(f"the schema {what} has no entry", hint="run `llmspell verify`")
    held = _payload(payload)
    schema = Schema.from_dict(held.schema)
    if schema.hash != held.hash:
        raise Corrupt(f"the schema {what} does not match its own hash")
    return schema
