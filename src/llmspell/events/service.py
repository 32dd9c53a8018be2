"""Events: publishing messages into the journal, and subscribing to everything that happens in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmspell.errors import InvalidInput, LimitExceeded
from llmspell.events.buffer import BUFFER_EVENTS_DEFAULT, Overflow
from llmspell.events.kinds import PUBLISHED, EventPublished
from llmspell.events.patterns import check_event_type
from llmspell.hooks.moment import run_point
from llmspell.model import limits
from llmspell.model.ids import id_text
from llmspell.model.labels import check_label, check_tags
from llmspell.model.telling import told
from llmspell.model.values import decode_value, encode_value

if TYPE_CHECKING:
    from llmspell.events.dispatcher import Dispatcher, FromPosition
    from llmspell.events.event import Event
    from llmspell.events.subscription import Subscription, SyncSubscription
    from llmspell.hooks.registry import Hooks
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal, Writer
    from llmspell.model.context import Context

_FIELDS = frozenset(("type", "data", "tags", "source", "target", "priority", "ttl_s"))
_PRIORITY_MAX = 1_000_000


class AsyncEvents:
    """The events of a store, or of one session: ``store.events``, ``session.events``."""

    def __init__(self, journal: Journal, hooks: Hooks, acting: Acting, dispatcher: Dispatcher) -> None:
        self._journal = journal
        self._hooks = hooks
        self._acting = acting
        self._dispatcher = dispatcher

    async def publish(
        self,
        type: str,
        data: Any = None,
        *,
        tags: Iterable[str] = (),
        source: str | None = None,
        target: str | None = None,
        priority: int = 0,
        ttl_s: float | None = None,
    ) -> int:
        """Publish an event and return its seq; it is committed then, and on its way to subscribers of every process.

        ``type`` is dotted words (``data.ready``), none of the store's own kinds; ``data`` any JSON value. After
        ``ttl_s`` seconds it is not delivered any more. Raises InvalidInput, LimitExceeded, Vetoed.
        """
        event = self._checked(type, data, tags, source, target, priority, ttl_s)
        return (await self._publish([event]))[0]

    async def publish_many(self, events: Sequence[Mapping[str, Any]]) -> list[int]:
        """Publish several events in one transaction, in order: all or none. Each is a mapping of ``publish``'s
        arguments.

        At most 10,000. Returns their seqs.
        """
        if not isinstance(events, Sequence):
            raise InvalidInput(f"events are a list of mappings, not a {type(events).__name__}", code="invalid-event")
        if len(events) > limits.BATCH_KEYS_MAX:
            raise LimitExceeded(
                f"{len(events):,} events at once; at most {limits.BATCH_KEYS_MAX:,}", code="too-many-events"
            )
        return await self._publish([self._event(event) for event in events]) if events else []

    def subscribe(
        self,
        pattern: str,
        callback: Callable[[Event], Any] | None = None,
        *,
        from_position: FromPosition = None,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
        buffer: int = BUFFER_EVENTS_DEFAULT,
    ) -> Subscription:
        """Receive the events whose type ``pattern`` means, in the order of the journal; of this session only, if this
        is a session's room. See ``events.dispatcher.Dispatcher.subscribe`` for positions, overflow and callbacks.
        """
        return self._dispatcher.subscribe(
            pattern,
            callback=callback,
            from_position=from_position,
            overflow=overflow,
            buffer=buffer,
            where=self._where(),
        )

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
        return self._dispatcher.subscribe_sync(
            pattern,
            callback=callback,
            from_position=from_position,
            overflow=overflow,
            buffer=buffer,
            where=self._where(),
        )

    def _where(self) -> Callable[[Event], bool] | None:
        if self._acting.session is None:
            return None
        mine = id_text(self._acting.session.id)
        return lambda event: event.session == mine

    async def _publish(self, events: list[EventPublished]) -> list[int]:
        context = self._acting.context()
        guarded = "before_event_publish" in self._hooks.armed or "after_event_publish" in self._hooks.armed
        if guarded:
            for event in events:
                await self._before(context, event)
        scope_name = "global"

        async def unit(writer: Writer) -> list[int]:
            scope = writer.known(scope_name) or await writer.scope(scope_name)
            return [await writer.append(PUBLISHED, event, scope, f"event/{event.type}") for event in events]

        seqs = await self._journal.write(unit, context=context)
        if guarded:
            for event, seq in zip(events, seqs, strict=True):
                data = {"type": event.type, "data": event.data, "tags": event.tags, "seq": seq}
                await run_point(self._hooks, context, "after_event_publish", "event", "publish", data)
        return seqs

    async def _before(self, context: Context, event: EventPublished) -> None:
        data = {"type": event.type, "data": event.data, "tags": event.tags}
        outcome = await run_point(self._hooks, context, "before_event_publish", "event", "publish", data)
        if outcome is not None and outcome.changed:
            event.data = decode_value(encode_value(outcome.data["data"]))
            event.tags = check_tags(outcome.data["tags"])

    def _event(self, given: Mapping[str, Any]) -> EventPublished:
        if not isinstance(given, Mapping):
            raise InvalidInput(f"an event is a mapping, not a {type(given).__name__}", code="invalid-event")
        unknown = set(given) - _FIELDS
        if unknown or "type" not in given:
            what = f"unknown: {', '.join(sorted(map(str, unknown)))}" if unknown else "type is missing"
            raise InvalidInput(f"an event has {', '.join(sorted(_FIELDS))}; {what}", code="invalid-event")
        return self._checked(
            given["type"],
            given.get("data"),
            given.get("tags", ()),
            given.get("source"),
            given.get("target"),
            given.get("priority", 0),
            given.get("ttl_s"),
        )

    def _checked(
        self,
        kind: str,
        data: Any,
        tags: Iterable[str],
        source: str | None,
        target: str | None,
        priority: int,
        ttl_s: float | None,
    ) -> EventPublished:
        check_event_type(kind)
        if kind in self._journal.kinds:
            raise InvalidInput(f"{kind!r} is an event of the store itself; choose another type", code="reserved-type")
        data = decode_value(encode_value(data))  # Its own: it is written later.
        if type(priority) is not int or abs(priority) > _PRIORITY_MAX:
            raise InvalidInput(f"a priority is up to {_PRIORITY_MAX}, not {told(priority)}", code="invalid-priority")
        return EventPublished(
            kind,
            data,
            check_tags(tags) if tags != () else [],
            None if source is None else check_label(source, "source"),
            None if target is None else check_label(target, "target"),
            priority,
            self._expiry(ttl_s),
        )

    def _expiry(self, ttl_s: float | None) -> int | None:
        if ttl_s is None:
            return None
        if type(ttl_s) not in (int, float) or not 0 < ttl_s < limits.TTL_S_MAX:
            raise InvalidInput(f"ttl_s is a number of seconds above 0, not {told(ttl_s)}", code="invalid-ttl")
        return self._journal.clock.now_ns() + round(ttl_s * 1e9)
