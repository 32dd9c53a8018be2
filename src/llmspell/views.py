"""Views: a store as it was at a moment, read-only, and what two moments differ in."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llmspell.errors import InvalidInput, NotFound
from llmspell.journal.reading import seq_at
from llmspell.model.clock import DATETIME_NS, to_datetime, to_ns
from llmspell.model.labels import check_label
from llmspell.model.scope import GLOBAL, Scope
from llmspell.model.telling import told
from llmspell.state.past import AsyncPastState, Moment

if TYPE_CHECKING:
    from llmspell.journal.journal import Journal
    from llmspell.ports.database import Reading

When = int | str | datetime
_AGO = re.compile(r"-(\d{1,9}(?:\.\d{1,9})?)(s|m|h|d|w)").fullmatch
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_CHECKPOINT = "checkpoint:"
_LAST = "SELECT seq, at, clock FROM entry ORDER BY seq DESC LIMIT 1"
_HINT = 'a seq, a datetime, RFC 3339 text, "-5m", or "checkpoint:LABEL"'


class AsyncView:
    """A store as it was. Get it from ``store.at(when)``; it stays the same whatever is written, and needs no closing.

    ``seq`` is the last entry it shows, ``time`` its moment; ``state`` is that of the global scope.
    """

    def __init__(self, journal: Journal, moment: Moment) -> None:
        self._journal = journal
        self._moment = moment
        self.seq = moment.seq
        self.time = to_datetime(moment.now)
        self.state = self.state_of(GLOBAL)

    def state_of(self, scope: Scope) -> AsyncPastState:
        """The state of any scope as it was."""
        return AsyncPastState(self._journal, check_scope(scope), self._moment)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of entry {self.seq}, {self.time.isoformat()}>"


def moment_of(view: Reading, when: When, now: int) -> Moment:
    """The moment that is meant. ``now`` is the time of the clock in nanoseconds.

    Raises InvalidInput (``invalid-moment``), NotFound (``checkpoint-not-found``, ``entry-not-found``).
    """
    last = view.one(_LAST) or (0, 0, 0)
    if isinstance(when, str) and when.isascii() and when.isdigit() and len(when) < 20:
        when = int(when)
    if type(when) is int:
        return _after_entry(view, when, last[0])
    if isinstance(when, str) and when.startswith(_CHECKPOINT):
        return _at_checkpoint(view, when.removeprefix(_CHECKPOINT))
    at = _time(when, now)
    if at > max(now, last[1]) + DATETIME_NS:
        raise InvalidInput(f"{told(when)} is still to come", code="invalid-moment")
    if at >= now:  # All that is written was, by then; entries are dated ahead of a clock that was set back.
        return Moment(last[0], at)
    return Moment(seq_at(view, at), at)


def check_scope(scope: object) -> Scope:
    """Raises InvalidInput (``invalid-scope``) for what is none."""
    if not isinstance(scope, Scope):
        raise InvalidInput(f"a scope is a Scope, not {told(scope)}", code="invalid-scope", hint="Scope.parse(text)")
    return scope


def _after_entry(view: Reading, seq: int, last: int) -> Moment:
    if not 0 <= seq <= last:
        raise NotFound(f"there is no entry {told(seq)} yet; the last one is {last}", code="entry-not-found")
    row = view.one("SELECT clock FROM entry WHERE seq = ?", (seq,))
    return Moment(seq, 0 if row is None else row[0])


def _at_checkpoint(view: Reading, label: str) -> Moment:
    label = check_label(label, "a checkpoint's label")
    row = view.one("SELECT max(seq) FROM checkpoint WHERE label = ?", (label,))
    if row is None or row[0] is None:
        raise NotFound(f"no session has a checkpoint {label!r}", code="checkpoint-not-found")
    return _after_entry(view, row[0], row[0])


def _time(when: object, now: int) -> int:
    """A time in nanoseconds."""
    if isinstance(when, str):
        ago = _AGO(when)
        if ago is not None:
            return max(0, now - round(float(ago[1]) * _SECONDS[ago[2]] * 1e9))
        try:
            when = datetime.fromisoformat(when)
        except ValueError:
            raise InvalidInput(f"{told(when)} is no moment", code="invalid-moment", hint=_HINT) from None
        when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    if not isinstance(when, datetime):
        raise InvalidInput(f"{told(when)} is no moment", code="invalid-moment", hint=_HINT)
    try:
        return to_ns(when) + DATETIME_NS - 1
    except (OverflowError, ValueError, OSError) as exc:
        raise InvalidInput(f"{told(when)} is no time in UTC: {exc}", code="invalid-moment") from None
