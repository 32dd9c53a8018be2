"""What units of work ask of rooms that they know nothing of: rules that another process may have changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from llmspell.journal.journal import Writer
    from llmspell.ports.database import Transaction


class Guard(Protocol):
    """What writers of values rely on, although another process may change it: which keys are held against a schema."""

    generation: int
    """The generation of the transaction that it was last confirmed in."""
    active: bool
    """Whether anything is held against a schema, as far as was confirmed."""

    async def confirm(self, writer: Transaction | Writer) -> bool:
        """Whether what was known holds in this transaction; if not, it is known now."""
        ...

    async def hold(self, writer: Writer, scope: str, key: str, raw: bytes, held: Any) -> None:
        """Hold a value (its JSON, or what ``held`` says of it) against what its key is bound to in this transaction,
        unless ``held`` says that just this was done. Raises InvalidInput, NotFound.
        """
        ...

    def binds(self, scope: str) -> bool:
        """Whether values of a scope are held against anything."""
        ...

    def doubt(self) -> None:
        """Let the next unit confirm it: this one changes it."""
        ...


class Defaults(Protocol):
    """Rules of scopes that another process may change: the class that keys get whose writer names none."""

    generation: int
    """The generation of the transaction that it was last confirmed in."""
    active: bool
    """Whether any scope has such a rule, as far as was confirmed."""

    async def of(self, writer: Writer, scope_name: str, scope_id: int) -> str:
        """The class of a scope's new keys in this transaction."""
        ...

    def doubt(self) -> None:
        """Let the next unit confirm it: this one changes it."""
        ...


class Settled(Protocol):
    """What units ask that take values on from where they are, or say what they are: some of them may be in the middle
    of a migration, changed or not yet. One statement while none is open. Raises Conflict (``migration-running``).
    """

    async def demand_keys(self, writer: Writer, scope: str, keys: Iterable[str]) -> None:
        """None of these keys of a scope is."""
        ...

    async def demand_prefix(self, writer: Writer, scope: str | None, prefix: str) -> None:
        """No key that begins so is, in a scope (by name; None: in all)."""
        ...
