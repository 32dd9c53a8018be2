"""Event: messages between scripts, agents and programs, and everything the store itself tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from llmspell.errors import InvalidInput
from llmspell.model.context import Correlation, current
from llmspell.model.ids import id_bytes
from llmspell.operations.host import Host
from llmspell.operations.operation import Effect, Operation
from llmspell.operations.types import FUNCTION, INT, JSON, LIST, NAME, NUMBER, TEXTS, Misfit, Param, Type, options

RECEIVE_TIMEOUT_MS = 5000
_MESSAGE = (
    Param("tags", TEXTS, "labels", optional=True),
    Param("source", NAME, "who sends it", optional=True, aliases=("language",)),
    Param("target", NAME, "who it is for", optional=True),
    Param("priority", INT, "a number that only you give meaning to", optional=True),
    Param(
        "ttl_s",
        NUMBER,
        "seconds after which it is not delivered any more",
        optional=True,
        aliases=("ttl_seconds", "ttl"),
    ),
)
_CORRELATION = Param("correlation_id", NAME, "a UUID: the event belongs to that correlation", optional=True)
_ONE = options(
    Param("type", NAME, "dotted words", aliases=("event_type",)), Param("data", JSON, "any data", optional=True),
    _CORRELATION, *_MESSAGE,
)  # fmt: skip
_WHOSE = options(
    Param("language", NAME, "kept and shown by list_subscriptions", optional=True),
    Param("from", INT, "begin behind this seq instead of now", optional=True, aliases=("from_seq",)),
    Param("buffer", INT, "events kept while nobody receives; 1,000 by default", optional=True),
    Param("overflow", NAME, "drop_oldest, drop_newest, block or reject", optional=True),
)


@contextmanager
def _correlated(correlation: str | None) -> Iterator[None]:
    if correlation is None:
        yield
        return
    context = current.get()
    token = current.set(
        replace(
            context, correlation=Correlation(id_bytes(correlation, "correlation_id"), "script", context.correlation)
        )
    )
    try:
        yield
    finally:
        current.reset(token)


async def _publish(
    host: Host, type: str | None = None, data: Any = None, options: Mapping[str, Any] | None = None,
    event: Mapping[str, Any] | None = None,
) -> bool:  # fmt: skip
    fields = dict(event if event is not None else {"type": type, "data": data, **(options or {})})
    with _correlated(fields.pop("correlation_id", None)):
        await host.store.events.publish(fields.pop("type"), fields.pop("data", None), **fields)
    return True


async def _publish_many(host: Host, events: list[Any]) -> list[int]:
    taken = []
    for index, event in enumerate(events, 1):
        try:
            fields = _ONE.take(event)
        except Misfit as exc:
            raise InvalidInput(
                f"Event.publish_many: events[{index}]{exc.inside}: expected {exc.wanted}", code="invalid-argument"
            ) from None
        if "correlation_id" in fields:
            raise InvalidInput(
                f"Event.publish_many: events[{index}].correlation_id: events of one transaction share a correlation",
                code="invalid-argument",
            )
        taken.append(fields)
    return await host.store.events.publish_many(taken)


async def _subscribe(host: Host, pattern: str, options: Mapping[str, Any] | None = None) -> str:
    return host.subscriptions.subscribe(pattern, options or {}, None)


async def _on(host: Host, pattern: str, handler: Any, options: Mapping[str, Any] | None = None) -> str:
    return host.subscriptions.subscribe(pattern, options or {}, handler)


async def _receive(host: Host, subscription: str, timeout_ms: float = RECEIVE_TIMEOUT_MS) -> dict[str, Any] | None:
    return await host.subscriptions.receive(subscription, timeout_ms / 1000)


def _received(host: Host, values: Mapping[str, Any], event: Any) -> None:
    host.subscriptions.seen(values["subscription"], event)


async def _unsubscribe(host: Host, subscription: str) -> bool:
    return host.subscriptions.unsubscribe(subscription)


async def _list(host: Host) -> list[dict[str, Any]]:
    return host.subscriptions.list()


async def _stats(host: Host) -> dict[str, Any]:
    return host.subscriptions.stats()


def _wait(value: Any) -> float:
    if type(value) not in {int, float} or value < 0:
        raise Misfit("milliseconds, 0 or more", value)
    return float(value)


_PATTERN = Param("pattern", NAME, "a type, or a glob: `*` one segment, `**` any, `?`, `[abc]`, `{a,b}`")
_SUBSCRIPTION = Param("subscription", NAME, "what `subscribe` gave")
_TIMEOUT = Param("timeout_ms", Type("milliseconds", "number", _wait), "5,000 by default", optional=True)
_OPTIONS = Param("options", _WHOSE, "where to begin and what to keep", optional=True)

OPERATIONS = (
    Operation(
        "Event", ("publish", "emit"),
        ((Param("type", NAME, "dotted words"), Param("data", JSON, "any data", optional=True),
          Param("options", options(_CORRELATION, *_MESSAGE), optional=True)),
         (Param("event", _ONE, "everything in one table"),)),
        "true, once it is committed", "Publish an event.", _publish,
        errors=("invalid-event-type", "reserved-type", "vetoed"), lua_returns="boolean",
    ),
    Operation(
        "Event", ("publish_many",), ((Param("events", LIST, "tables as `publish` takes"),),), "a list of their seqs",
        "Publish several events in one transaction: all or none.", _publish_many,
        errors=("invalid-event-type", "reserved-type", "too-many-events", "vetoed"), lua_returns="integer[]",
    ),
    Operation(
        "Event", ("subscribe",), ((_PATTERN, _OPTIONS),), "a subscription's id, for `receive`",
        "Receive events that are committed from now on, the store's own too.", _subscribe,
        effect=Effect.LOCAL, errors=("invalid-pattern",), lua_returns="string",
    ),
    Operation(
        "Event", ("on",), ((_PATTERN, Param("handler", FUNCTION, "called with each event"), _OPTIONS),),
        "a subscription's id",
        "Call a function with each event, one at a time, while the script waits for a host call.", _on,
        effect=Effect.LOCAL, errors=("invalid-pattern",), lua_returns="string",
    ),
    Operation(
        "Event", ("receive",),
        ((_SUBSCRIPTION, _TIMEOUT),),
        "an event {id, event_type, type, data, timestamp, sequence, metadata, …}, nil when none came in time",
        "The next event of a subscription.", _receive,
        errors=("subscription-not-found", "callback-subscription"), lua_returns="table?",
        wait_s=lambda values: values.get("timeout_ms", RECEIVE_TIMEOUT_MS) / 1000, recalled=_received,
    ),
    Operation(
        "Event", ("unsubscribe", "off"), ((_SUBSCRIPTION,),), "true if there was one", "End a subscription.",
        _unsubscribe, effect=Effect.LOCAL, lua_returns="boolean",
    ),
    Operation(
        "Event", ("list_subscriptions",), ((),), "a list of {id, pattern, language, callback}",
        "The subscriptions of this script.", _list, lua_returns="table[]",
    ),
    Operation(
        "Event", ("get_stats", "stats"), ((),), "a table {event_bus_stats, bridge_stats}",
        "Counters of this script's subscriptions.", _stats, lua_returns="table",
    ),
)  # fmt: skip
