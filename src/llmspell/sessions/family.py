"""Who is below and above whom: parents, trees, and their picture for a terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from llmspell.model.ids import id_bytes
from llmspell.ports.database import Reading
from llmspell.schema import queries
from llmspell.sessions.info import SessionInfo
from llmspell.sessions.listing import Place, find, infos
from llmspell.sessions.order import Order
from llmspell.sessions.query import SessionFilter

_OPEN = f"{queries('llmspell.sessions')['info']} WHERE s.id = ? AND s.until_seq IS NULL"
_OLDEST_FIRST = Order("created_at", falling=False)
_PICTURED_CHARS_MAX = 60


@dataclass(slots=True)
class SessionTree:
    """A session with those below it, the oldest first. ``cut``: there are more below it, at whatever depth, than were
    asked for; ``more``: some of them directly, which are not among its ``children``.
    """

    info: SessionInfo
    children: list[SessionTree] = field(default_factory=list)
    cut: bool = False
    more: bool = False

    def __iter__(self) -> Iterator[SessionInfo]:
        """All sessions of the tree, each before those below it."""
        waiting = [self]
        while waiting:
            tree = waiting.pop()
            yield tree.info
            waiting.extend(reversed(tree.children))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types: each session's fields, with ``children``, ``cut`` and ``more``."""
        top: dict[str, Any] = {}
        waiting = [(self, top)]
        while waiting:
            tree, made = waiting.pop()
            made.update(tree.info.to_dict())
            below: list[dict[str, Any]] = [{} for _ in tree.children]
            made["children"] = below
            made["cut"], made["more"] = tree.cut, tree.more
            waiting.extend(zip(tree.children, below, strict=True))
        return top

    def picture(self) -> str:
        """The tree drawn in lines of text, without control characters."""
        return "\n".join(f"{stem}{label}" for stem, label in _drawn(self))

    __str__ = picture


def parents_of(view: Reading, session: bytes) -> list[SessionInfo]:
    """The session above this one, the one above that, and so on, as far as they are still there: one read of a
    row for each.
    """
    found: list[SessionInfo] = []
    seen = {session}
    row = view.one(_OPEN, (session,))
    while row is not None and row[9] is not None and row[9] not in seen:
        seen.add(row[9])
        row = view.one(_OPEN, (row[9],))
        if row is not None:
            found.append(SessionInfo(row))
    return found


def tree_of(view: Reading, info: SessionInfo, sessions_max: int, depth_max: int | None) -> SessionTree:
    """A session and what is below it, level by level, so that what is cut off is what lies deepest."""
    top = SessionTree(info)
    room = sessions_max - 1
    seen = {info.id}
    waiting = deque([(top, 0)])
    looked_at: list[SessionTree] = []
    while waiting:
        tree, depth = waiting.popleft()
        looked_at.append(tree)
        below = 0 if depth == depth_max else room
        wanted = SessionFilter(parent=id_bytes(tree.info.id))
        rows, _ = find(view, wanted, _OLDEST_FIRST, below + 1, Place())
        tree.more = len(rows) > below
        for child in infos(view, rows[:below]):
            if child.id not in seen:
                seen.add(child.id)
                tree.children.append(SessionTree(child))
        room -= len(tree.children)
        waiting.extend((child, depth + 1) for child in tree.children)
    for tree in reversed(looked_at):  # Those below come before those above.
        tree.cut = tree.more or any(child.cut for child in tree.children)
    return top


def _drawn(top: SessionTree) -> Iterator[tuple[str, str]]:
    """Each line as what stands before it and what it says. A stem of lines grows with the depth."""
    waiting: list[tuple[SessionTree | None, str, str]] = [(top, "", "")]
    while waiting:
        tree, stem, below = waiting.pop()
        if tree is None:
            yield stem, "…"
            continue
        yield stem, _label(tree.info)
        rest: list[SessionTree | None] = [*tree.children, *([None] if tree.more else [])]
        for index, child in enumerate(reversed(rest)):
            stem, more = ("└─ ", "   ") if index == 0 else ("├─ ", "│  ")
            waiting.append((child, f"{below}{stem}", f"{below}{more}"))


def _label(info: SessionInfo) -> str:
    name = info.name if len(info.name) <= _PICTURED_CHARS_MAX else f"{info.name[: _PICTURED_CHARS_MAX - 1]}…"
    shown = "".join(char if char.isprintable() else "�" for char in name)
    return f"{shown}  [{info.status}]  {info.id}"
