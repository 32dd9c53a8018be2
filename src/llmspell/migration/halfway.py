"""Moments in the middle of a migration, which show some values of a scope before it and others after it: nobody can go
on from there.
"""

from __future__ import annotations

from llmspell.errors import Conflict, Corrupt
from llmspell.journal.asking import Asking, driven
from llmspell.journal.lineage import find_scope
from llmspell.model.entry import subject_digest
from llmspell.model.ids import id_text
from llmspell.ports.database import Reading
from llmspell.schema import queries

_SQL = queries("llmspell.migration")
_ENDED = ("migration.completed", "migration.rolled_back")


def demand_settled(view: Reading, scope: str, seq: int) -> None:
    """Refuse the entry ``seq`` as a beginning for what ``scope`` held then, if a migration of it was open.

    One statement in a store without migrations. Raises Conflict (``migration-running``), which names the nearest
    entries that will do.
    """
    row = view.one(_SQL["last_begun"], (seq,))  # No other was open: there is one at a time.
    if row is None:
        return
    id_, before = id_text(row[0]), row[1]
    place = driven(find_scope(Asking(view), "global"))
    if place is None:
        raise Corrupt(f"the migration {id_} has no scope")
    subject = subject_digest(place.salt, f"migration/{id_}")
    last = view.one(_SQL["last_step"], (subject, seq))
    if last is None or last[0] in _ENDED or not _concerns(view, id_, scope):
        return
    ended = view.one(_SQL["end_after"], (subject, seq))
    first = "call rollback again first, it goes on" if ".rollback_" in last[0] else "resume it or roll it back first"
    after = first if ended is None else f"entry {ended[0]}, after it, or a later one"
    raise Conflict(
        f"at entry {seq} the migration {id_} had changed some values of {scope} and not yet others",
        code="migration-running", hint=f"take entry {before}, before it; or {after}", id=id_, before=before,
        after=None if ended is None else ended[0],
    )  # fmt: skip


def _concerns(view: Reading, migration: str, scope: str) -> bool:
    """Whether its target has, or had, keys in a scope."""
    from llmspell.migration.runs import load_run  # What migrations are made of is loaded when there are some.
    from llmspell.state.rows import end_of_prefix

    target = load_run(view, migration).plan.target
    if target.kind != "state" or target.scope not in {None, scope}:
        return False
    return view.one(_SQL["any_key"], (scope, target.prefix, end_of_prefix(target.prefix))) is not None
