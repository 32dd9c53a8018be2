"""The subscriptions of a run. Each knows the last event the script has seen, so that a resumed run misses none.

While a run is answered from its record nothing is received; a subscription begins in the store when the run goes on
live, behind the last event that the record had for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmspell.errors import Conflict, InvalidInput, LimitExceeded, LlmspellError, NotFound
from llmspell.model.context import current
from llmspell.operations.shapes import event_table
from llmspell.script.step import Step

if TYPE_CHECKING:
    from llmspell.events.event import Event
    from llmspell.events.subscription import Subscription
    from llmspell.script.run import Run

SUBSCRIPTIONS_MAX = 1000
_log = logging.getLogger("llmspell.script")


@dataclass(slots=True)
class Own:
    """One subscription of the script. ``after`` is the seq behind which it goes on, None before it is known."""

    id: str
    pattern: str
    options: dict[str, Any]
    language: str
    callback: int | None
    after: int | None = None
    live: Subscription | None = None
    task: asyncio.Task[None] | None = None
    failed: int = 0


class RunSubscriptions:
    """See ``operations.host.Subscriptions``."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._own: dict[str, Own] = {}
        self._count = 0
        self._ended: dict[str, int] = {"events_processed": 0}
        self._handled: Mapping[str, int] = {}

    def subscribe(self, pattern: str, options: Mapping[str, Any], function: Any | None) -> str:
        """Begin one; on a run that is answered from its record, when it goes on live."""
        if len(self._own) >= SUBSCRIPTIONS_MAX:
            raise LimitExceeded(f"a run has at most {SUBSCRIPTIONS_MAX} subscriptions", code="too-many-subscriptions")
        given = dict(options)
        language = given.pop("language", "lua")
        one = Own(f"sub-{self._count + 1}", pattern, given, language, None if function is None else function.id)
        one.after = given.pop("from", None)
        step = current.get().step
        if isinstance(step, Step) and step.kept is not None:
            one.after = max(step.kept["after"], self._handled.get(one.id, 0))
        else:
            self._open(one)
            if isinstance(step, Step) and one.live is not None:
                step.keep = {"after": one.live.position.seq}
        self._count += 1
        self._own[one.id] = one
        if self._run.live.is_set():
            self._listen(one)
        return one.id

    def go_live(self, handled: Mapping[str, int]) -> None:
        """From here on events come from the store, but for those the record will give again: up to ``handled``."""
        self._handled = handled
        for one in self._own.values():
            if one.after is not None:
                one.after = max(one.after, handled.get(one.id, 0))
            self._listen(one)

    async def receive(self, subscription: str, timeout_s: float) -> dict[str, Any] | None:
        """The next event."""
        one = self._find(subscription)
        if one.callback is not None:
            raise InvalidInput(
                f"subscription {subscription} hands its events to a function; it has none to receive",
                code="callback-subscription",
            )
        live = self._open(one)
        clock = asyncio.get_running_loop().time
        deadline = clock() + timeout_s
        while True:
            event = await live.receive(max(0.0, deadline - clock()))
            if event is None:
                return None
            one.after = event.seq
            if not self._is_own_record(event):
                return event_table(event)

    def seen(self, subscription: str, event: Any) -> None:
        """The record gave this event again."""
        one = self._own.get(subscription)
        if one is not None and isinstance(event, dict):
            one.after = event["sequence"]

    def unsubscribe(self, subscription: str) -> bool:
        """End one."""
        one = self._own.pop(subscription, None)
        if one is None:
            return False
        self._end(one)
        if one.callback is not None:
            self._run.engine.release(one.callback)
        return True

    def list(self) -> list[dict[str, Any]]:
        """Those that have not ended."""
        return [
            {"id": one.id, "pattern": one.pattern, "language": one.language, "callback": one.callback is not None}
            for one in self._own.values()
        ]

    def stats(self) -> dict[str, Any]:
        """Counters, in the shape of the original project."""
        counted = [one.live.stats() for one in self._own.values() if one.live is not None]
        languages: dict[str, int] = {}
        for one in self._own.values():
            languages[one.language] = languages.get(one.language, 0) + 1
        return {
            "event_bus_stats": {
                "events_processed": self._ended["events_processed"] + sum(one.delivered for one in counted),
                "rate_limit_violations": 0,
                "buffer_size": sum(one.buffered for one in counted),
                "dropped": sum(one.dropped for one in counted),
            },
            "bridge_stats": {"active_subscriptions": len(self._own), "subscriptions_by_language": languages},
        }

    async def close(self) -> None:
        """End all of them, and wait for their tasks."""
        own, self._own = list(self._own.values()), {}
        for one in own:
            self._end(one)
        tasks = [one.task for one in own if one.task is not None]
        if tasks:
            await asyncio.wait(tasks)

    def _end(self, one: Own) -> None:
        if one.live is not None:
            self._ended["events_processed"] += one.live.stats().delivered
            one.live.close()

    def _find(self, subscription: str) -> Own:
        one = self._own.get(subscription)
        if one is None:
            raise NotFound(f"there is no subscription {subscription!r}", code="subscription-not-found")
        return one

    def _open(self, one: Own) -> Subscription:
        if one.live is None:
            one.live = self._run.store.events.subscribe(one.pattern, from_position=one.after, **one.options)
        return one.live

    def _listen(self, one: Own) -> None:
        if one.callback is not None and one.task is None:
            context = copy_context()
            context.run(current.set, self._run.context(None))
            one.task = asyncio.get_running_loop().create_task(
                self._hand_over(one, self._open(one), one.callback), name=f"events of {one.id}", context=context
            )

    async def _hand_over(self, one: Own, live: Subscription, callback: int) -> None:
        """Call the script's function with each event; a failure is logged and counted, and the next one comes."""
        while True:
            try:
                event = await live.receive()
            except Conflict:
                return
            if event is None or self._is_own_record(event):
                continue
            one.after = event.seq
            try:
                await self._run.calls.deliver(callback, [event_table(event)], origin=one.id)
            except LlmspellError as exc:
                one.failed += 1
                _log.warning("%s: the function of %s failed at event %s: %s", self._run.name, one.id, event.seq, exc)

    def _is_own_record(self, event: Event) -> bool:
        """Entries of the run's own record would each lead to a next one."""
        return event.type == "run.recorded" and event.data["id"] == self._run.id
