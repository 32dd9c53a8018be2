"""Opening what is sealed, for the check of a store: each value by the key of its scope, for the place it stands in.

A hash says that a sealed value is what was written, and nothing about whether anybody can still open it. Without the
key nothing is wrong with the store: what was not opened is counted, and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from llmspell.errors import Corrupt, LlmspellError
from llmspell.model.entry import REDACTED
from llmspell.model.ids import id_text
from llmspell.runs import items
from llmspell.runs.kinds import RunFailed, RunFinished, RunRecorded
from llmspell.runs.results import open_result
from llmspell.state.kinds import StateSet

if TYPE_CHECKING:
    from llmspell.model.entry import Entry
    from llmspell.state.classes import Protection

_BROKEN = frozenset({"keyring-damaged", "not-a-keyring"})
"""What is said of a keyring that is damaged itself."""
_OF_ONE = frozenset({"unknown-data-key", "wrong-data-key"})
"""What is said of a value that names a key which an open keyring never had: it comes from elsewhere, or the keyring is
an older one.
"""
_set = msgspec.json.Decoder(StateSet).decode
_recorded = msgspec.json.Decoder(RunRecorded).decode
_last: dict[str, Callable[[bytes], RunFinished | RunFailed]] = {
    "run.finished": msgspec.json.Decoder(RunFinished).decode, "run.failed": msgspec.json.Decoder(RunFailed).decode,
}  # fmt: skip
_item = msgspec.json.Decoder(items.Item | items.Sealed).decode


class Unsealing:
    """Opens the sealed values and steps of entries. ``opened`` and ``unopened`` count them; ``why`` is the reason that
    none could be, without a key, or that some could not: their key was shredded.
    """

    def __init__(self, protection: Protection) -> None:
        self._protection = protection
        self.opened = 0
        self.unopened = 0
        self._no_key: str | None = None
        self._shredded: str | None = None

    @property
    def why(self) -> str | None:
        """Why something was not opened; None when everything was."""
        return self._no_key or self._shredded

    def look(self, entry: Entry, session_of: Callable[[str], bytes | None]) -> Iterator[str]:
        """What is wrong with what an entry holds sealed; mostly nothing. 6 µs for each value.

        ``session_of`` gives the session of a run.
        """
        for what, work in self._sealed(entry, session_of):
            if (wrong := self._try(work)) is not None:
                yield f"{what} in entry {entry.seq} cannot be opened: {wrong}"

    def _sealed(
        self, entry: Entry, session_of: Callable[[str], bytes | None]
    ) -> Iterator[tuple[str, Callable[[], Any]]]:
        text = entry.payload or b""
        if entry.kind == "state.set" and b'"sensitive"' in text:
            payload = _set(text)
            if payload.state_class == "sensitive":
                yield f"the value of state key {payload.key!r}", partial(self._protection.shown, payload)
        elif entry.kind == "run.recorded" and b'"sealed"' in text:
            record = _recorded(text)
            session = session_of(record.id) or entry.session or b""
            for raw in record.items:
                item = _item(raw)
                # An imported one shows nothing: it could not be carried from the store that it was sealed in.
                if isinstance(item, items.Sealed) and item.text != REDACTED:
                    opening = self._protection.opening(f"session:{id_text(session)}")
                    yield f"step {item.path} of run {record.id}", partial(items.decode, raw, opening)
        elif entry.kind in {"run.finished", "run.failed"} and b'"sealed"' in text:
            last = _last[entry.kind](text)
            if last.sealed is not msgspec.UNSET and last.sealed != REDACTED:
                session = session_of(last.id) or entry.session or b""
                opening = self._protection.opening(f"session:{id_text(session)}")
                yield f"the result of run {last.id}", partial(open_result, last, opening)

    def _try(self, work: Callable[[], Any]) -> str | None:
        """What is wrong. Once there is no key, nothing more is tried."""
        if self._no_key is None:
            try:
                work()
            except LlmspellError as exc:
                if exc.code in _OF_ONE or (isinstance(exc, Corrupt) and exc.code not in _BROKEN):
                    return exc.message
                if exc.code == "key-shredded":  # It was destroyed on purpose, and the values with it.
                    self._shredded = exc.message
                else:
                    self._no_key = exc.message
                self.unopened += 1
                return exc.message if exc.code in _BROKEN else None
            self.opened += 1
            return None
        self.unopened += 1
        return None
