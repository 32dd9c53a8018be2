"""Which entries are a session's own: those about what lies in its scope, its events, and the correlations it opened.

What was written in the session into other scopes (the global one, an agent's) belongs there and stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from llmspell.journal.asking import Asks
from llmspell.journal.codec import load_payload
from llmspell.model.entry import subject_digest
from llmspell.model.ids import id_bytes, id_text

_OWN_KINDS = frozenset({"event.published", "correlation.opened"})
_STAY = frozenset({"session.shredded", "payload.erased", "state.default_set"})
"""Records of shredding, and the rule for new keys: it says a class and nothing else, and forks, and handles of before,
go on with it.
"""
_BINDINGS = frozenset({"schema.bound", "schema.unbound"})
_STEP_ROWS = 500
_WRITTEN_IN = (
    "SELECT seq, kind, codec, payload FROM entry WHERE session = ? AND seq > ? AND payload IS NOT NULL"
    f" ORDER BY seq LIMIT {_STEP_ROWS}"
)
_ROWS = "SELECT seq FROM state WHERE scope = ?"
_ONE = "SELECT seq, kind, codec, payload, session FROM entry WHERE seq = ? AND payload IS NOT NULL"
_WRITTEN_ELSEWHERE = (
    "SELECT seq FROM entry WHERE subject = ? AND (session IS NULL OR session <> ?) AND payload IS NOT NULL"
)
_SUBJECTS = (
    "SELECT 'state/' || key FROM state WHERE scope = ?2"
    " UNION SELECT 'artifact/' || name FROM artifact WHERE session = ?1"
    " UNION SELECT 'artifact-grant/' || name FROM artifact WHERE session = ?1"
    " UNION SELECT 'checkpoint/' || label FROM checkpoint WHERE session = ?1 UNION SELECT 'session'"
    " UNION SELECT 'capture-rules' UNION SELECT 'captures'"
)
_BOUND = (
    "SELECT since_seq AS seq FROM schema_binding WHERE scope = ?1 UNION"
    " SELECT until_seq FROM schema_binding WHERE scope = ?1 AND until_seq IS NOT NULL ORDER BY seq"
)
_RUNS = "SELECT id FROM run WHERE session = ?"


class Step(NamedTuple):
    """Entries that were looked at: up to ``last``; those to erase, those that stay by kind; whether more may follow."""

    last: int
    own: list[int]
    kept: dict[str, int]
    more: bool


class _Said(msgspec.Struct):
    """The fields by which a payload says whose it is; each kind has some of them."""

    id: str | None = None
    session: str | None = None
    scope: str | None = None
    previous: int = 0


_said = msgspec.json.Decoder(_Said).decode


async def next_step(asks: Asks, session: bytes, scope: str, after: int) -> Step:
    """The next entries that were written in the session."""
    rows = await asks.all(_WRITTEN_IN, (session, after))
    own, kept = [], dict[str, int]()
    for seq, kind, codec, payload in rows:
        if kind in _STAY or (kind in _BINDINGS and _said(load_payload(codec, payload)).scope == scope):
            continue  # What was bound to the session's keys is looked for by itself.
        if await _is_own(asks, kind, load_payload(codec, payload), session, scope):
            own.append(seq)
        else:
            kept[kind] = kept.get(kind, 0) + 1
    return Step(rows[-1][0] if rows else after, own, kept, len(rows) == _STEP_ROWS)


async def still_there(asks: Asks, seqs: Iterable[int]) -> list[int]:
    """Those entries that have a payload."""
    return [seq for seq in seqs if await asks.one(_ONE, (seq,)) is not None]


async def written_elsewhere(asks: Asks, session: bytes, scope: tuple[int, bytes]) -> list[int]:
    """Entries about what lies in the session's scope that were not written in the session. A probe for each subject."""
    subjects = [subject for (subject,) in await asks.all(_SUBJECTS, (session, scope[0]))]
    subjects += [f"run/{id_text(run)}" for (run,) in await asks.all(_RUNS, (session,))]
    found: list[int] = []
    for subject in subjects:
        rows = await asks.all(_WRITTEN_ELSEWHERE, (subject_digest(scope[1], subject), session))
        found += [seq for (seq,) in rows]
    return sorted({*found, *await _under_another_salt(asks, session, scope[0], set(found))})


async def _under_another_salt(asks: Asks, session: bytes, scope_id: int, found: set[int]) -> set[int]:
    """Changes of state by a handle that knew the scope before it was shredded the first time: their subjects are made
    with the salt that it had then, so that rows and what was before them lead to them.
    """
    more: set[int] = set()
    for (newest,) in await asks.all(_ROWS, (scope_id,)):
        seq = newest
        while seq not in found and (row := await asks.one(_ONE, (seq,))) is not None:
            said = _said(load_payload(row[2], row[3]))
            if said.scope != f"session:{id_text(session)}":
                break  # In a fork, what was before its own is its origin's.
            if row[4] != session:
                more.add(seq)
            if said.previous >= seq:
                break
            seq = said.previous
    return more


async def of_bindings(asks: Asks, scope: str) -> list[int]:
    """Entries that say what keys of a scope are or were bound to, wherever they were written."""
    return await still_there(asks, [seq for (seq,) in await asks.all(_BOUND, (scope,))])


def ranges_of(seqs: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending seqs as runs, first and last."""
    runs: list[tuple[int, int]] = []
    for seq in seqs:
        if runs and runs[-1][1] == seq - 1:
            runs[-1] = runs[-1][0], seq
        else:
            runs.append((seq, seq))
    return runs


async def _is_own(asks: Asks, kind: str, payload: bytes, session: bytes, scope: str) -> bool:
    if kind in _OWN_KINDS:
        return True
    room = kind.partition(".")[0]
    if room not in {"state", "session", "artifact", "run"}:
        return False
    said = _said(payload)
    id_ = scope.removeprefix("session:")
    if room == "state":
        return said.scope == scope
    if room == "session":
        return said.id == id_
    if said.session is not None or said.id is None:  # Without an id it is about the whole store.
        return said.session == id_
    # Only the entry that made it says whose it is. Rows of other sessions are all there; the session's own may be gone.
    table = "artifact" if room == "artifact" else "run"
    row = await asks.one(f"SELECT session FROM {table} WHERE id = ? LIMIT 1", (id_bytes(said.id or ""),))
    return row is None or row[0] == session
