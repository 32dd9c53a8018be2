"""The tables of schemas and of what is bound to them."""

from __future__ import annotations

from llmspell.journal.kinds import Applied, Kind
from llmspell.ports.database import Transaction
from llmspell.registry.kinds import SchemaBound, SchemaRegistered, SchemaUnbound

SCHEMAS, BINDINGS = "schemas", "bindings"
"""What ``schema_newest`` tells the newest entry of."""
_NEWEST = "INSERT INTO schema_newest (what, seq) VALUES (?, ?) ON CONFLICT (what) DO UPDATE SET seq = excluded.seq"
_END = "UPDATE schema_binding SET until_seq = ? WHERE scope = ? AND prefix = ? AND until_seq IS NULL"


async def apply_registered(tx: Transaction, entry: Applied) -> None:
    """A row for the version."""
    made: SchemaRegistered = entry.payload
    await tx.run(
        "INSERT INTO schema_version (name, version, hash, seq) VALUES (?, ?, ?, ?)",
        (made.name, made.version, made.hash, entry.seq),
    )
    await tx.run(_NEWEST, (SCHEMAS, entry.seq))


async def apply_bound(tx: Transaction, entry: Applied) -> None:
    """The open row of these keys ends, another begins."""
    bound: SchemaBound = entry.payload
    await tx.run(_END, (entry.seq, bound.scope, bound.prefix))
    await tx.run(
        "INSERT INTO schema_binding (scope, prefix, since_seq, name, version) VALUES (?, ?, ?, ?, ?)",
        (bound.scope, bound.prefix, entry.seq, bound.name, bound.version),
    )
    await tx.run(_NEWEST, (BINDINGS, entry.seq))


async def apply_unbound(tx: Transaction, entry: Applied) -> None:
    """The open row of these keys ends."""
    await tx.run(_END, (entry.seq, entry.payload.scope, entry.payload.prefix))
    await tx.run(_NEWEST, (BINDINGS, entry.seq))


REGISTERED = Kind("schema.registered", SchemaRegistered, apply_registered)
BOUND = Kind("schema.bound", SchemaBound, apply_bound, scoped=False)
UNBOUND = Kind("schema.unbound", SchemaUnbound, apply_unbound, scoped=False)
KINDS = (REGISTERED, BOUND, UNBOUND)
