"""The class that new keys of a scope get from whoever does not choose one: a rule of the scope, kept in the store.

What must stay true: a unit that makes a key without a class of its own knows the rule as of its transaction. Most
scopes have none, and ask nothing: what is known is confirmed once for each generation of transactions, by the newest
entry about any default, and looked up once for a scope. In a fork the rule of the session that it left holds until it
has one of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmspell.errors import InvalidInput
from llmspell.journal.asking import Asking, Asks, driven
from llmspell.journal.lineage import ALWAYS, Lineage
from llmspell.schema import queries
from llmspell.state.classes import StateClass, check_class
from llmspell.state.kinds import StateDefaultSet
from llmspell.state.projection import DEFAULT_SET, DEFAULTS

if TYPE_CHECKING:
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal, Writer

_SQL = queries("llmspell.state")
_MARK, _DEFAULT = _SQL["mark"], _SQL["default_class"]
_KNOWN_MAX = 10_000
"""Scopes whose rule is known; more only ask again."""


class ClassDefaults:
    """The rules as this process knows them; see ``journal.Defaults``."""

    __slots__ = ("_known", "_mark", "active", "generation")

    def __init__(self) -> None:
        self.active = False
        self.generation = -1
        self._mark = b""
        self._known: dict[str, str] = {}

    async def of(self, writer: Writer, scope_name: str, scope_id: int) -> str:
        """The class of a scope's new keys in this transaction; ``standard`` where there is no rule."""
        if self.generation != writer.generation:
            row = await writer.one(_MARK, (DEFAULTS,))
            mark = b"" if row is None else row[0]
            if mark != self._mark:
                self._known.clear()
                self._mark, self.active = mark, bool(mark)
            # What this unit wrote itself may be undone with it.
            self.generation = -1 if writer.appended else writer.generation
        if not self.active:
            return "standard"
        found = self._known.get(scope_name)
        if found is None:
            found = await default_in(writer, scope_id, writer.lineage(scope_name))
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            self._known[scope_name] = found
        return found

    def doubt(self) -> None:
        """Let the next unit confirm what is known: this one changes it."""
        self.generation = -1


async def default_in(asks: Asks, scope_id: int, lineage: Lineage | None) -> str:
    """The class of a scope's new keys, by the tables; ``standard`` where there is no rule."""
    places = [(scope_id, ALWAYS)] if lineage is None else [(level.scope, level.bound) for level in lineage]
    for scope, bound in places:
        row = await asks.one(_DEFAULT, (scope, bound))
        if row is not None:
            return str(row[0])
    return "standard"


async def default_now(journal: Journal, scope_name: str) -> str:
    """The class that new keys of a scope get now, read outside of a unit."""
    scope = await journal.scope(scope_name)
    if scope is None:
        return "standard"
    lineage = journal.scopes.lineages.get(scope_name)
    return await journal.database.read(
        lambda view: (
            "standard" if view.one(_MARK, (DEFAULTS,)) is None else driven(default_in(Asking(view), scope[0], lineage))
        )
    )


class Defaulting:
    """The part of ``AsyncState`` about the class that new keys get."""

    _journal: Journal
    _acting: Acting
    _name: str

    async def default_class(self) -> StateClass:
        """The class that a new key of this scope gets from whoever names none; ``standard`` unless it was set."""
        return StateClass(await default_now(self._journal, self._name))

    async def set_default_class(self, state_class: StateClass | str) -> bool:
        """Have keys that are new in this scope kept so, whoever sets them, in every process and from now on; False when
        it was so already.

        Keys that there are keep their class, a class that a call or its handle names wins, and what is copied or moved
        here keeps the class that it had. ``standard`` ends the rule. A fork has the rule that its origin had
        where it left. Writes one ``state.default_set`` entry. Raises InvalidInput (``invalid-class``; ``ephemeral``
        keys live in one process, so they are no rule of a store).
        """
        named = check_class(state_class)
        if named is None or named == "ephemeral":
            raise InvalidInput(
                f"the default class of a scope is one that is stored, not {named or 'None'}", code="invalid-class",
                hint="standard, trusted, sensitive or external",
            )  # fmt: skip
        chosen = named

        async def unit(writer: Writer) -> bool:
            scope = await writer.existing_scope(self._name)
            now = "standard"
            if scope is not None and await writer.one(_MARK, (DEFAULTS,)) is not None:
                now = await default_in(writer, scope[0], writer.lineage(self._name))
            if now == chosen:
                return False
            scope = scope or await writer.scope(self._name)
            await writer.append(DEFAULT_SET, StateDefaultSet(self._name, chosen), scope, "default class")
            if writer.defaults is not None:
                writer.defaults.doubt()
            return True

        return await self._journal.write(unit, context=self._acting.context())
