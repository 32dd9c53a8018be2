"""The artifacts of a fork: its own versions, and those of the sessions that it goes back to.

A version of the nearest session that has a row of it counts, open or closed; so a fork's own version of a number hides
the inherited one, and one that it dropped is gone for it. What is inherited never changes: who changes a field of an
inherited version gets a version of the fork's own with the same number and content first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from llmspell.journal.lineage import Level
from llmspell.schema import queries

if TYPE_CHECKING:
    from llmspell.journal.asking import Asks
    from llmspell.journal.lineage import Lineage
    from llmspell.ports.database import Row

_SQL = queries("llmspell.artifacts")
Levels = Sequence[Level]
"""The lineage of a fork; empty for a session that is none."""
INFO, BRIEF = _SQL["info"], _SQL["brief"]
_HOLDS = "{0}.since_seq <= {1}.bound AND ({0}.until_seq IS NULL OR {0}.until_seq > {1}.bound)"


@cache
def _levels(count: int) -> str:
    """The sessions of a lineage, of three arguments each: place, session, bound."""
    return f"WITH level (place, session, bound) AS (VALUES {', '.join('(?, ?, ?)' for _ in range(count))})"


def _args(levels: Sequence[Level]) -> list[Any]:
    return [one for place, level in enumerate(levels) for one in (place, level.session, level.bound)]


_HIDDEN = (
    "EXISTS (SELECT 1 FROM level n CROSS JOIN artifact o ON o.session = n.session AND o.name = a.name"
    " AND o.version = a.version AND o.since_seq <= n.bound WHERE n.place < v.place)"
    " OR EXISTS (SELECT 1 FROM level n CROSS JOIN artifact_dropped d ON d.session = n.session AND d.name = a.name"
    f" AND d.version = a.version AND {_HOLDS.format('d', 'n')} WHERE n.place < v.place)"
    " OR EXISTS (SELECT 1 FROM artifact_erased e WHERE e.artifact = a.id AND v.place > 0)"
)
_OF_NAME = "SELECT a.id, a.since_seq FROM level v CROSS JOIN artifact a ON a.session = v.session AND a.name = ?"
_IS_THERE = (
    f" WHERE {_HOLDS.format('a', 'v')} AND NOT ({_HIDDEN})"
    " AND (v.place = 0 OR EXISTS (SELECT 1 FROM fork_level f WHERE f.session = ? AND f.depth = 1"
    " AND f.until_seq IS NULL))"
)
"""Versions of a name that a fork has now: nothing is inherited by one that was deleted."""


async def visible(
    asks: Asks, levels: Sequence[Level], name: str, version: int | None = None, *, select: str = BRIEF,
    fork: bytes | None = None,
) -> list[Row]:  # fmt: skip
    """Rows of the versions of a name that there are, oldest first, as ``select`` has them; each as the session's own
    that is looked at (``fork``, by default the first level).
    """
    exact = "" if version is None else " AND a.version = ?"
    numbers = () if version is None else (version,)
    wanted = f"{_OF_NAME}{exact}{_IS_THERE}"
    sql = f"{_levels(len(levels))} {select} WHERE (a.id, a.since_seq) IN ({wanted}) ORDER BY a.version"
    own = levels[0].session if fork is None else fork
    rows = await asks.all(sql, (*_args(levels), name, *numbers, own))
    return [(row[0], own, *row[2:]) for row in rows]


async def page(
    asks: Asks, levels: Sequence[Level], after: tuple[str, int], limit: int, *, all_versions: bool
) -> list[Row]:
    """Versions beyond a name and number, by name: the latest of each, or all. A look for each name."""
    found: list[Row] = []
    name, number = after
    rows = await visible(asks, levels, name) if number else []
    if all_versions:
        found += [row for row in rows if row[3] > number]
    while len(found) < limit:
        following = await names_after(asks, levels, name)
        if following is None:
            break
        name = following
        rows = await visible(asks, levels, name)
        found += rows if all_versions else rows[-1:]
    return found[:limit]


async def names_after(asks: Asks, levels: Sequence[Level], name: str) -> str | None:
    """The first name beyond ``name`` that the session or one that it goes back to ever used."""
    sql = (
        f"{_levels(len(levels))} SELECT min(n) FROM (SELECT (SELECT min(a.name) FROM artifact a"
        " WHERE a.session = v.session AND a.name > ?) AS n FROM level v)"
    )
    row = await asks.one(sql, (*_args(levels), name))
    return None if row is None else row[0]


async def last_version(asks: Asks, levels: Sequence[Level], name: str) -> int:
    """The highest number that was given to a version of a name, 0 when none was."""
    sql = (
        f"{_levels(len(levels))} SELECT max(a.version) FROM level v CROSS JOIN artifact a ON a.session = v.session"
        " AND a.name = ? AND a.since_seq <= v.bound"
    )
    row = await asks.one(sql, (*_args(levels), name))
    return 0 if row is None or row[0] is None else int(row[0])


async def labels(asks: Asks, levels: Sequence[Level], name: str, *, fork: bytes | None = None) -> dict[str, int]:
    """Labels of a name and the versions they mean: what the nearest session says of a label counts. ``fork`` is whose
    they are, by default the first level's.
    """
    sql = (
        f"{_levels(len(levels))} SELECT l.label, l.version, {_HOLDS.format('l', 'v')} FROM level v"
        " CROSS JOIN artifact_label l ON l.session = v.session AND l.name = ? AND l.since_seq <= v.bound"
        " ORDER BY l.label, v.place, l.since_seq DESC"
    )
    there = {row[3] for row in await visible(asks, levels, name, fork=fork)}
    found: dict[str, int | None] = {}
    for label, version, holds in await asks.all(sql, (*_args(levels), name)):
        found.setdefault(label, version if holds and version in there else None)
    return {label: version for label, version in found.items() if version is not None}


async def inherited(asks: Asks, levels: Sequence[Level], artifact: bytes, *, select: str = BRIEF) -> Row | None:
    """The version that stands, in a fork, for an artifact of a session it goes back to: that one as it was, or the
    fork's own of its name and number. None when the fork inherits nothing of it.
    """
    row = await named_then(asks, levels, artifact)
    if row is None:
        return None
    found = await visible(asks, levels, row[0], row[1], select=select)
    return found[0] if found else None


async def named_then(asks: Asks, levels: Sequence[Level], artifact: bytes) -> tuple[str, int, int] | None:
    """The name and number that an artifact of a session that a fork goes back to had where it left it, and the last
    entry of that session that counts; None for any other artifact. It may be dropped by now.
    """
    sql = (
        f"{_levels(len(levels))} SELECT a.name, a.version, v.bound FROM level v CROSS JOIN artifact a ON a.id = ?"
        " AND a.session = v.session AND a.since_seq <= v.bound WHERE v.place > 0 ORDER BY a.since_seq DESC LIMIT 1"
    )
    row = await asks.one(sql, (*_args(levels), artifact))
    return None if row is None else (row[0], row[1], row[2])


async def same_in(asks: Asks, levels: Sequence[Level], ids: str) -> list[bytes]:
    """What in a fork's past, or in it, is the same as these artifacts (hexadecimal ids in JSON): a version of a name is
    one thing, and changing it in a fork gives it another id.
    """
    sql = (
        f"{_levels(len(levels))} SELECT DISTINCT o.id FROM json_each(?) w"
        " CROSS JOIN artifact a ON a.id = unhex(w.value)"
        " CROSS JOIN level v ON v.session = a.session AND a.since_seq <= v.bound CROSS JOIN level u"
        " CROSS JOIN artifact o ON o.session = u.session AND o.name = a.name AND o.version = a.version"
        " AND o.since_seq <= u.bound"
    )
    return [one for (one,) in await asks.all(sql, (*_args(levels), ids))]


async def inheriting(asks: Asks, lineage: Lineage | None) -> Lineage | None:
    """The lineage of a session as long as it is a fork: one that was deleted inherits nothing, also when it came back
    from a bundle.
    """
    if lineage is None or await asks.one(_SQL["inherits"], (lineage[0].session,)) is None:
        return None
    return lineage


async def is_inheritable(asks: Asks, levels: Sequence[Level], artifact: bytes) -> bool:
    """Whether an artifact is of a session that a fork goes back to, up to where it left it; dropped or not."""
    return await named_then(asks, levels, artifact) is not None


def shown_by(levels: Sequence[Level]) -> tuple[str, list[Any]]:
    """A condition on rows ``a`` of ``artifact``, with its values: those that a fork shows now."""
    inside = "SELECT a.id, a.since_seq FROM level v CROSS JOIN artifact a ON a.session = v.session"
    return (
        f"(a.id, a.since_seq) IN ({_levels(len(levels))} {inside}{_IS_THERE})",
        [*_args(levels), levels[0].session],
    )


async def dropped(asks: Asks, levels: Sequence[Level], name: str | None, artifact: bytes | None) -> list[Row]:
    """Versions that a fork inherited and dropped, of a name or by the id of one, as ``BRIEF``."""
    if artifact is not None:
        row = await named_then(asks, levels, artifact)
        name = None if row is None else row[0]
    if name is None:
        return []
    fork = levels[0].session
    numbers = {number for (number,) in await asks.all(_SQL["dropped_of_name"], (fork, name))}
    if not numbers:
        return []
    rows = await visible(asks, levels[1:], name, fork=fork)
    return [row for row in rows if row[3] in numbers and artifact in {None, row[0]}]
