"""From rows and entries to values: checked before they are served."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import error
from typing import Any

import msgspec

from llmspell.errors import Corrupt, InvalidInput
from llmspell.journal.reading import COLUMNS, check_rows, entry_at
from llmspell.model import limits
from llmspell.model.clock import to_datetime
from llmspell.model.entry import Entry
from llmspell.model.ids import id_text
from llmspell.model.telling import told
from llmspell.model.values import decode_value
from llmspell.ports.database import Reading, Row
from llmspell.schema import queries
from llmspell.state.kinds import StateSet
from llmspell.state.projection import check_sum
from llmspell.state.values import StateChange, StateEntry

_SQL = queries("llmspell.state")
_PAGE, _OF_ARTIFACT = _SQL["page"], _SQL["of_artifact"]
_payload = msgspec.json.Decoder(StateSet).decode
_LAST = chr(0x10FFFF) * (limits.KEY_BYTES_MAX + 1)


def load_row(
    view: Reading | None, key: str, row: Row | None, now: int, shown: Callable[[StateSet], Any]
) -> StateEntry | None:
    """The visible entry of a row selected as ``row`` does; None for no row, a deleted key or an expired one.

    Raises Corrupt when the row does not match its check sum, or the entry it points to does not match its hash.
    """
    if row is None:
        return None
    version, seq, at, expires_at, deleted, value, _, class_ = row
    if not matches(key, row):
        raise Corrupt(
            f"the row of state key {key!r} does not match its check sum",
            hint="run `llmspell verify`; the journal still has the value",
            key=key,
        )
    if deleted or (expires_at is not None and expires_at <= now):
        return None
    if value is not None:
        decoded = decode_value(value)
    elif view is None:
        decoded = None
    else:
        entry = entry_at(view, seq)
        if entry is None or entry.payload is None:
            raise Corrupt(
                f"the value of state key {key!r} should stand in entry {seq}, which has none", key=key, seq=seq
            )
        decoded = shown(_payload(entry.payload))
    return StateEntry(
        key, decoded, version, seq, to_datetime(at), None if expires_at is None else to_datetime(expires_at), class_
    )


def is_plain(row: Row) -> bool:
    """Whether the row itself holds a value that is there and stays: not deleted, never expiring, not in an entry."""
    return row[5] is not None and row[4] == 0 and row[3] is None


def matches(key: str, row: Row) -> bool:
    """Whether a row matches its check sum."""
    version, seq, at, expires_at, deleted, value, sum_, class_ = row
    try:
        raw = None if value is None else value.encode()
        return bool(check_sum(key, version, seq, at, expires_at, deleted, raw, class_) == sum_)
    except (TypeError, AttributeError, KeyError, error):
        return False  # A field does not even have its type.


def load_page(
    view: Reading, args: Sequence[Any], values: bool, now: int, shown: Callable[[StateSet], Any]
) -> list[StateEntry]:
    """Visible entries of one page; with ``values`` False, long values are not fetched."""
    page = []
    for key, *row in view.all(_PAGE, args):
        found = load_row(view if values else None, key, tuple(row), now, shown)
        if found is not None:
            page.append(found)
    return page


def change_of(entry: Entry, shown: Callable[[StateSet], Any]) -> StateChange:
    """A step of a key's history from its journal entry."""
    data = entry.data or {}
    if data.get("state_class") == "sensitive" and entry.payload is not None:
        data["value"] = shown(_payload(entry.payload))
    return StateChange(
        key=data.get("key", ""),
        operation=entry.kind.removeprefix("state."),
        value=data.get("value"),
        version=data.get("version", 0),
        seq=entry.seq,
        time=to_datetime(entry.happened_at),
        session=id_text(entry.session) if entry.session else None,
        correlation_id=id_text(entry.correlation),
        scope=data.get("scope", ""),
        artifacts=tuple(data.get("artifacts", ())),
    )


def read_changes_of(
    view: Reading, artifact: bytes, before: int, limit: int, shown: Callable[[StateSet], Any]
) -> list[StateChange]:
    """Changes that name an artifact, newest first, hashes checked."""
    seqs = [row[0] for row in view.all(_OF_ARTIFACT, (artifact, before, limit))]
    marks = ",".join("?" * len(seqs))
    rows = view.all(f"SELECT {COLUMNS} FROM entry WHERE seq IN ({marks}) ORDER BY seq DESC", seqs)
    return [change_of(entry, shown) for entry in check_rows(rows)]


def check_after(after: str) -> str:
    """The key that a page begins beyond; any text will do."""
    if type(after) is not str:
        raise InvalidInput(f"after is a key, not {told(after)}", code="invalid-key")
    try:
        after.encode()
    except UnicodeEncodeError:
        raise InvalidInput("after holds a lone surrogate, which no key does", code="invalid-key") from None
    return after


def end_of_prefix(prefix: str) -> str:
    """The first text after all that begin with ``prefix``."""
    if type(prefix) is not str:
        raise InvalidInput(f"prefix is a str, not {type(prefix).__name__}", code="invalid-prefix")
    if not prefix.isascii() and any("\ud800" <= char <= "\udfff" for char in prefix):
        raise InvalidInput(f"a prefix holds no lone surrogates: {prefix[:80]!r}", code="invalid-prefix")
    while prefix and prefix[-1] == chr(0x10FFFF):
        prefix = prefix[:-1]
    if not prefix:
        return _LAST
    following = ord(prefix[-1]) + 1
    return prefix[:-1] + chr(0xE000 if following == 0xD800 else following)
