"""Ways for principals to work together, over grants, shared scopes and events.

    broadcast       one says something to many, each of whom sees its own message only
    request         one asks another and waits for its answer, for a bounded time
    collaborate     several write one shared scope; ``update`` compares and sets, so no change is lost
    pipeline        each stage writes a scope of its own, which the next stage reads

The owner sets up what needs grants (``store.sharing``); principals do the rest (``store.acting_as(…).sharing``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmspell.access.rights import ALL, BITS, Right, mask_of, principal_of
from llmspell.access.units import Gift, grant
from llmspell.errors import InvalidInput, LimitExceeded
from llmspell.events.event import Event
from llmspell.events.patterns import check_event_type
from llmspell.events.subscription import check_timeout
from llmspell.model.ids import id_text
from llmspell.model.limits import BATCH_KEYS_MAX
from llmspell.model.scope import Scope
from llmspell.model.telling import told
from llmspell.principals.events import means

if TYPE_CHECKING:
    from llmspell.access.service import Rights
    from llmspell.events.subscription import Subscription, SyncSubscription
    from llmspell.journal.acting import Acting
    from llmspell.journal.journal import Journal, Writer
    from llmspell.principals.events import AsyncPrincipalEvents
    from llmspell.principals.parts import Parts

REPLY = ".reply"
"""What the type of an answer has behind the type of its request."""
_READ = BITS[Right.READ] | BITS[Right.LIST]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages in their order, each a principal's text; ``output(n)`` is the scope that stage ``n`` writes."""

    name: str
    stages: tuple[str, ...]

    def output(self, stage: int) -> Scope:
        """The shared scope that stage ``stage`` (from 0) writes and the next one reads. Raises InvalidInput."""
        if type(stage) is not int or not 0 <= stage < len(self.stages):
            raise InvalidInput(f"the pipeline {self.name!r} has stages 0 to {len(self.stages) - 1}", code="no-stage")
        return Scope.shared(f"{self.name}/{stage}")

    def input(self, stage: int) -> Scope:
        """What stage ``stage`` reads: the output of the one before it. Raises InvalidInput for the first stage."""
        self.output(stage)
        if stage == 0:
            raise InvalidInput("the first stage has no stage before it", code="no-stage")
        return self.output(stage - 1)


class AsyncSharing:
    """Sets up shared scopes for principals: ``store.sharing``. The scopes are ``shared:NAME``."""

    def __init__(self, journal: Journal, acting: Acting) -> None:
        self._journal = journal
        self._acting = acting

    async def collaborate(self, name: str, members: Iterable[str | Scope], rights: Rights | None = None) -> Scope:
        """Make ``members`` members of the shared scope ``name``, all or none, and return the scope. Without ``rights``
        they hold all of them there.

        Members change it by ``acting_as(member).state_of(scope).update(key, fn)``, which loses no change of others.
        """
        scope = Scope.shared(name)
        mask = ALL if rights is None else mask_of(rights)
        await self._grant([Gift(None, one, scope, mask) for one in _principals(members, "members")])
        return scope

    async def pipeline(self, name: str, stages: Iterable[str | Scope]) -> Pipeline:
        """Let each of ``stages`` (at least two principals, in order) write a shared scope of its own, and the next one
        read it, all or none.
        """
        if not isinstance(name, str):
            raise InvalidInput(f"a pipeline has a text as its name, not {told(name)}", code="invalid-scope")
        chain = _principals(stages, "stages")
        if len(chain) < 2:
            raise InvalidInput("a pipeline has at least two stages", code="no-stage")
        made = Pipeline(name, tuple(one.text for one in chain))
        outputs = [made.output(stage) for stage in range(len(chain))]
        gifts = [Gift(None, one, scope, ALL) for one, scope in zip(chain, outputs, strict=True)]
        readers = zip(chain[1:], outputs, strict=False)
        gifts += [Gift(None, reader, scope, _READ) for reader, scope in readers]
        await self._grant(gifts)
        return made

    async def _grant(self, gifts: list[Gift]) -> None:
        async def unit(writer: Writer) -> None:
            for gift in gifts:
                await grant(writer, gift)

        await self._journal.write(unit, context=self._acting.context())


