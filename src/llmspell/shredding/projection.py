"""How what was destroyed leaves the tables. Applied to a copy that still has it, these entries destroy it there too.

The journal's rows are changed nowhere else: an erased payload goes with its salt, its digest stays, and so the hash of
the entry still holds.
"""

from __future__ import annotations

import msgspec

from llmspell.journal.codec import load_payload
from llmspell.journal.kinds import Applied, Kind
from llmspell.model.entry import payload_digest
from llmspell.model.ids import id_bytes
from llmspell.ports.database import Transaction
from llmspell.registry.projection import BINDINGS
from llmspell.sessions.index import forget
from llmspell.shredding.kinds import PayloadErased, SessionShredded

_ROWS_OF_SESSION = (
    "DELETE FROM artifact_relation WHERE source IN (SELECT id FROM artifact WHERE session = ?)",
    "DELETE FROM artifact_erased WHERE artifact IN (SELECT id FROM artifact WHERE session = ?)",
    "DELETE FROM artifact_grant WHERE session = ?",
    "DELETE FROM capture_rules WHERE owner = ?",
    "DELETE FROM capture_count WHERE session = ?",
    "DELETE FROM session WHERE id = ?",
    "DELETE FROM checkpoint WHERE session = ?",
    "DELETE FROM artifact WHERE session = ?",
    "DELETE FROM artifact_label WHERE session = ?",
    "DELETE FROM artifact_dropped WHERE session = ?",
    "DELETE FROM fork_level WHERE session = ?",
    "DELETE FROM run WHERE session = ?",
)
_CONTENT_OF_SESSION = (
    "DELETE FROM blob WHERE digest IN (SELECT digest FROM artifact WHERE session = ?1)"
    " AND NOT EXISTS (SELECT 1 FROM artifact a WHERE a.digest = blob.digest AND a.session <> ?1)"
)
_LEFT = "SELECT seq, codec, salt, payload, kind FROM entry WHERE seq BETWEEN ? AND ? AND payload IS NOT NULL"
_ERASE = "UPDATE entry SET codec = 0, salt = NULL, payload = NULL, digest = ? WHERE seq = ?"


_NEWEST = "INSERT INTO schema_newest (what, seq) VALUES (?, ?) ON CONFLICT (what) DO UPDATE SET seq = excluded.seq"
_NAMED = "DELETE FROM state_artifact WHERE artifact = ? AND seq = ?"


class _Naming(msgspec.Struct):
    """What a change of state says about artifacts."""

    artifacts: list[str] = []


_named = msgspec.json.Decoder(_Naming).decode


async def apply_shredded(tx: Transaction, entry: Applied) -> None:
    """No row of the session's is left, and its scope has another salt: no key or name can be guessed by its digest."""
    shredded: SessionShredded = entry.payload
    session = id_bytes(shredded.id)
    await forget(tx, session)
    await tx.run(_CONTENT_OF_SESSION, (session,))
    for sql in _ROWS_OF_SESSION:
        await tx.run(sql, (session,))
    await tx.run("DELETE FROM state WHERE scope = ?", (entry.scope_id,))
    await tx.run("UPDATE scope SET salt = ? WHERE id = ?", (entry.id, entry.scope_id))


async def apply_erased(tx: Transaction, entry: Applied) -> None:
    """The payloads are gone; the names of correlations that stood in them too, and what of state named artifacts."""
    erased: PayloadErased = entry.payload
    for first, last in erased.ranges:
        for seq, codec, salt, payload, kind in await tx.all(_LEFT, (first, last)):
            loaded = load_payload(codec, payload)
            await tx.run(_ERASE, (payload_digest(salt, loaded), seq))
            if kind == "state.set":
                for artifact in _named(loaded).artifacts:
                    await tx.run(_NAMED, (id_bytes(artifact), seq))
        await tx.run("DELETE FROM correlation WHERE seq BETWEEN ? AND ?", (first, last))
        if erased.bindings:
            await tx.run("DELETE FROM schema_binding WHERE since_seq BETWEEN ? AND ?", (first, last))
    if erased.bindings:
        await tx.run(_NEWEST, (BINDINGS, entry.seq))  # Whoever knows what was bound asks again.


SHREDDED = Kind("session.shredded", SessionShredded, apply_shredded)
ERASED = Kind("payload.erased", PayloadErased, apply_erased)
KINDS = (SHREDDED, ERASED)
