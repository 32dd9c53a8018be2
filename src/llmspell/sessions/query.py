"""Questions about sessions: what ``sessions.list`` takes as keywords and ``SessionQuery`` says in sentences, which are
one thing, and the tree of parents and children.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.errors import InvalidInput, LimitExceeded
from llmspell.model import limits
from llmspell.model.clock import DATETIME_NS, to_ns
from llmspell.model.ids import id_bytes
from llmspell.model.labels import check_label, check_tags
from llmspell.model.page import check_limit
from llmspell.model.session import check_status
from llmspell.model.telling import told
from llmspell.model.values import encode_value

if TYPE_CHECKING:
    from llmspell.sessions.info import SessionInfo

COUNTED_MAX = 1000
"""Sessions that are counted one by one, unless an exact count is asked for."""
TREE_SESSIONS_MAX = 10_000
TREE_DEPTH_MAX = 300
_INT_MAX = 1 << 63
_TYPES = {str: ("text",), int: ("integer",), float: ("real", "integer"), list: ("array",), dict: ("object",)}
Moment = datetime | str
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Conditions that hold together; None and empty mean any. Times are nanoseconds, inclusive."""

    status: str | None = None
    tags: tuple[str, ...] = ()
    created_by: str | None = None
    parent: bytes | None = None
    name: str | None = None
    created_after: int | None = None
    created_before: int | None = None
    updated_after: int | None = None
    updated_before: int | None = None
    metadata: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> SessionFilter:
        """The filter that keywords mean. Raises InvalidInput for what makes no sense, by name."""
        known = {one.name for one in fields(cls)}
        strange = sorted(set(given) - known)
        if strange:
            raise InvalidInput(
                f"sessions are not asked for by {', '.join(map(told, strange))}", code="invalid-filter",
                hint=f"by {', '.join(sorted(known))}",
            )  # fmt: skip
        checks: dict[str, Callable[[Any], Any]] = {
            "status": check_status,
            "tags": lambda value: tuple(check_tags(value)),
            "created_by": lambda value: check_label(value, "created_by"),
            "parent": lambda value: id_bytes(value, "parent"),
            "name": lambda value: check_label(value, "a session's name"),
            "created_after": _since,
            "created_before": _until,
            "updated_after": _since,
            "updated_before": _until,
            "metadata": _fields,
        }
        return cls(**{name: checks[name](value) for name, value in given.items() if value is not None})

    def conditions(self) -> tuple[str, list[Any]]:
        """SQL that follows a condition, and its values. ``s`` is the session."""
        where, args = "", list[Any]()
        for column, value in (
            ("status", self.status), ("created_by", self.created_by), ("parent", self.parent), ("name", self.name),
        ):  # fmt: skip
            if value is not None:
                where += f" AND s.{column} = ?"
                args.append(value)
        for column, sign, bound in (
            ("created_at", ">=", self.created_after), ("created_at", "<=", self.created_before),
            ("updated_at", ">=", self.updated_after), ("updated_at", "<=", self.updated_before),
        ):  # fmt: skip
            if bound is not None:
                where += f" AND s.{column} {sign} ?"
                args.append(bound)
        for tag in self.tags:
            where += " AND EXISTS (SELECT 1 FROM json_each(s.tags) WHERE value = ?)"
            args.append(tag)
        for name, wanted in self.metadata:
            types, raw = _json_form(wanted)
            marks = ",".join("?" * len(types))
            where += (
                f" AND EXISTS (SELECT 1 FROM json_each(s.metadata) WHERE key = ? AND type IN ({marks}) AND value IS ?)"
            )
            args += [name, *types, raw]
        return where, args


@dataclass(frozen=True, slots=True)
class SessionQuery:
    """A question about sessions, put together step by step; each step gives another query.

        SessionQuery().with_status("active").with_metadata("user", "u1").limit(10).execute(store)

    It is the same as ``store.sessions.list(status="active", metadata={"user": "u1"}, limit=10)``.
    """

    filters: Mapping[str, Any] = field(default_factory=dict)
    order: str = "-updated_at"
    size: int = 50

    def with_status(self, status: str) -> SessionQuery:
        """Of this status."""
        return self._with(status=status)

    def with_name(self, name: str) -> SessionQuery:
        """Of exactly this name."""
        return self._with(name=name)

    def with_tag(self, *tags: str) -> SessionQuery:
        """With each of these tags, and of those asked for before."""
        return self._with(tags=[*self.filters.get("tags", ()), *tags])

    def with_tags(self, tags: Iterable[str]) -> SessionQuery:
        """The same of a list."""
        return self.with_tag(*tags)

    def with_metadata(self, name: str, value: Any) -> SessionQuery:
        """Whose metadata has this value under this name, beside those asked for before."""
        return self._with(metadata={**self.filters.get("metadata", {}), name: value})

    def with_created_by(self, created_by: str) -> SessionQuery:
        """Of this creator."""
        return self._with(created_by=created_by)

    def with_parent(self, parent: str) -> SessionQuery:
        """Whose parent is this session, by its id."""
        return self._with(parent=parent)

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

    def order_by(self, order_by: str) -> SessionQuery:
        """``updated_at`` or ``created_at``, with ``-`` newest first."""
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


