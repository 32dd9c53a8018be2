"""All schemas that are known, by name and version, and what may be added to them.

A catalog is a value: adding a schema gives another catalog. What must stay true: a version of a schema never changes
its content; each dependency is met by a schema that is there; dependencies never lead back to where they began; and
every version keeps the level of compatibility that it promises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import islice

from llmspell.errors import Conflict, InvalidInput, NotFound
from llmspell.model.telling import told
from llmspell.schemas.checking import Validators
from llmspell.schemas.compatibility import EXAMPLES, Compatibility, compare
from llmspell.schemas.schema import Schema
from llmspell.schemas.version import Requirement, Version

_Versions = dict[Version, Schema]


class Catalog:
    """Schemas by name and version. Immutable."""

    __slots__ = ("_schemas",)

    def __init__(self) -> None:
        self._schemas: dict[str, _Versions] = {}

    @classmethod
    def of(cls, schemas: Iterable[Schema]) -> Catalog:
        """A catalog of schemas that were added one by one before: nothing is checked again."""
        made = cls()
        for schema in schemas:
            made._schemas.setdefault(schema.name, {})[schema.version] = schema
        return made

    def __len__(self) -> int:
        return sum(map(len, self._schemas.values()))

    def __iter__(self) -> Iterator[Schema]:
        """All schemas, by name and then from the oldest version to the latest."""
        return (schema for name in sorted(self._schemas) for schema in self.versions(name))

    def names(self) -> list[str]:
        """The names, sorted."""
        return sorted(self._schemas)

    def versions(self, name: str) -> list[Schema]:
        """The versions of a schema, the latest last; empty when there is none of that name. Raises InvalidInput
        (``invalid-schema``) for what is no name.
        """
        if type(name) is not str:
            raise InvalidInput(f"a schema is named by a text, not {told(name)}", code="invalid-schema")
        return [schema for _, schema in sorted(self._schemas.get(name, {}).items(), key=lambda item: item[0])]

    def get(self, name: str, version: str | Version | None = None) -> Schema:
        """A version of a schema, the latest unless it is named. Raises NotFound (``schema-not-found``)."""
        versions = self.versions(name)
        if version is not None:
            wanted = Version.parse(version)
            versions = [schema for schema in versions if schema.version == wanted]
        if not versions:
            raise NotFound(
                f"there is no schema {told(name)}" + ("" if version is None else f" of version {version}"),
                code="schema-not-found",
                hint=self._known(name),
            )
        return versions[-1]

    def adding(self, schema: Schema, *, values: int = EXAMPLES, validators: Validators | None = None) -> Catalog:
        """The catalog with a schema more; itself when it has this very schema.

        Raises Conflict (``schema-exists``: this version has other content), NotFound (``schema-dependency``: none that
        is known will do), InvalidInput (``schema-cycle``; ``schema-incompatible``: a promise is broken,
        ``details["changes"]`` says by what). ``values`` and ``validators`` are handed on to ``compare``.
        """
        there = self._schemas.get(schema.name, {}).get(schema.version)
        if there is not None:
            if there == schema:
                return self
            raise Conflict(
                f"{schema.name} {schema.version} is registered with other content",
                code="schema-exists",
                hint="a version never changes: give the schema a new version",
                name=schema.name,
                version=str(schema.version),
            )
        larger = self._with(schema)
        larger.dependencies(schema)
        for comparison, level in self.promises(schema, values=values, validators=validators):
            broken = comparison.against(level)
            if broken:
                raise InvalidInput(
                    f"{schema.name} {comparison.new} breaks the level {level} against {comparison.old}:"
                    f" {broken[0].path}: {broken[0].explanation}"
                    + (f" (and {len(broken) - 1} more)" * (len(broken) > 1)),
                    code="schema-incompatible",
                    hint="raise the major version and give a migration, or declare compatibility='none'",
                    changes=[change.to_dict() for change in broken],
                    name=schema.name,
                    version=str(schema.version),
                )
        return larger

    def adding_all(self, schemas: Iterable[Schema], *, validators: Validators | None = None) -> Catalog:
        """The catalog with several more, whatever their order; all or, when one is refused, none.

        Raises as ``adding`` does; ``schema-cycle`` names the schemas that wait for each other.
        """
        catalog, waiting = self, sorted(schemas, key=lambda one: (one.name, one.version))
        while waiting:
            ready = [one for one in waiting if all(catalog._resolve(*need) for need in one.dependencies.items())]
            if not ready:
                # Each of them waits for another one, or for what nobody has: following any of them finds out which.
                for one in waiting:
                    catalog = catalog._with(one)
                catalog.dependencies(waiting[0])
            for schema in ready:
                catalog = catalog.adding(schema, validators=validators)
            waiting = [one for one in waiting if one not in ready]
        return catalog

    def promises(
        self, schema: Schema, *, values: int = EXAMPLES, validators: Validators | None = None
    ) -> Iterator[tuple[Compatibility, str]]:
        """The comparisons that a schema has to stand, with the level that the newer of the two promises."""
        if not schema.version.released:
            return
        line = [
            one
            for one in self.versions(schema.name)
            if one.version.released and one.version.line == schema.version.line and one.version != schema.version
        ]
        older = [one for one in reversed(line) if one.version < schema.version]
        newer = [one for one in line if one.version > schema.version]
        for one in islice(older, None if schema.compatibility.transitive else 1):
            yield compare(one, schema, values=values, validators=validators), schema.compatibility
        for at, one in enumerate(newer):
            if at == 0 or one.compatibility.transitive:
                yield compare(schema, one, values=values, validators=validators), one.compatibility

    def dependencies(self, schema: Schema) -> list[Schema]:
        """What a schema depends on, directly or not: each before what needs it.

        Raises NotFound (``schema-dependency``) for what is not known, InvalidInput (``schema-cycle``).
        """
        needs: dict[Schema, list[Schema]] = {}
        waiting = [schema]
        while waiting:
            one = waiting.pop()
            if one not in needs:
                needs[one] = [self._needed(one, *need) for need in one.dependencies.items()]
                waiting += needs[one]
        try:
            return list(TopologicalSorter(needs).static_order())[:-1]
        except CycleError as exc:
            names = [one.name for one in exc.args[1]]
            raise InvalidInput(
                f"schemas depend on each other in a circle: {' <- '.join(names)}", code="schema-cycle", names=names
            ) from None

    def _with(self, schema: Schema) -> Catalog:
        larger = Catalog()
        larger._schemas = {**self._schemas, schema.name: {**self._schemas.get(schema.name, {}), schema.version: schema}}
        return larger

    def _resolve(self, name: str, requirement: Requirement) -> Schema | None:
        return next((one for one in reversed(self.versions(name)) if requirement.admits(one.version)), None)

    def _needed(self, schema: Schema, name: str, requirement: Requirement) -> Schema:
        found = self._resolve(name, requirement)
        if found is None:
            raise NotFound(
                f"{schema.name} {schema.version} depends on {name} {requirement.text}, which is not known",
                code="schema-dependency",
                hint=self._known(name),
                name=schema.name,
                version=str(schema.version),
            )
        return found

    def _known(self, name: str) -> str:
        versions = ", ".join(str(schema.version) for schema in self.versions(name)[-10:])
        if versions:
            return f"known versions of {name}: {versions}"
        return f"known schemas: {', '.join(self.names()[:20])}" if self._schemas else "no schema is registered"
