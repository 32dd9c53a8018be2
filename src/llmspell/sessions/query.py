"""What is asked of sessions: conditions by keyword, or one after the other; both make the same query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from llmspell.errors import InvalidInput
from llmspell.model import limits
from llmspell.model.clock import DATETIME_NS
from llmspell.model.ids import id_bytes
from llmspell.model.labels import check_label, check_metadata, check_tags
from llmspell.model.moment import moment_ns
from llmspell.model.session import check_status
from llmspell.sessions.terms import plain
from llmspell.sessions.words import Search, parse_search


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Conditions that hold together; None and empty mean any. Times are nanoseconds, first and last inclusive;
    ``metadata`` is paths with values as ``terms.plain`` writes them.
    """

    status: str | None = None
    tags: tuple[str, ...] = ()
    created_by: str | None = None
    parent: bytes | None = None
    name: str | None = None
    metadata: tuple[tuple[str, str], ...] = ()
    search: Search | None = None
    created: tuple[int | None, int | None] = (None, None)
    updated: tuple[int | None, int | None] = (None, None)


def session_filter(
    *,
    status: str | None = None,
    tags: Iterable[str] = (),
    created_by: str | None = None,
    parent: str | None = None,
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    text: str | None = None,
    created_after: datetime | str | None = None,
    created_before: datetime | str | None = None,
    updated_after: datetime | str | None = None,
    updated_before: datetime | str | None = None,
) -> SessionFilter:
    """The conditions, checked. Raises InvalidInput by what is wrong with one."""
    return SessionFilter(
        status=None if status is None else check_status(status),
        tags=tuple(check_tags(tags)),
        created_by=None if created_by is None else check_label(created_by, "created_by"),
        parent=None if parent is None else id_bytes(parent, "parent"),
        name=None if name is None else check_label(name, "a session's name"),
        metadata=_fields({} if metadata is None else metadata),
        search=None if text is None else parse_search(text),
        created=(_first(created_after), _last(created_before)),
        updated=(_first(updated_after), _last(updated_before)),
    )


def _fields(metadata: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    wanted = check_metadata(metadata)
    if len(wanted) > limits.METADATA_CONDITIONS_MAX:
        raise InvalidInput(
            f"a query asks for at most {limits.METADATA_CONDITIONS_MAX} fields of metadata, not {len(wanted)}",
            code="invalid-metadata",
        )
    return tuple((path, plain(value)) for path, value in wanted.items())


def _first(after: datetime | str | None) -> int | None:
    """What comes after a moment begins with the next one that a datetime can tell apart from it."""
    return None if after is None else _moment(after) + DATETIME_NS


def _last(before: datetime | str | None) -> int | None:
    return None if before is None else _moment(before) - 1


def _moment(given: datetime | str) -> int:
    """Outside of what a database counts in, a moment is as good as never."""
    return max(-(1 << 62), min(moment_ns(given), 1 << 62))


@dataclass(frozen=True, slots=True)
class SessionCount:
    """How many sessions fit. ``exact`` False: there are more than ``number``, which is 1,000. As text ``1000+``."""

    number: int
    exact: bool = True

    def __str__(self) -> str:
        return str(self.number) if self.exact else f"{self.number}+"

    def __int__(self) -> int:
        return self.number

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {"count": self.number, "exact": self.exact, "text": str(self)}


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """A query made one condition after the other; what ``store.sessions.list`` takes by keyword, and checks, is the
    same. Each method gives a new query and leaves this one as it is.

    ``given`` holds the arguments so far.
    """

    given: tuple[tuple[str, Any], ...] = ()

    def with_status(self, status: str) -> Self:
        """In this status."""
        return self._with("status", status)

    def with_tags(self, *tags: str) -> Self:
        """With each of these tags, and those given before."""
        return self._with("tags", (*self.arguments().get("tags", ()), *tags))

    def with_created_by(self, created_by: str) -> Self:
        """Created by this one."""
        return self._with("created_by", created_by)

    def with_parent(self, parent: str) -> Self:
        """Directly below the session of this id."""
        return self._with("parent", parent)

    def with_name(self, name: str) -> Self:
        """Of exactly this name."""
        return self._with("name", name)

    def with_metadata(self, path: str, value: Any) -> Self:
        """With this value at this path of the metadata, and those given before."""
        return self._with("metadata", {**self.arguments().get("metadata", {}), path: value})

    def text(self, text: str) -> Self:
        """With all these words in name, description, tags or metadata."""
        return self._with("text", text)

    def created_after(self, moment: datetime | str) -> Self:
        """Created after this."""
        return self._with("created_after", moment)

    def created_before(self, moment: datetime | str) -> Self:
        """Created before this."""
        return self._with("created_before", moment)

    def updated_after(self, moment: datetime | str) -> Self:
        """Last changed after this."""
        return self._with("updated_after", moment)

    def updated_before(self, moment: datetime | str) -> Self:
        """Last changed before this."""
        return self._with("updated_before", moment)

    def order_by(self, order: str) -> Self:
        """``updated_at`` or ``created_at``, with ``-`` newest first."""
        return self._with("order_by", order)

    def limit(self, limit: int) -> Self:
        """At most so many on a page."""
        return self._with("limit", limit)

    def cursor(self, cursor: str | None) -> Self:
        """The page after the one that gave this; None for the first."""
        return self._with("cursor", cursor)

    def arguments(self) -> dict[str, Any]:
        """What ``store.sessions.list`` is called with."""
        return dict(self.given)

    def execute(self, store: Any) -> Any:
        """The page of sessions that ``store.sessions.list`` gives; to be awaited if ``store`` is an AsyncStore."""
        return store.sessions.list(**self.arguments())

    def _with(self, name: str, value: Any) -> Self:
        return replace(self, given=tuple({**self.arguments(), name: value}.items()))