@dataclass(frozen=True, slots=True)
class SessionCount:
    """How many sessions there are: ``number`` of them, or more when it is not ``exact``; as text ``1000+`` then."""

    number: int
    exact: bool

    def __str__(self) -> str:
        return str(self.number) if self.exact else f"{self.number}+"

    def __int__(self) -> int:
        return self.number


@dataclass(frozen=True, slots=True)
class SessionTree:
    """A session with those below it, oldest first."""

    info: SessionInfo
    children: tuple[SessionTree, ...] = ()

    def __len__(self) -> int:
        return 1 + sum(map(len, self.children))

    def to_dict(self) -> dict[str, Any]:
        """The same in JSON types."""
        return {**self.info.to_dict(), "children": [child.to_dict() for child in self.children]}

    def picture(self) -> str:
        """The tree in lines of text: name, status and id of each session."""
        return "\n".join(self._lines("", ""))

    def _lines(self, first: str, others: str) -> list[str]:
        lines = [f"{first}{self.info.name}  [{self.info.status}]  {self.info.id}"]
        for at, child in enumerate(self.children, 1):
            last = at == len(self.children)
            lines += child._lines(  # noqa: SLF001 - a tree of its own kind
                f"{others}{'└─ ' if last else '├─ '}", f"{others}{'   ' if last else '│  '}"
            )
        return lines


def _since(moment: Any) -> int:
    return _kept(_ns(moment))


def _until(moment: Any) -> int:
    return _kept(_ns(moment) + DATETIME_NS - 1)


def _kept(ns: int) -> int:
    """The nearest time that a row can have."""
    return min(max(ns, -_INT_MAX), _INT_MAX - 1)


def _ns(moment: Any) -> int:
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise InvalidInput(f"{told(moment)} is not an RFC 3339 time", code="invalid-time") from None
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if not isinstance(moment, datetime):
        raise InvalidInput(f"a time is a datetime or RFC 3339 text, not {told(moment)}", code="invalid-time")
    try:
        return to_ns(moment)
    except (OverflowError, ValueError, OSError) as exc:
        raise InvalidInput(f"{told(moment)} is no time in UTC: {exc}", code="invalid-time") from None


def _fields(metadata: Any) -> tuple[tuple[str, Any], ...]:
    if not isinstance(metadata, Mapping) or not all(type(name) is str for name in metadata):
        raise InvalidInput(f"metadata is a dict of names and values, not {told(metadata)}", code="invalid-metadata")
    if len(metadata) > limits.TAGS_MAX:
        raise InvalidInput(f"{len(metadata):,} fields at once; at most {limits.TAGS_MAX}", code="invalid-metadata")
    for name, value in metadata.items():
        encode_value({name: value})
        if type(value) is int and not -_INT_MAX <= value < _INT_MAX:
            raise InvalidInput(f"{name!r} is asked for by a number of more than 64 bits", code="invalid-metadata")
    return tuple(metadata.items())


def _json_form(value: Any) -> tuple[tuple[str, ...], Any]:
    """How SQLite tells a JSON value: its types, and what it is."""
    if value is None:
        return ("null",), None
    if type(value) is bool:
        return ("true" if value else "false",), int(value)
    raw = _encode(value).decode() if type(value) in (list, dict) else value
    return _TYPES[type(value)], raw


def page_of_tree(rows: Iterable[SessionInfo], root: str) -> SessionTree | None:
    """The tree below a root, of sessions in the order of their ids."""
    below: dict[str | None, list[SessionInfo]] = {}
    found = None
    for info in rows:
        below.setdefault(info.parent, []).append(info)
        if info.id == root:
            found = info
    if found is None:
        return None

    def grown(info: SessionInfo, depth: int) -> SessionTree:
        if depth > TREE_DEPTH_MAX:
            raise LimitExceeded(f"sessions are opened under each other {depth} deep here", code="tree-too-large")
        return SessionTree(info, tuple(grown(child, depth + 1) for child in below.get(info.id, ())))

    return grown(found, 0)
