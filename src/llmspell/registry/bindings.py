"""Which keys are held against which schema, as this process knows it, and how a unit makes sure that it is still so.

What is bound is read once and kept. A unit of work compares the generation of its transaction with the one in which
that was confirmed: they differ when another process committed in between (or this one bound something), and then one
row tells whether the bindings changed. So a write with nothing bound compares two numbers, and asks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.errors import Corrupt, InvalidInput
from llmspell.journal.reading import COLUMNS, check_row
from llmspell.registry.kinds import SchemaRegistered
from llmspell.registry.projection import BINDINGS
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal, Writer
    from llmspell.ports.database import Reading, Row
    from llmspell.schemas.schema import Schema

_SQL = queries("llmspell.registry")
_NEWEST = _SQL["newest"]
_OPEN = f"SELECT scope, prefix, {COLUMNS} FROM ({_SQL['open_schemas']}) JOIN entry ON entry.seq = schema_seq"
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
    """All bindings as of the entry ``seq``: for a scope's name (empty: every scope) its prefixes, the longest first."""

    seq: int = 0
    by_scope: Mapping[str, tuple[tuple[str, Schema], ...]] = field(default_factory=dict)

    def schema(self, scope: str, key: str) -> Schema | None:
        """What a key is held against: the scope's own binding before one for every scope, then the longest prefix."""
        for place in (scope, ""):
            for prefix, schema in self.by_scope.get(place, ()):
                if key.startswith(prefix):
                    return schema
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

    async def confirm(self, writer: Writer) -> bool:
        """Whether what is known still holds in this transaction: one row by its key. If not, it is known after."""
        row = await writer.one(_NEWEST, (BINDINGS,))
        seq = 0 if row is None else row[0]
        self.generation = writer.generation
        if seq == self.bound.seq:
            return True
        self._know(bound_of(seq, await writer.all(_OPEN)))
        return False

    def doubt(self) -> None:
        """Let the next unit confirm what is known."""
        self.generation = -1

    async def load(self) -> None:
        """Read what is bound now."""
        assert self._journal is not None  # noqa: S101 - the wiring gives it
        self._know(await self._journal.database.read(read_bound))

    def _know(self, bound: Bound) -> None:
        self.bound = bound
        self.active = bool(bound.by_scope)

    def binds(self, scope: str) -> bool:
        """Whether any key of a scope is held against anything."""
        return scope in self.bound.by_scope or "" in self.bound.by_scope

    def check(self, scope: str, key: str, value: Any) -> None:
        """Hold a value against what its key is bound to. Raises InvalidInput (``schema-mismatch``), NotFound
        (``unknown-validator``). Messages never show the value.
        """
        schema = self.bound.schema(scope, key)
        if schema is None:
            return
        problems = schema.check(value, validators=self.validators)
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


def read_bound(view: Reading) -> Bound:
    """What is bound now, with the schemas."""
    row = view.one(_NEWEST, (BINDINGS,))
    return bound_of(0 if row is None else row[0], view.all(_OPEN))


def bound_of(seq: int, rows: Iterable[Row]) -> Bound:
    """What is bound as of the entry ``seq``, of rows with a scope, a prefix and the entry of a schema."""
    by_scope: dict[str, list[tuple[str, Schema]]] = {}
    for scope, prefix, *stored in rows:
        entry = check_row(tuple(stored))
        by_scope.setdefault(scope, []).append((prefix, schema_in(entry.payload, f"of entry {entry.seq}")))
    return Bound(seq, {scope: tuple(sorted(found, key=lambda one: -len(one[0]))) for scope, found in by_scope.items()})


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
