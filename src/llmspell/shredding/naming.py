"""What outlives a session although it names it or its keys: counted, so that whoever shreds it is told.

Grants and what came of them are the audit, which stays whole. Entries of migrations say where values were changed, and
how far each got; the list of migrations is made of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from llmspell.journal.codec import load_payload
from llmspell.model.entry import subject_digest
from llmspell.model.ids import id_text

if TYPE_CHECKING:
    from llmspell.adapters.sqlite.batch import View

_ELSEWHERE = "(e.session IS NULL OR e.session <> ?)"
_ACCESS = (
    "SELECT e.kind, count(*) FROM access_record r JOIN entry e ON e.seq = r.seq WHERE r.scope = ?"
    f" AND e.payload IS NOT NULL AND {_ELSEWHERE} GROUP BY e.kind"
)
_RUNS = (
    "SELECT m.id, e.codec, e.payload FROM migration_run m JOIN entry e ON e.seq = m.started_seq"
    " WHERE e.payload IS NOT NULL ORDER BY m.id"
)
_OF_RUN = (
    "SELECT e.kind, e.codec, e.payload FROM entry e WHERE e.subject = ? AND e.payload IS NOT NULL"
    f" AND {_ELSEWHERE} ORDER BY e.seq"
)


class _Target(msgspec.Struct):
    kind: str = "state"
    scope: str | None = None


class _Plan(msgspec.Struct):
    target: _Target


class _Started(msgspec.Struct):
    plan: _Plan


_started = msgspec.json.Decoder(_Started).decode


def naming(view: View, session: bytes, scope: str) -> dict[str, int]:
    """By kind, how many entries that were not written in the session name its scope, and stay. Looks at every entry of
    the migrations of this scope and of every scope.
    """
    found: dict[str, int] = dict(view.all(_ACCESS, (scope, session)))
    salt = view.one("SELECT salt FROM scope WHERE name = 'global'")
    for run, codec, payload in view.all(_RUNS):
        target = _started(load_payload(codec, payload)).plan.target
        if salt is None or target.kind != "state" or target.scope not in {None, scope}:
            continue
        subject = subject_digest(salt[0], f"migration/{id_text(run)}")
        for kind, codec_, stored in view.rows(_OF_RUN, (subject, session)):
            if scope.encode() in load_payload(codec_, stored):
                found[kind] = found.get(kind, 0) + 1
    return found
