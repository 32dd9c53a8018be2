"""What an export of a session, and its import into a store, came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

from llmspell.errors import InvalidInput
from llmspell.model.telling import told
from llmspell.security.keys import MasterKey

BundleKey = str | bytes | MasterKey
"""What encrypts a bundle: a passphrase (text), or a key of 32 bytes."""
OnConflict = Literal["fail", "skip", "rename", "replace"]
"""What becomes of an import when the session is in the store already."""
PortProgress = Callable[[str, int], None]
"""Told what is being done (``contents``, ``entries``, ``checking``) and how many of them are done."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle that was written. ``digest`` is its checksum (BLAKE3, hex), ``seq`` the store's entry it is as of.

    ``left_out`` counts, by kind, entries of the session's timeline that are about other things (global state, an
    agent's record) or whose payload was ``erased``; ``redacted`` sealed values that were replaced.
    """

    id: str
    path: str
    bytes: int
    entries: int
    contents: int
    seq: int
    digest: str
    encrypted: bool
    redacted: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: ``imported``, ``renamed``, ``replaced``, or ``skipped`` when the session was there.

    ``id`` is the session's id here, ``original_id`` the one in the bundle; ``entries`` counts those appended. After a
    ``dry_run`` all that is what would be; ``id`` is empty when the session would get a new one.
    """

    id: str
    name: str
    outcome: Literal["imported", "skipped", "renamed", "replaced"]
    original_id: str
    entries: int = 0
    contents: int = 0
    digest: str = ""
    dry_run: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {name: getattr(self, name) for name in self.__slots__}


class Porter(Protocol):
    """Writes sessions to files and takes them in; and what long reads of sessions need."""

    def read(self, query: Any) -> Any:
        """A query over one consistent state, from any thread."""
        ...

    async def off(self, function: Any, *args: Any) -> Any:
        """Run a long function where nobody waits for it but the caller."""
        ...

    def archive(self, session: bytes, path: Any, key: Any) -> Exported:
        """Export in this thread, over what is at ``path``, with all that is sealed if there is a key. Raises as
        ``export``; InvalidInput (``archive-needs-key``), and writes nothing, when something would be left out without.
        """
        ...

    def demand_plain(self, session: bytes) -> None:
        """See that ``archive`` could do without a key, in this thread; costs reading what may be sealed. Raises as it
        does.
        """
        ...

    def check_key(self, key: Any) -> None:
        """Raises InvalidInput (``weak-passphrase``, ``invalid-key``) for what is no key of a bundle."""
        ...

    async def export(
        self, session: bytes, path: Any, *, key: Any, secrets: bool, overwrite: bool, progress: PortProgress | None
    ) -> Exported:
        """See ``AsyncSessions.export``."""
        ...

    async def import_(
        self, path: Any, on_conflict: OnConflict, *, key: Any, context: Any, progress: PortProgress | None,
        ask: Callable[[dict[str, Any]], Any], dry_run: bool,
    ) -> Imported:  # fmt: skip
        """See ``AsyncSessions.import_``."""
        ...


def check_on_conflict(on_conflict: object) -> OnConflict:
    """Raises InvalidInput (``invalid-conflict-rule``) for anything else."""
    for known in get_args(OnConflict):
        if on_conflict == known:
            return known  # type: ignore[no-any-return]
    raise InvalidInput(
        f"on_conflict is fail, skip, rename or replace, not {told(on_conflict)}", code="invalid-conflict-rule"
    )


def tell_nobody(what: str, done: int) -> None:
    """The progress of whoever did not ask for it."""
