"""The orders of lists of sessions: what each goes by, in SQL and in the rows found, and how a cursor keeps a place.

Every order is total: what is equal by its value stands in the order of its last change.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llmspell.errors import InvalidInput
from llmspell.model.page import cursor_seq, cursor_text
from llmspell.model.telling import told
from llmspell.ports.database import Row

Edge = tuple[Any, ...]
"""The place of a row in its order."""
_VALUES = {
    "name": "s.name",
    "ended_at": "coalesce(s.ended_at, 0)",
    "last_activity": "max(s.since_seq, coalesce((SELECT e.seq FROM entry e WHERE e.session = s.id AND e.seq <= {as_of}"
    " ORDER BY e.seq DESC LIMIT 1), 0))",
}
"""What sessions ``s`` are sorted by. The seq of what was written last says when that was."""
ORDERS = ("updated_at", "created_at", *_VALUES)


class Order(NamedTuple):
    """By what, and whether the largest come first: the newest, or the last of the alphabet."""

    by: str
    falling: bool

    @classmethod
    def of(cls, order_by: str) -> Order:
        """An order by name. Raises InvalidInput (``invalid-order``)."""
        name = order_by.removeprefix("-") if type(order_by) is str else ""
        if name not in ORDERS:
            raise InvalidInput(
                f"order_by is one of {', '.join(ORDERS)}, with - for newest first, not {told(order_by)}",
                code="invalid-order",
            )
        return cls(name, order_by.startswith("-"))

    def value(self, as_of: int) -> str:
        """The expression to select beside what is found of a session ``s``."""
        return _VALUES.get(self.by, "NULL").format(as_of=as_of)

    def columns(self, seq: str, created: str, as_of: int) -> tuple[str, ...]:
        """The expressions to sort by, where a session's seq and its time of creation are these columns."""
        if self.by == "updated_at":
            return (seq,)
        return (created if self.by == "created_at" else self.value(as_of)), seq

    def key(self, row: Row) -> Edge:
        """The place of a row found: its seq, the time of its creation, its id, … and at the end the value."""
        if self.by == "updated_at":
            return (row[0],)
        return (row[1] if self.by == "created_at" else row[-1]), row[0]

    def write(self, row: Row) -> tuple[Any, Any]:
        """The same for a cursor."""
        return row[0], row[-1] if self.by in _VALUES else row[1]

    def read(self, first: Any, second: Any) -> Edge:
        """The place again. Raises InvalidInput (``invalid-cursor``)."""
        seq, value = cursor_seq(first), (cursor_text if self.by == "name" else cursor_seq)(second)
        return (seq,) if self.by == "updated_at" else (value, seq)
