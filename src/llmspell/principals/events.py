"""Events as a principal sees them: what others say to everybody or to it, and what it says under its own name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from llmspell.access.check import Demand
from llmspell.errors import AccessDenied, InvalidInput
from llmspell.events.buffer import BUFFER_EVENTS_DEFAULT, Overflow
from llmspell.events.callbacks import check_callback
from llmspell.events.service import AsyncEvents
from llmspell.model.scope import Scope

if TYPE_CHECKING:
    from llmspell.events.dispatcher import FromPosition
    from llmspell.events.event import Event
    from llmspell.events.subscription import Subscription, SyncSubscription
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal
    from llmspell.principals.parts import Parts

Where = Callable[["Event"], bool]


class AsyncPrincipalEvents:
    """The events of one principal: ``store.acting_as(principal).events``.

    It is given users' events without a target, and those whose target is this principal; never what the store itself
    tells, which speaks of scopes that it may not read. Once it is cut off, publishing and receiving are AccessDenied
    (``principal-cut-off``).
    """

    def __init__(self, parts: Parts, acting: Acting, principal: Scope) -> None:
        self._parts = parts
        self._principal = principal
        self._checked = parts.checked(Demand(principal, principal, 0))
        self._events = AsyncEvents(cast("Journal", self._checked), parts.hooks, acting, parts.dispatcher)
        self.admit = parts.admitting(principal)

    async def publish(
        self,
        type: str,
        data: Any = None,
        *,
        tags: Iterable[str] = (),
        target: str | None = None,
        priority: int = 0,
        ttl_s: float | None = None,
    ) -> int:
        """Publish an event whose source is this principal, and return its seq; see ``AsyncEvents.publish``."""
        await self._before()
        return await self._events.publish(
            type, data, tags=tags, source=self._principal.text, target=target, priority=priority, ttl_s=ttl_s
        )

    async def publish_many(self, events: Sequence[Mapping[str, Any]]) -> list[int]:
        """Publish several in one transaction: all or none. Each is a mapping of ``publish``'s arguments."""
        await self._before()
        if isinstance(events, Sequence):
            events = [self._named(event) for event in events]
        return await self._events.publish_many(events)

    def subscribe(
        self,
        pattern: str,
        callback: Callable[[Event], Any] | None = None,
        *,
        from_position: FromPosition = None,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
        buffer: int = BUFFER_EVENTS_DEFAULT,
    ) -> Subscription:
        """Receive the events that this principal may see and whose type ``pattern`` means, in the order of the journal;
        see ``AsyncEvents.subscribe``.
        """
        self.admit()
        held: list[Any] = []
        subscription = self._parts.dispatcher.subscribe(
            pattern, callback=self._admitted(callback, held), from_position=from_position, overflow=overflow,
            buffer=buffer, where=self.may_see, admit=self.admit,
        )  # fmt: skip
        held.append(subscription)
        return subscription

    def subscribe_blocking(
        self,
        pattern: str,
        callback: Callable[[Event], Any] | None = None,
        *,
        from_position: FromPosition = None,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
        buffer: int = BUFFER_EVENTS_DEFAULT,
    ) -> SyncSubscription:
        """``subscribe`` for threads: what the synchronous face gives."""
        self.admit()
        held: list[Any] = []
        subscription = self._parts.dispatcher.subscribe_sync(
            pattern, callback=self._admitted(callback, held), from_position=from_position, overflow=overflow,
            buffer=buffer, where=self.may_see, admit=self.admit,
        )  # fmt: skip
        held.append(subscription)
        return subscription

    def may_see(self, event: Event) -> bool:
        """Whether an event is for this principal, or for everybody."""
        if event.system:
            return False
        return event.target is None or means(event.target, self._principal)

    async def _before(self) -> None:
        if self._parts.hooks.armed:
            await self._checked.demand()

    def _named(self, event: Any) -> Any:
        if not isinstance(event, Mapping):
            return event
        if event.get("source") not in (None, self._principal.text):
            raise InvalidInput(
                f"{self._principal.text} cannot publish as {event['source']!r}", code="foreign-source",
                hint="leave the source out",
            )  # fmt: skip
        return {**event, "source": self._principal.text}

    def _admitted(self, callback: Callable[[Event], Any] | None, held: list[Any]) -> Callable[[Event], Any] | None:
        """The callback, called only while the principal may receive; its subscription ends with that."""
        if callback is None:
            return None

        def check() -> None:
            try:
                self.admit()
            except AccessDenied:
                for subscription in held:
                    subscription.close()
                raise

        if check_callback(callback):

            @wraps(callback)
            async def later(event: Event) -> Any:
                check()
                return await callback(event)

            return later

        @wraps(callback)
        def now(event: Event) -> Any:
            check()
            return callback(event)

        return now


def means(text: str, principal: Scope) -> bool:
    """Whether a target or source names this principal."""
    if text == principal.text:
        return True
    try:
        return Scope.parse(text) == principal
    except InvalidInput:
        return False
