"""The registry of schemas: registering versions, binding keys to them, asking about both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from unicodedata import is_normalized

from llmspell.errors import InvalidInput, LlmspellError, NotFound
from llmspell.hooks.moment import run_point
from llmspell.journal.reading import COLUMNS, check_rows
from llmspell.model import limits
from llmspell.model.arguments import is_async
from llmspell.model.keys import check_key
from llmspell.model.scope import Scope
from llmspell.model.telling import told
from llmspell.registry.bindings import Binding, schema_in
from llmspell.registry.kinds import SchemaBound, SchemaRegistered, SchemaUnbound
from llmspell.registry.projection import BOUND, REGISTERED, SCHEMAS, UNBOUND
from llmspell.schema import queries

if TYPE_CHECKING:
    from pathlib import Path

    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal, Writer
    from llmspell.ports.database import Reading
    from llmspell.registry.bindings import Bindings
    from llmspell.schemas.catalog import Catalog
    from llmspell.schemas.checking import Problem, Validators
    from llmspell.schemas.compatibility import Compatibility
    from llmspell.schemas.schema import Schema

_SQL = queries("llmspell.registry")
_PAGE_ROWS = 500


class AsyncSchemas:
    """Schemas of state values: ``store.schemas``. What is registered and bound survives restarts and holds in every
    process from its next write on.
    """

    def __init__(self, journal: Journal, hooks: Hooks, acting: Acting, offload: Any, bindings: Bindings) -> None:
        self._journal = journal
        self._hooks = hooks
        self._acting = acting
        self._offload = offload
        self._bindings = bindings
        self._known: tuple[int, Catalog] | None = None

    # -- schemas -------------------------------------------------------------------------------------------------------

    async def register(self, schema: Schema | dict[str, Any], *, validators: Validators | None = None) -> Schema:
        """Add a version of a schema, given as a ``Schema`` or as the dict of one, and return it. A version that is
        there with the same content is nothing new, and writes nothing. ``validators``: functions by name, that also
        judge the values which try what the version promises; without them only rules do where a validator is named.

        Writes ``schema.registered``. Raises InvalidInput (``invalid-schema``, ``schema-cycle``, ``schema-incompatible``
        with ``details["changes"]``), NotFound (``schema-dependency``), Conflict (``schema-exists``), Vetoed.
        """
        (made,) = await self.register_all([schema], validators=validators)
        return made

    async def register_all(
        self, schemas: Iterable[Schema | dict[str, Any]], *, validators: Validators | None = None
    ) -> list[Schema]:
        """Add several, whatever the order of their dependencies: all, or none. Returns them as they are registered."""
        if isinstance(schemas, str | dict) or not isinstance(schemas, Iterable):
            raise InvalidInput(f"schemas are a list of them, not {told(schemas)}", code="invalid-schema")
        _check_validators(validators)
        given = [_schema(one) for one in schemas]
        context = self._acting.context()
        asked: set[str] = set()
        while True:
            seq, catalog = await self._catalog()
            new = [one for one in dict.fromkeys(given) if not _has(catalog, one)]
            larger = await self._offload.run(catalog.adding_all, given, validators=validators)
            for one in new:
                if one.hash not in asked:  # Asked once, however often others registered in between.
                    asked.add(one.hash)
                    data = {"name": one.name, "version": str(one.version), "schema": one.to_dict()}
                    await run_point(self._hooks, context, "before_schema_register", "schema", "register", data)
            if not new or await self._journal.write(lambda writer: _register(writer, new, seq), context=context):  # noqa: B023 - called within the turn
                break
        for one in new:
            data = {"name": one.name, "version": str(one.version), "schema": one.to_dict()}
            await run_point(self._hooks, context, "after_schema_register", "schema", "register", data)
        return [larger.get(one.name, one.version) for one in given]

    async def load_folder(self, path: str | Path) -> list[Schema]:
        """Register the schemas in the ``*.json`` and ``*.toml`` files of a folder, all or none. A file holds one
        schema, or a list of them (in TOML under ``schemas``).

        Raises NotFound (``folder-not-found``), and what ``register`` raises, with the name of the file.
        """
        from llmspell.registry.folder import naming, read_folder

        found = await self._offload.run(read_folder, path)
        try:
            return await self.register_all([schema for _, schema in found])
        except LlmspellError as exc:
            raise naming(found, exc) from exc

    async def get(self, name: str, version: str | None = None) -> Schema:
        """A version of a schema, the latest unless one is named. Raises NotFound (``schema-not-found``)."""
        return (await self._catalog())[1].get(name, version)

    async def versions(self, name: str) -> list[str]:
        """The versions of a schema, the latest last; empty when there is none of that name."""
        return [str(one.version) for one in (await self._catalog())[1].versions(name)]

    async def compare(self, name: str, old: str, new: str) -> Compatibility:
        """What changed between two versions, for whom it breaks, and why. Some milliseconds: it also tries generated
        values.
        """
        from llmspell.schemas.compatibility import compare

        catalog = (await self._catalog())[1]
        one, other = catalog.get(name, old), catalog.get(name, new)
        found: Compatibility = await self._offload.run(compare, one, other)
        return found

    async def check(self, value: Any, name: str, version: str | None = None) -> list[Problem]:
        """What is wrong with a value; nothing when it meets the schema. Messages never show the value."""
        schema = await self.get(name, version)
        return schema.check(value, validators=self._bindings.validators)

    def validator(self, name: str, function: Callable[[Any], Any]) -> None:
        """Make known what a validator of that name does, in this process: of a part of a value, None or True when it is
        good, False or a text that says why not otherwise. Raises InvalidInput (``invalid-validator``).
        """
        if type(name) is not str or not name or not callable(function):
            raise InvalidInput("a validator is a name and a function", code="invalid-validator")
        if is_async(function):
            raise InvalidInput("a validator is a plain function, not an async one", code="invalid-validator")
        self._bindings.validators[name] = function

    # -- bindings ------------------------------------------------------------------------------------------------------

    async def bind(
        self, name: str, version: str | None = None, *, scope: Scope | None = None, prefix: str = ""
    ) -> Binding:
        """Hold values of keys against a version of a schema (the latest release by now, unless one is named; where
        none is released, the latest): of the keys that begin with ``prefix``, in one scope or in all. Returns what
        holds; the same again writes nothing.

        From then on every write of such a value is refused with InvalidInput (``schema-mismatch``) unless it meets the
        schema, except those of the classes trusted and ephemeral. What is stored already is not looked at. A scope's
        own binding goes before one for all scopes, then the longest prefix. Writes ``schema.bound``. Raises
        InvalidInput (``invalid-prefix``, also for one that no key begins with), NotFound (``schema-not-found``),
        Conflict (``migration-running``: one of such values is open, or is being taken back, and binds them itself).
        """
        schema = await (self.get(name, version) if version is not None else self._latest(name))
        place, prefix = _place(scope), _beginning(prefix)
        wanted = SchemaBound(place, prefix, schema.name, str(schema.version))

        async def unit(writer: Writer) -> int:
            row = await writer.one(_SQL["open_one"], (place, prefix))
            if row is not None and row[:2] == (wanted.name, wanted.version):
                return int(row[2])
            await self._demand_settled(writer, place, prefix)
            self._bindings.doubt()
            return await writer.append(BOUND, wanted, await writer.scope("global"), f"binding/{place}/{prefix}")

        since = await self._journal.write(unit, context=self._acting.context())
        return Binding(wanted.name, wanted.version, place or None, prefix, since)

    async def unbind(self, *, scope: Scope | None = None, prefix: str = "") -> bool:
        """End the binding of exactly these keys; False when there was none. Writes ``schema.unbound``. Raises
        InvalidInput (``invalid-prefix``), Conflict (``migration-running``), as ``bind`` does.
        """
        place, prefix = _place(scope), check_prefix(prefix)

        async def unit(writer: Writer) -> bool:
            if await writer.one(_SQL["open_one"], (place, prefix)) is None:
                return False
            await self._demand_settled(writer, place, prefix)
            payload = SchemaUnbound(place, prefix)
            self._bindings.doubt()
            await writer.append(UNBOUND, payload, await writer.scope("global"), f"binding/{place}/{prefix}")
            return True

        return await self._journal.write(unit, context=self._acting.context())

    async def bindings(self) -> list[Binding]:
        """What is bound now, by scope and prefix."""
        rows = await self._journal.database.read(lambda view: view.all(_SQL["open"]))
        return [_binding(row) for row in rows]

    async def bound(self, key: str, *, scope: Scope | None = None, seq: int | None = None) -> Binding | None:
        """What a key is held against (``scope`` None: the global one), now or when entry ``seq`` was written."""
        key, place = check_key(key), _place(scope) or "global"
        if seq is not None and (type(seq) is not int or not 0 <= seq < 1 << 63):
            raise InvalidInput(f"seq is an entry's number, not {told(seq)}", code="invalid-seq")
        at = (1 << 63) - 1 if seq is None else seq
        row = await self._journal.database.read(lambda view: view.one(_SQL["at"], (place, key, at)))
        return None if row is None else _binding(row)

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _demand_settled(self, writer: Writer, place: str, prefix: str) -> None:
        if writer.settled is not None:
            await writer.settled.demand_prefix(writer, place or None, prefix)

    async def _latest(self, name: str) -> Schema:
        """The latest release; where there is none, the latest version."""
        released = [one for one in (await self._catalog())[1].versions(name) if one.version.released]
        return released[-1] if released else await self.get(name)

    async def _catalog(self) -> tuple[int, Catalog]:
        """All schemas, and the newest entry about them."""
        known = self._known
        row = await self._journal.database.one(_SQL["newest"], (SCHEMAS,))
        newest = 0 if row is None else row[0]
        if known is None or known[0] != newest:
            known = self._known = await self._read_catalog(newest)
        return known

    async def _read_catalog(self, newest: int) -> tuple[int, Catalog]:
        from llmspell.schemas.catalog import Catalog

        found: list[Schema] = []
        after = 0
        while after < newest:

            def query(view: Reading, after: int = after) -> list[Any]:
                seqs = [row[0] for row in view.all(_SQL["schemas"], (after, _PAGE_ROWS))]
                marks = ",".join("?" * len(seqs))
                return check_rows(view.all(f"SELECT {COLUMNS} FROM entry WHERE seq IN ({marks}) ORDER BY seq", seqs))

            page = [entry for entry in await self._journal.database.read(query) if entry.seq <= newest]
            if not page:
                break
            found += [schema_in(entry.payload, f"of entry {entry.seq}") for entry in page]
            after = page[-1].seq
        return newest, Catalog.of(found)

    async def list(self) -> list[Schema]:
        """All schemas, by name and then from the oldest version to the latest."""
        return [*(await self._catalog())[1]]


async def _register(writer: Writer, schemas: list[Schema], seq: int) -> bool:
    """Append those; False when somebody registered another in between."""
    row = await writer.one(_SQL["newest"], (SCHEMAS,))
    if (0 if row is None else row[0]) != seq:
        return False
    scope = await writer.scope("global")
    for one in schemas:
        payload = SchemaRegistered(one.name, str(one.version), one.hash, one.to_dict())
        await writer.append(REGISTERED, payload, scope, f"schema/{one.name}")
    return True


def _has(catalog: Catalog, schema: Schema) -> bool:
    try:
        return catalog.get(schema.name, schema.version) == schema
    except NotFound:
        return False


def _schema(given: Any) -> Schema:
    from llmspell.schemas.schema import Schema

    return given if isinstance(given, Schema) else Schema.from_dict(given)


def _check_validators(validators: Any) -> None:
    known = {} if validators is None else validators
    if not isinstance(known, Mapping) or not all(type(name) is str and callable(one) for name, one in known.items()):
        raise InvalidInput(f"validators are functions by their names, not {told(known)}", code="invalid-validator")


def check_prefix(prefix: object) -> str:
    """What keys begin with: a text that some key has at its beginning. Raises InvalidInput (``invalid-prefix``)."""
    if type(prefix) is not str or len(prefix.encode("utf-8", "replace")) > limits.KEY_BYTES_MAX:
        raise InvalidInput(
            f"a prefix is a text of at most {limits.KEY_BYTES_MAX} bytes, not {told(prefix)}", code="invalid-prefix"
        )
    if not is_normalized("NFC", prefix) or any("\ud800" <= char <= "\udfff" for char in prefix):
        raise InvalidInput(f"no key begins with {told(prefix)}: keys are in normal form C", code="invalid-prefix")
    return prefix


def _beginning(prefix: str) -> str:
    """A prefix that some key begins with. Raises InvalidInput (``invalid-prefix``)."""
    if check_prefix(prefix):
        try:
            check_key(prefix)
        except InvalidInput as exc:
            raise InvalidInput(
                f"no key begins with {told(prefix)}: {exc.message}", code="invalid-prefix", rule=exc.details.get("rule")
            ) from exc
    return prefix


def _place(scope: Scope | None) -> str:
    if scope is not None and not isinstance(scope, Scope):
        raise InvalidInput(f"a scope is a Scope, not {told(scope)}", code="invalid-scope", hint="Scope.parse(text)")
    return "" if scope is None else scope.name


def _binding(row: tuple[Any, ...]) -> Binding:
    scope, prefix, since_seq, name, version = row
    return Binding(name, version, scope or None, prefix, since_seq)
