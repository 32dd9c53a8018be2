"""What is asked of sessions: conditions by keyword, or one after the other; both make the same query."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model.fields import Fields, fields_of
from llmspell.model.ids import id_bytes
from llmspell.model.labels import check_creator, check_label, check_tags
from llmspell.model.moment import first_ns, last_ns
from llmspell.model.page import check_limit
from llmspell.model.session import check_status
from llmspell.model.telling import told
from llmspell.model.words import TextQuery
from llmspell.sessions.naming import HasId, named

Moment = datetime | str


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Conditions that hold together; None and empty mean any. ``status`` are several, of which a session has one. Times
    are nanoseconds, first and last inclusive.
    """

    status: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    created_by: str | None = None
    parent: bytes | None = None
    name: str | None = None
    metadata: Fields = ()
    text: TextQuery | None = None
    created: tuple[int | None, int | None] = (None, None)
    updated: tuple[int | None, int | None] = (None, None)
    ended: tuple[int | None, int | None] = (None, None)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> SessionFilter:
        """The filter that keywords mean. Raises InvalidInput for what makes no sense, by name."""
        strange = sorted(given.keys() - _CONDITIONS)
        if strange:
            raise InvalidInput(
                f"sessions are not asked for by {', '.join(map(told, strange))}", code="invalid-filter",
                hint=f"by {', '.join(sorted(_CONDITIONS))}",
            )  # fmt: skip
        return session_filter(**given)


def session_filter(
    *,
    status: str | Iterable[str] | None = None,
    tags: Iterable[str] = (),
    created_by: str | None = None,
    parent: str | None = None,
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    text: str | None = None,
    created_after: Moment | None = None,
    created_before: Moment | None = None,
    updated_after: Moment | None = None,
    updated_before: Moment | None = None,
    ended_after: Moment | None = None,
    ended_before: Moment | None = None,
) -> SessionFilter:
    """The conditions, checked. Raises InvalidInput by what is wrong with one."""
    return SessionFilter(
        status=_statuses(status),
        tags=tuple(check_tags(tags)),
        created_by=None if created_by is None else check_creator(created_by),
        parent=None if parent is None else id_bytes(parent, "parent"),
        name=None if name is None else check_label(name, "a session's name"),
        metadata=fields_of(metadata),
        text=None if text is None else TextQuery.parse(text),
        created=(first_ns(created_after), last_ns(created_before)),
        updated=(first_ns(updated_after), last_ns(updated_before)),
        ended=(first_ns(ended_after), last_ns(ended_before)),
    )


def _statuses(given: object) -> tuple[str, ...]:
    """Statuses, each once and in one order, so that the same question has the same cursor."""
    if given is None:
        return ()
    return tuple(sorted({check_status(one) for one in _each(given)}))


def _each(given: object) -> Iterable[Any]:
    return given if isinstance(given, Iterable) and not isinstance(given, str) else (given,)


_CONDITIONS = frozenset(inspect.signature(session_filter).parameters)


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """A question about sessions, put together step by step; each step gives another query.

        SessionQuery().with_status("active").with_metadata("user", "u1").limit(10).execute(store)

    It is the same as ``store.sessions.list(status="active", metadata={"user": "u1"}, limit=10)``.
    """

    filters: Mapping[str, Any] = field(default_factory=dict)
    order: str = "-updated_at"
    size: int = 50

    def with_status(self, *statuses: str | Iterable[str]) -> SessionQuery:
        """Of one of these statuses, or of those named before; also of a list."""
        named = [one for given in statuses for one in _each(given)]
        return self._with(status=[*self.filters.get("status", ()), *named])

    def with_name(self, name: str) -> SessionQuery:
        """Of exactly this name."""
        return self._with(name=name)

    def with_tag(self, *tags: str) -> SessionQuery:
        """With each of these tags, and of those asked for before."""
        return self._with(tags=[*self.filters.get("tags", ()), *tags])

    def with_tags(self, *tags: str | Iterable[str]) -> SessionQuery:
        """The same; also of a list."""
        return self.with_tag(*(one for tag in tags for one in ((tag,) if isinstance(tag, str) else tag)))

    def text(self, text: str) -> SessionQuery:
        """With all these words in name, description, tags or metadata; ``"in a row"``, ``beg*``."""
        return self._with(text=text)

    def with_metadata(self, path: str, value: Any) -> SessionQuery:
        """Whose metadata has this value at this path, beside those asked for before."""
        return self._with(metadata={**self.filters.get("metadata", {}), path: value})

    def with_created_by(self, created_by: str) -> SessionQuery:
        """Of this creator."""
        return self._with(created_by=created_by)

    def with_parent(self, parent: str | HasId) -> SessionQuery:
        """Whose parent is this session, by id, unique name or handle."""
        return replace(self, filters={**self.filters, "parent": named(parent)})

    def created_after(self, moment: Moment) -> SessionQuery:
        """Created at this time or later."""
        return self._with(created_after=moment)

    def created_before(self, moment: Moment) -> SessionQuery:
        """Created at this time or earlier."""
        return self._with(created_before=moment)

    def updated_after(self, moment: Moment) -> SessionQuery:
        """Changed last at this time or later."""
        return self._with(updated_after=moment)

    def updated_before(self, moment: Moment) -> SessionQuery:
        """Changed last at this time or earlier."""
        return self._with(updated_before=moment)

    def ended_after(self, moment: Moment) -> SessionQuery:
        """Completed or failed at this time or later."""
        return self._with(ended_after=moment)

    def ended_before(self, moment: Moment) -> SessionQuery:
        """Completed or failed at this time or earlier."""
        return self._with(ended_before=moment)

    def order_by(self, order_by: str) -> SessionQuery:
        """``updated_at``, ``created_at``, ``ended_at``, ``last_activity`` or ``name``; with ``-`` the last first."""
        return replace(self, order=order_by)

    def limit(self, limit: int) -> SessionQuery:
        """Sessions of one page."""
        return replace(self, size=check_limit(limit))

    def execute(self, store: Any, *, cursor: str | None = None) -> Any:
        """The page, from ``store.sessions.list``; an awaitable from an ``AsyncStore``."""
        return store.sessions.list(**self.filters, order_by=self.order, limit=self.size, cursor=cursor)

    def count(self, store: Any, *, exact: bool = False) -> Any:
        """How many there are, from ``store.sessions.count``."""
        return store.sessions.count(**self.filters, exact=exact)

    def _with(self, **given: Any) -> SessionQuery:
        SessionFilter.of({name: value for name, value in given.items() if value is not None})
        return replace(self, filters={**self.filters, **given})
