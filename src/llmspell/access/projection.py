"""The tables of grants, boundaries and cut-offs, and which entries are about access."""

from __future__ import annotations

from typing import Any

from llmspell.access.kinds import (
    AccessBoundarySet,
    AccessCutOff,
    AccessDenied,
    AccessGranted,
    AccessRestored,
    AccessRevoked,
    AccessUsed,
)
from llmspell.access.rights import BITS, Right, mask_of
from llmspell.journal.kinds import Applied, Kind
from llmspell.ports.database import Transaction

_END = (
    "UPDATE access_grant SET until_seq = ? WHERE principal = ? AND scope = ? AND bit = ? AND granted_by = ?"
    " AND until_seq IS NULL"
)


async def apply_granted(tx: Transaction, entry: Applied) -> None:
    """One open row for each right, in the place of the one this grantor gave before."""
    given: AccessGranted = entry.payload
    for right in given.rights:
        place = given.principal, given.scope, BITS[Right(right)], given.granted_by
        await tx.run(_END, (entry.seq, *place))
        await tx.run(
            "INSERT INTO access_grant (principal, scope, bit, granted_by, since_seq, children, expires_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (*place, entry.seq, int(given.children), given.expires_at),
        )
    await _apply_record(tx, entry)


async def apply_revoked(tx: Transaction, entry: Applied) -> None:
    """The open rows of these rights end."""
    gone: AccessRevoked = entry.payload
    for right in gone.rights:
        await tx.run(_END, (entry.seq, gone.principal, gone.scope, BITS[Right(right)], gone.granted_by))
    await _apply_record(tx, entry)


async def apply_boundary(tx: Transaction, entry: Applied) -> None:
    """The open row ends; another begins, unless nothing is allowed."""
    set_: AccessBoundarySet = entry.payload
    await tx.run(
        "UPDATE access_boundary SET until_seq = ? WHERE scope = ? AND until_seq IS NULL", (entry.seq, set_.scope)
    )
    if set_.rights:
        await tx.run(
            "INSERT INTO access_boundary (scope, since_seq, rights) VALUES (?, ?, ?)",
            (set_.scope, entry.seq, mask_of(set_.rights)),
        )
    await _apply_record(tx, entry)


async def apply_cut_off(tx: Transaction, entry: Applied) -> None:
    """An open row."""
    await tx.run(
        "INSERT INTO access_cut_off (principal, since_seq) VALUES (?, ?)", (entry.payload.principal, entry.seq)
    )
    await _apply_record(tx, entry)


async def apply_restored(tx: Transaction, entry: Applied) -> None:
    """The open row ends."""
    await tx.run(
        "UPDATE access_cut_off SET until_seq = ? WHERE principal = ? AND until_seq IS NULL",
        (entry.seq, entry.payload.principal),
    )
    await _apply_record(tx, entry)


async def _apply_record(tx: Transaction, entry: Applied) -> None:
    about: Any = entry.payload
    await tx.run(
        "INSERT INTO access_record (seq, principal, scope) VALUES (?, ?, ?)",
        (entry.seq, getattr(about, "principal", ""), getattr(about, "scope", "")),
    )


GRANTED = Kind("access.granted", AccessGranted, apply_granted, scoped=False)
REVOKED = Kind("access.revoked", AccessRevoked, apply_revoked, scoped=False)
BOUNDARY_SET = Kind("access.boundary_set", AccessBoundarySet, apply_boundary, scoped=False)
CUT_OFF = Kind("access.cut_off", AccessCutOff, apply_cut_off, scoped=False)
RESTORED = Kind("access.restored", AccessRestored, apply_restored, scoped=False)
USED = Kind("access.used", AccessUsed, _apply_record, scoped=False)
DENIED = Kind("access.denied", AccessDenied, _apply_record, scoped=False)
KINDS = (GRANTED, REVOKED, BOUNDARY_SET, CUT_OFF, RESTORED, USED, DENIED)
