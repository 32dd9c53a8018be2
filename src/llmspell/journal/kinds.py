"""The registry of entry kinds: the payload's type and the one function that carries it into the projections.

``apply`` is the only door into the projections. It is called in the same transaction that appends the entry, and again,
with the same payload, whenever the projections are rebuilt; so it depends on nothing but the entry and the rows it
finds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from llmspell.errors import NeedsMigration
from llmspell.ports.database import Transaction


class Applied(msgspec.Struct, frozen=True):
    """An entry as its ``apply`` sees it: where it stands, whose it is, and its decoded payload."""

    seq: int
    at: int
    clock: int
    id: bytes
    session: bytes | None
    correlation: bytes
    scope_id: int
    payload: Any


Apply = Callable[[Transaction, Applied], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entry. ``payload`` is a msgspec Struct; ``apply`` None for kinds that change no projection.

    ``scoped``: a payload's ``scope`` is the scope that the entry belongs to. Otherwise it only speaks of one, which
    may never have been used.
    """

    name: str
    payload: type[msgspec.Struct]
    apply: Apply | None = None
    version: int = 1
    scoped: bool = True


class Kinds:
    """All kinds of one store, by name."""

    def __init__(self, kinds: tuple[Kind, ...]) -> None:
        self._by_name = {kind.name: kind for kind in kinds}
        self._decoders = {kind.name: msgspec.json.Decoder(kind.payload).decode for kind in kinds}

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def names(self) -> list[str]:
        """Names of all kinds, sorted."""
        return sorted(self._by_name)

    def get(self, name: str, version: int) -> Kind:
        """The kind by name. Raises NeedsMigration for one that only a newer llmspell knows."""
        kind = self._by_name.get(name)
        if kind is None or version > kind.version:
            raise NeedsMigration(
                f"this store has entries of kind {name!r} version {version}, which this llmspell does not know"
            )
        return kind

    def decode(self, name: str, payload: bytes) -> Any:
        """The payload's struct."""
        return self._decoders[name](payload)


class StoreCreated(msgspec.Struct):
    """First entry of a store."""

    store_id: str
    timeline: str
    format: int


class StoreMigrated(msgspec.Struct):
    """The store's tables were brought to a newer format."""

    from_format: int
    to_format: int


class CorrelationOpened(msgspec.Struct):
    """A named correlation was used for the first time."""

    id: str
    name: str
    parent: str | None


class ClockJumped(msgspec.Struct):
    """The wall clock moved by more than an hour against the monotonic one since this process's previous entry."""

    seconds: float


async def _apply_correlation(tx: Transaction, entry: Applied) -> None:
    opened: CorrelationOpened = entry.payload
    await tx.run(
        "INSERT OR IGNORE INTO correlation (id, name, parent, seq) VALUES (?, ?, ?, ?)",
        (bytes.fromhex(opened.id), opened.name, opened.parent and bytes.fromhex(opened.parent), entry.seq),
    )


STORE_CREATED = Kind("store.created", StoreCreated)
STORE_MIGRATED = Kind("store.migrated", StoreMigrated)
CORRELATION_OPENED = Kind("correlation.opened", CorrelationOpened, _apply_correlation)
CLOCK_JUMPED = Kind("clock.jumped", ClockJumped)
OWN = (STORE_CREATED, STORE_MIGRATED, CORRELATION_OPENED, CLOCK_JUMPED)
