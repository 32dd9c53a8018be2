"""The few parts of the synchronous face that differ from the asynchronous one by more than ``await``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from llmspell.artifacts.batch import BatchItem, BatchReport
from llmspell.events.buffer import BUFFER_EVENTS_DEFAULT, Overflow
from llmspell.sessions.session import close_block
from llmspell.sync.drive import drive

if TYPE_CHECKING:
    from llmspell.artifacts.service import AsyncArtifacts
    from llmspell.events.dispatcher import FromPosition
    from llmspell.events.event import Event
    from llmspell.events.service import AsyncEvents
    from llmspell.events.subscription import SyncSubscription
    from llmspell.model.scope import Scope
    from llmspell.principals.events import AsyncPrincipalEvents
    from llmspell.principals.sharing import AsyncPrincipalSharing
    from llmspell.sessions.session import AsyncSession
    from llmspell.store import AsyncStore
    from llmspell.sync.faces import Content, Session


class ArtifactsByHand:
    """Many at once: each result is a handle of this face."""

    def __init__(self, inner: AsyncArtifacts) -> None:
        self._artifacts = inner

    def get_many(
        self, names_or_ids: Sequence[str], *, progress: Callable[[int, int], None] | None = None
    ) -> BatchReport[Content]:
        """Many artifacts at once, each with its content or with what kept it from being had. Content is read when it is
        asked for, as ``get`` gives it.
        """
        from llmspell.sync.faces import Content

        found = drive(self._artifacts.get_many(names_or_ids, progress=progress))
        return BatchReport(
            [
                BatchItem(item.index, item.name, None if item.result is None else Content(item.result), item.error)
                for item in found
            ]
        )


class EventsByHand:
    """Subscribing: what a thread receives from is another kind of subscription."""

    def __init__(self, inner: AsyncEvents) -> None:
        self._events = inner

    def subscribe(
        self,
        pattern: str,
        callback: Callable[[Event], Any] | None = None,
        *,
        from_position: FromPosition = None,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
        buffer: int = BUFFER_EVENTS_DEFAULT,
    ) -> SyncSubscription:
        """Receive the events whose type ``pattern`` means, in the order of the journal; of this session only, if this
        is a session's room. See ``events.dispatcher.Dispatcher.subscribe`` for positions, overflow and callbacks.
        """
        return self._events.subscribe_blocking(
            pattern, callback, from_position=from_position, overflow=overflow, buffer=buffer
        )


class PrincipalEventsByHand:
    """Subscribing, for a principal."""

    def __init__(self, inner: AsyncPrincipalEvents) -> None:
        self._events = inner

    def subscribe(
        self,
        pattern: str,
        callback: Callable[[Event], Any] | None = None,
        *,
        from_position: FromPosition = None,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
        buffer: int = BUFFER_EVENTS_DEFAULT,
    ) -> SyncSubscription:
        """Receive the events that this principal may see and whose type ``pattern`` means, in the order of the journal;
        see ``Events.subscribe``.
        """
        return self._events.subscribe_blocking(
            pattern, callback, from_position=from_position, overflow=overflow, buffer=buffer
        )


class PrincipalSharingByHand:
    """Waiting for an answer, in a thread."""

    def __init__(self, inner: AsyncPrincipalSharing) -> None:
        self._sharing = inner

    def request(self, type: str, data: Any, to: str | Scope, *, timeout_s: float = 30.0) -> Any:
        """Ask one principal and return the data of its answer. It sees an event of this type and answers it by
        ``respond``; an answer of anybody else is passed over.

        Raises LimitExceeded (``no-answer``) when none came within ``timeout_s`` seconds, and InvalidInput
        (``invalid-timeout``) for None: there is no waiting without a bound.
        """
        asked = self._sharing.asking(type, to, timeout_s)
        with asked.subscribe_blocking() as answers:
            drive(asked.publish(data))
            return asked.answer(answers.receive(timeout_s=timeout_s), timeout_s)


class SessionByHand:
    """The block in which everything belongs to a session."""

    def __init__(self, inner: AsyncSession) -> None:
        self._session = inner

    def __enter__(self) -> Self:
        self._session.enter(self)
        return self

    def __exit__(self, *exc: object) -> None:
        self._session.leave()

    def __repr__(self) -> str:
        return repr(self._session)


class StoreByHand:
    """Blocks, and what makes handles for other scopes."""

    def __init__(self, inner: AsyncStore) -> None:
        self._store = inner

    @contextmanager
    def session(self, name: str, **fields: Any) -> Iterator[Session]:
        """A block that is a session: created (with ``fields`` as ``sessions.create`` takes them) when it is entered,
        completed when it ends, failed with the error that went through it. Everything done inside belongs to it.
        """
        from llmspell.sync.faces import Session

        inner = drive(self._store.sessions.create(name, **fields))
        inner.enter(session := Session(inner))
        try:
            try:
                yield session
            except BaseException as exc:
                drive(close_block(inner, exc))
                raise
            drive(close_block(inner, None))
        finally:
            inner.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        drive(self._store.close())
