"""Did you mean …: names close to one that was not found."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from llmspell.errors import InvalidInput, LlmspellError, NotFound, StoreMissing

if TYPE_CHECKING:
    from llmspell.sync.faces import Artifacts, Session, Store

NAMES_MAX = 1000
"""Names that are looked through for a close one; the newest sessions, the first artifacts and keys."""


@contextmanager
def suggesting(wanted: str, names: Callable[[], Iterable[str]], otherwise: str) -> Iterator[None]:
    """Give a NotFound of the block a hint: the names closest to ``wanted``, or ``otherwise``."""
    try:
        yield
    except NotFound as exc:
        if not isinstance(exc, StoreMissing):
            exc.hint = _close(wanted, names) or exc.hint or otherwise
        raise


def open_session(store: Store, name: str) -> Session:
    """A session by id or name; not found, it suggests others."""
    with suggesting_sessions(store, name):
        return store.sessions.open(name)


def artifacts_of(store: Store, session: str | None) -> Artifacts:
    """The artifacts of a session, else the store's."""
    return store.artifacts if session is None else open_session(store, session).artifacts


def artifacts_with(store: Store, name: str, session: str | None) -> Artifacts:
    """The artifacts among which ``name`` means one. Raises InvalidInput (``usage``) for a name without a session."""
    from llmspell.artifacts.rules import is_id

    if session is None and not is_id(name):
        raise InvalidInput(
            f"{name!r} is a name, and names belong to a session", code="usage",
            hint="add --session NAME, or give the id",
        )  # fmt: skip
    return artifacts_of(store, session)


def session_id(store: Store, name: str) -> str:
    """The id of a session given by id or name."""
    with suggesting_sessions(store, name):
        return store.sessions.get(name).id


def suggesting_sessions(store: Store, name: str) -> AbstractContextManager[None]:
    """Give a NotFound of the block a hint: sessions with a name close to this one."""

    def names() -> Iterable[str]:
        return (info.name for info in store.sessions.list(limit=NAMES_MAX))

    return suggesting(name, names, "`llmspell session list` shows what there is")


def _close(wanted: str, names: Callable[[], Iterable[str]]) -> str | None:
    """Other names than the one that was given: where that exists, it is something else that was not found."""
    try:
        folded = {name.casefold(): name for name in names() if name != wanted}
    except LlmspellError:
        return None
    close = difflib.get_close_matches(wanted.casefold(), sorted(folded), n=3)
    return f"did you mean {' or '.join(repr(folded[name]) for name in close)}?" if close else None


def check_positive(number: float | None, option: str) -> None:
    """Refuse a number of zero or less, naming the option."""
    if number is not None and number <= 0:
        raise InvalidInput(f"{option} is above 0, not {number}", code="usage")
