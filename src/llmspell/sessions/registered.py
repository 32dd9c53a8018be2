"""What is registered for all sessions of a store: templates, and how long they are kept. The newest entry holds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.errors import InvalidInput, NotFound
from llmspell.journal.reading import COLUMNS, EntryQuery, check_row, read_page
from llmspell.model.entry import subject_digest
from llmspell.model.labels import check_creator, check_label, check_metadata, check_tags, check_text
from llmspell.model.telling import told
from llmspell.schema import queries
from llmspell.sessions.config import check_config
from llmspell.sessions.initial import check_initial_state
from llmspell.sessions.kinds import RetentionSet, TemplateSet
from llmspell.sessions.projection import OWN_RETENTION, RETENTION_SET, TEMPLATE_SET
from llmspell.sessions.retention import RetentionPolicy, policy_of

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.context import Context
    from llmspell.model.entry import Entry
    from llmspell.ports.database import Reading, Row

_SQL = queries("llmspell.sessions")
_NEWEST = f"SELECT {COLUMNS} FROM entry WHERE subject = ? ORDER BY seq DESC LIMIT 1"
_SALT = "SELECT salt FROM scope WHERE name = 'global'"
_RETENTION = "session-retention"
EVERY_S = 3600.0
EVERY_S_MIN = 1.0
EVERY_S_MAX = 365 * 86400.0
_PAGE = 500
_FIELDS: dict[str, Callable[[Any], Any]] = {
    "description": lambda value: check_text(value, "a description"),
    "tags": check_tags,
    "metadata": check_metadata,
    "config": check_config,
    "created_by": check_creator,
    "state": lambda value: check_metadata(check_initial_state(value)),
}


def newest(view: Reading, subject: str, kind: type[Any]) -> Any:
    """The payload of the newest entry about a subject of the global scope; None when there is none."""
    salt = view.one(_SALT)
    row = None if salt is None else view.one(_NEWEST, (subject_digest(salt[0], subject),))
    return _payload(row, kind)


def retention_of(view: Reading) -> RetentionSet | None:
    """The store's policy, if it has one."""
    found = newest(view, _RETENTION, RetentionSet)
    return None if found is None or found.policy is None else found


def policy_now(view: Reading) -> RetentionPolicy | None:
    """What cleanups go by when nobody says otherwise: the stored policy, with its ``every_s``; one without bounds when
    only sessions of their own say how long they are kept; None when nobody does.
    """
    stored = retention_of(view)
    if stored is not None and stored.policy is not None:
        return policy_of(stored.policy, stored.every_s)
    if view.one(_SQL["indexed_until"], (OWN_RETENTION,)) is None:
        return None
    return policy_of({"orphans": False}, EVERY_S)


def check_template(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a template, as ``create`` takes them. Raises InvalidInput (``invalid-template``) and theirs."""
    given: object = fields
    if not isinstance(given, Mapping) or not set(fields) <= set(_FIELDS):
        raise InvalidInput(f"a template has {', '.join(_FIELDS)}, not {told(fields)}", code="invalid-template")
    return {name: _FIELDS[name](value) for name, value in fields.items()}


def filled(template: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Fields of ``create``: those of the template, and over them what is given. Settings and metadata are merged at
    every depth, state by key, tags added.
    """
    found = dict(template)
    for name, value in given.items():
        if name == "tags":
            found[name] = [*template.get(name, []), *check_tags(value)]
        elif value is None or (name == "description" and not value):
            continue
        elif name == "config":
            found[name] = _merged(template.get(name, {}), check_config(value))
        elif name == "metadata" and isinstance(value, Mapping):
            found[name] = _merged(template.get(name, {}), value)
        elif name == "state" and isinstance(value, Mapping):
            found[name] = {**template.get(name, {}), **check_initial_state(value)}
        else:
            found[name] = value
    return found


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(below)
    for name, value in above.items():
        there = found.get(name)
        found[name] = _merged(there, value) if isinstance(there, Mapping) and isinstance(value, Mapping) else value
    return found


class Registered:
    """Reads and writes of both."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def set_template(self, context: Context, name: str, fields: dict[str, Any] | None) -> None:
        """Register a template, or take it away. Raises NotFound (``template-not-found``)."""
        payload = TemplateSet(check_label(name, "a template's name"), fields)

        async def unit(writer: Writer) -> None:
            subject = f"session-template/{payload.name}"
            if payload.fields is None:
                scope = await writer.existing_scope("global")
                row = scope and await writer.one(_NEWEST, (subject_digest(scope[1], subject),))
                _fields_of(payload.name, _payload(row, TemplateSet))
            await writer.append(TEMPLATE_SET, payload, await writer.scope("global"), subject)

        await self._journal.write(unit, context=context)

    async def template(self, name: str) -> dict[str, Any]:
        """A template's fields. Raises NotFound (``template-not-found``)."""
        subject = "session-template/" + check_label(name, "a template's name")
        return _fields_of(name, await self._journal.database.read(lambda view: newest(view, subject, TemplateSet)))

    async def templates(self) -> dict[str, dict[str, Any]]:
        """All templates by name, sorted. Reads every entry about one."""
        found: dict[str, dict[str, Any]] = {}
        after = 0
        while True:
            query = EntryQuery(kinds=(TEMPLATE_SET.name,), after=after)
            page = await self._journal.database.read(_page_of(query))
            for entry in page:
                if entry.payload is not None:
                    told_of = msgspec.json.decode(entry.payload, type=TemplateSet)
                    found.pop(told_of.name, None)
                    if told_of.fields is not None:
                        found[told_of.name] = told_of.fields
            if len(page) < _PAGE:
                return dict(sorted(found.items()))
            after = page[-1].seq

    async def set_retention(self, context: Context, policy: RetentionPolicy | None, every_s: float) -> None:
        """Store a policy that was checked, or that there is none any more."""
        if type(every_s) not in {int, float} or not EVERY_S_MIN <= every_s <= EVERY_S_MAX:
            raise InvalidInput(
                f"every_s is {EVERY_S_MIN:.0f} to {EVERY_S_MAX:,.0f} seconds, not {told(every_s)}",
                code="invalid-policy",
            )
        payload = RetentionSet(None if policy is None else _stored(policy), every_s)

        async def unit(writer: Writer) -> None:
            await writer.append(RETENTION_SET, payload, await writer.scope("global"), _RETENTION)

        await self._journal.write(unit, context=context)


def _payload(row: Row | None, kind: type[Any]) -> Any:
    payload = None if row is None else check_row(row).payload
    return None if payload is None else msgspec.json.decode(payload, type=kind)


def _fields_of(name: str, found: TemplateSet | None) -> dict[str, Any]:
    if found is None or found.fields is None:
        raise NotFound(f"there is no template {name!r}", code="template-not-found")
    return found.fields


def _stored(policy: RetentionPolicy) -> dict[str, Any]:
    """A policy as it is stored. Its folder is an absolute one: whoever applies it may work in another."""
    found = policy.to_dict()
    if found["archive_to"] is not None:
        found["archive_to"] = str(Path(found["archive_to"]).absolute())
    return found


def _page_of(query: EntryQuery) -> Callable[[Reading], list[Entry]]:
    return lambda view: read_page(view, query, _PAGE)