class AsyncPrincipalSharing:
    """What one principal says to others: ``store.acting_as(principal).sharing``."""

    def __init__(self, events: AsyncPrincipalEvents, parts: Parts, principal: Scope) -> None:
        self._events = events
        self._parts = parts
        self._principal = principal

    async def broadcast(self, type: str, data: Any, to: Iterable[str | Scope]) -> list[int]:
        """Publish ``data`` to each of ``to``, in one transaction; returns the seqs in their order. Nobody else sees it.

        Whoever was not there receives it later, by subscribing with ``from_position``.
        """
        receivers = _principals(to, "receivers")
        return await self._events.publish_many([{"type": type, "data": data, "target": one.text} for one in receivers])

    async def request(self, type: str, data: Any, to: str | Scope, *, timeout_s: float = 30.0) -> Any:
        """Ask one principal and return the data of its answer. It sees an event of this type and answers it by
        ``respond``; an answer of anybody else is passed over.

        Raises LimitExceeded (``no-answer``) when none came within ``timeout_s`` seconds, and InvalidInput
        (``invalid-timeout``) for None: there is no waiting without a bound.
        """
        asked = self.asking(type, to, timeout_s)
        with asked.subscribe() as answers:
            await asked.publish(data)
            return asked.answer(await answers.receive(timeout_s=timeout_s), timeout_s)

    async def respond(self, event: Event, data: Any) -> int:
        """Answer a request that was received; returns the seq of the answer, which only the asker sees.

        Raises InvalidInput (``not-a-request``) for any other event.
        """
        if not isinstance(event, Event):
            raise InvalidInput(f"respond takes an event that was received, not {told(event)}", code="not-a-request")
        request = event.data.get("request") if isinstance(event.data, dict) else None
        if type(request) is not str or event.source is None or event.target is None:
            raise InvalidInput(f"event {event.seq} ({event.type}) asks nothing of anybody", code="not-a-request")
        if not means(event.target, self._principal):
            raise InvalidInput(f"event {event.seq} asks {event.target}, not this principal", code="not-a-request")
        answer = {"request": request, "data": data}
        return await self._events.publish(event.type + REPLY, answer, target=event.source)

    def asking(self, type: str, to: str | Scope, timeout_s: float) -> Asking:
        """A request that is to be made: what ``request`` of both faces is put together from."""
        check_event_type(type)
        if check_timeout(timeout_s) is None:
            raise InvalidInput("a request waits for a number of seconds, not for ever", code="invalid-timeout")
        number = id_text(self._parts.journal.ids.new())
        return Asking(self._events, self._parts, type, principal_of(to), number)


class Asking:
    """One request under way. Its answer is known by the number of the request and by who it was asked of."""

    def __init__(self, events: AsyncPrincipalEvents, parts: Parts, type: str, to: Scope, number: str) -> None:
        self._events = events
        self._dispatcher = parts.dispatcher
        self._type = type
        self._to = to
        self._number = number

    def subscribe(self) -> Subscription:
        """What the answer comes by, for a coroutine. Begun before the request is published."""
        return self._dispatcher.subscribe(self._type + REPLY, buffer=1, where=self._is_answer, admit=self._events.admit)

    def subscribe_blocking(self) -> SyncSubscription:
        """The same for a thread."""
        return self._dispatcher.subscribe_sync(
            self._type + REPLY, buffer=1, where=self._is_answer, admit=self._events.admit
        )

    async def publish(self, data: Any) -> int:
        """Ask; returns the seq of the request."""
        request = {"request": self._number, "data": data}
        return await self._events.publish(self._type, request, target=self._to.text)

    def answer(self, event: Event | None, timeout_s: float) -> Any:
        """The data of the answer. Raises LimitExceeded when there is none."""
        if event is None:
            raise LimitExceeded(
                f"{self._to.text} did not answer {self._type!r} within {timeout_s:g} s", code="no-answer"
            )
        return event.data.get("data")

    def _is_answer(self, event: Event) -> bool:
        return (
            self._events.may_see(event)
            and event.source is not None
            and means(event.source, self._to)
            and isinstance(event.data, dict)
            and event.data.get("request") == self._number
        )


def _principals(given: object, what: str) -> list[Scope]:
    if isinstance(given, str | Scope) or not isinstance(given, Iterable):
        raise InvalidInput(f"{what} are a list of principals, not one", code="invalid-principal")
    found = [principal_of(one) for one in given]
    if not found:
        raise InvalidInput(f"there are no {what}", code="invalid-principal")
    if len(set(found)) != len(found):
        raise InvalidInput(f"two of the {what} are one principal", code="invalid-principal")
    if len(found) > BATCH_KEYS_MAX:
        raise LimitExceeded(f"{len(found):,} {what}; at most {BATCH_KEYS_MAX:,}", code="too-many-events")
    return found
