"""Comparing two sessions: what their keys and artifacts differ in, a page at a time.

Where both go back to one session, only what was written since either left it is looked at: everything before they have
in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmspell.artifacts.info import ArtifactInfo, info_of
from llmspell.artifacts.inherited import labels, visible
from llmspell.artifacts.values import ArtifactDifference
from llmspell.errors import InvalidInput
from llmspell.journal.asking import Asking, driven
from llmspell.journal.lineage import ALWAYS, Level
from llmspell.model.ids import id_text
from llmspell.model.page import cursor_text, read_cursor, write_cursor
from llmspell.sessions.comparison import Compared, Page, common_ancestor
from llmspell.state.inherited import row_at, written_keys
from llmspell.state.past import difference, hidden
from llmspell.state.rows import load_row

if TYPE_CHECKING:
    from llmspell.ports.database import Reading
    from llmspell.state.values import StateDifference, StateEntry

_NAMES = (
    "SELECT min(name) FROM (SELECT name FROM (SELECT name FROM artifact WHERE session = ?1 AND name > ?2"
    " AND (since_seq > ?3 OR until_seq > ?3) ORDER BY name LIMIT 1)"
    " UNION ALL SELECT name FROM (SELECT name FROM artifact_dropped WHERE session = ?1 AND name > ?2"
    " AND (since_seq > ?3 OR until_seq > ?3) ORDER BY name LIMIT 1)"
    " UNION ALL SELECT name FROM (SELECT name FROM artifact_label WHERE session = ?1 AND name > ?2"
    " AND (since_seq > ?3 OR until_seq > ?3) ORDER BY name LIMIT 1))"
)
_CANDIDATES_MAX = 20_000
"""Keys and names that one page looks at: it ends with a cursor then, however few differ."""
_STATE, _ARTIFACTS = "state", "artifacts"


def compare_contents(view: Reading, compared: Compared, limit: int, cursor: str | None) -> Page:
    """A page of what differs; see ``sessions.comparison.Comparer``. Raises InvalidInput (``invalid-cursor``)."""
    stage, after = _STATE, ""
    if cursor is not None:
        _, stage, after = read_cursor(cursor, "compare", 3)
        if stage not in {_STATE, _ARTIFACTS}:
            raise InvalidInput("this cursor is no comparison's", code="invalid-cursor")
        after = cursor_text(after)
    levels = _differing_levels(compared)
    state: list[StateDifference] = []
    artifacts: list[ArtifactDifference] = []
    looked = 0
    if stage == _STATE:
        for key in written_keys(view, levels, after):
            one = _key(view, compared, key)
            looked += 1
            if one is not None:
                state.append(one)
            if len(state) == limit or looked == _CANDIDATES_MAX:
                return state, artifacts, write_cursor("compare", _STATE, key)
        after = ""
    for name in _names(view, levels, after):
        found = _name(view, compared, name)
        looked += 1
        if found is not None:
            artifacts.append(found)
        if len(state) + len(artifacts) >= limit or looked >= _CANDIDATES_MAX:
            return state, artifacts, write_cursor("compare", _ARTIFACTS, name)
    return state, artifacts, None


def _differing_levels(compared: Compared) -> list[Level]:
    """The sessions that the two may differ by, each with the entry after which they may: 0, or the last in common."""
    common = common_ancestor(compared.a, compared.b)
    found: dict[bytes, Level] = {}
    for levels in (compared.a, compared.b):
        for level in levels:
            if common is not None and level.session == common[0]:
                found[level.session] = level._replace(bound=common[1])
                break
            found[level.session] = level._replace(bound=0)
    return list(found.values())


def _key(view: Reading, compared: Compared, key: str) -> StateDifference | None:
    def held(levels: tuple[Level, ...]) -> StateEntry | None:
        row = driven(row_at(Asking(view), levels, key, ALWAYS))
        return load_row(view, key, row, compared.now, hidden)

    return difference(f"session:{id_text(compared.b[0].session)}", key, held(compared.a), held(compared.b))


def _names(view: Reading, levels: list[Level], after: str) -> Iterator[str]:
    while True:
        found = [view.one(_NAMES, (level.session, after, level.bound)) for level in levels]
        names = [row[0] for row in found if row is not None and row[0] is not None]
        if not names:
            return
        after = min(names)
        yield after


def _name(view: Reading, compared: Compared, name: str) -> ArtifactDifference | None:
    def there(levels: tuple[Level, ...]) -> tuple[dict[int, ArtifactInfo], dict[str, int]]:
        rows = driven(visible(Asking(view), levels, name))
        return {row[3]: info_of(row) for row in rows}, driven(labels(Asking(view), levels, name))

    (before, labels_before), (after, labels_after) = there(compared.a), there(compared.b)
    numbers = {number for number in before.keys() | after.keys() if _differ(before.get(number), after.get(number))}
    for label in labels_before.keys() | labels_after.keys():
        if labels_before.get(label) != labels_after.get(label):
            numbers |= {one[label] for one in (labels_before, labels_after) if label in one}
    if not numbers:
        return None
    change = "changed" if before and after else "removed" if before else "added"
    last_before, last_after = before.get(max(before, default=0)), after.get(max(after, default=0))
    return ArtifactDifference(name, change, last_before, last_after, tuple(sorted(numbers)))


def _differ(one: ArtifactInfo | None, other: ArtifactInfo | None) -> bool:
    if one is None or other is None:
        return one is not other
    return _said(one) != _said(other)


def _said(info: ArtifactInfo) -> tuple[object, ...]:
    return info.digest, info.type, info.mime_type, info.description, info.tags, info.metadata
