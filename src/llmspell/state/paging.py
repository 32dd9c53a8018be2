"""Keys of a scope in their order, page by page: no read of the store lasts longer than one of its pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmspell.errors import InvalidInput
from llmspell.model.telling import told
from llmspell.state.inherited import load_rows
from llmspell.state.rows import check_after, end_of_prefix, load_page

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal
    from llmspell.state.kinds import StateSet
    from llmspell.state.values import StateEntry

_PAGE_ROWS = 1000


async def read_keys(
    journal: Journal,
    scope_name: str,
    prefix: str,
    after: str,
    limit: int | None,
    values: bool,
    shown: Callable[[StateSet], Any],
    held: Callable[[str, str, str], list[StateEntry]] | None,
) -> list[StateEntry]:
    """Visible entries that begin with ``prefix``, beyond ``after``, at most ``limit``; without ``values``, long values
    are not fetched. ``held`` gives those in memory, from a key on, beyond another, up to a third.
    """
    if limit is not None and (type(limit) is not int or limit < 1):
        raise InvalidInput(f"limit is a number from 1, not {told(limit)}", code="invalid-limit")
    after, high = check_after(after), end_of_prefix(prefix)
    in_memory = held(prefix, after, high) if held is not None else []
    scope = await journal.scope(scope_name)
    if scope is None:
        return in_memory[:limit]
    now = journal.clock.now_ns()
    found: list[StateEntry] = []
    lineage = journal.scopes.lineages.get(scope_name)
    if lineage is not None:
        beyond: str | None = after
        while beyond is not None and (limit is None or len(found) < limit):
            wanted = _PAGE_ROWS if limit is None else limit - len(found)
            page, beyond = await journal.database.read(
                lambda view, bounds=(beyond, prefix, high), wanted=wanted: load_rows(  # type: ignore[misc]
                    view, lineage, bounds, wanted, now, shown, values=values
                )
            )
            found += page
        return sorted(found + in_memory, key=lambda one: one.key)[:limit] if in_memory else found[:limit]
    while limit is None or len(found) < limit:
        rows_max = min(_PAGE_ROWS, limit - len(found)) if limit is not None else _PAGE_ROWS
        args = (scope[0], after, prefix, high, now, rows_max)
        page = await journal.database.read(lambda view, args=args: load_page(view, args, values, now, shown))  # type: ignore[misc]
        found += page
        if len(page) < rows_max:
            break
        after = page[-1].key
    return sorted(found + in_memory, key=lambda one: one.key)[:limit] if in_memory else found
