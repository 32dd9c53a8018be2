"""What forks inherit of the keys that a plan is about: no migration changes it, since it is what another session had.

A plan for one scope is refused where that is a fork; one for every scope says how many such keys there are, and a
validation looks at them too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell.journal.asking import Asking, driven
from llmspell.journal.lineage import find_scope
from llmspell.migration.held import Held
from llmspell.model.ids import id_text
from llmspell.state.inherited import load_rows
from llmspell.state.rows import end_of_prefix

if TYPE_CHECKING:
    from llmspell.migration.plan import Target
    from llmspell.ports.database import Reading

_PAGE_KEYS = 256
_NEXT_FORK = (
    "SELECT session FROM fork_level WHERE session > ? AND depth = 1 AND until_seq IS NULL ORDER BY session LIMIT 1"
)


class Inherited(NamedTuple):
    """How far one is: in ``fork``, beyond ``key``; None: at the next fork."""

    fork: bytes = b""
    key: str | None = None


def inherited_page(
    view: Reading, target: Target, at: Inherited, now: int, shown: Callable[[Any], Any], *, values: bool
) -> tuple[list[Held], Inherited | None]:
    """Values of a page of one fork's keys that it inherits, and where the next begins; None after the last. Without
    ``values``, long ones are not fetched.
    """
    fork, key = at
    if key is None:
        row = view.one(_NEXT_FORK, (fork,))
        if row is None:
            return [], None
        fork, key = row[0], ""
    scope = f"session:{id_text(fork)}"
    known = driven(find_scope(Asking(view), scope))
    if known is None or known.lineage is None:
        return [], Inherited(fork)
    bounds = (key, target.prefix, end_of_prefix(target.prefix))
    entries, end = load_rows(view, known.lineage, bounds, _PAGE_KEYS, now, shown, values=values)
    left = known.lineage[1].bound  # What the fork wrote itself came after this.
    found = [
        Held(known.id, scope, one.key, one.seq, one.value, b"", one.state_class, None, one.version)
        for one in entries
        if one.seq <= left
    ]
    return found, Inherited(fork, end)


def told_of(keys: int, forks: int) -> list[str]:
    """The warning about so many keys that so many forks inherit; nothing for none."""
    if not keys:
        return []
    of = "1 fork inherits" if forks == 1 else f"{forks:,} forks inherit"
    what = f"1 key that {of} stays as it is" if keys == 1 else f"{keys:,} keys that {of} stay as they are"
    then = "whatever is bound: set them there, or copy the fork's state to a session of its own"
    return [f"{what}, {then}"]
