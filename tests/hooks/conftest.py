"""Both faces as fixtures, and the data a hook of each room is shown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from llmspell.hooks import AsyncCaller, BlockingCaller, HookContext, HookLimits, Hooks, Outcome

QUICK = HookLimits(grace_ms=20, async_timeout_ms=60_000)
STATE = {"scope": "global", "key": "topic", "value": "v", "old_value": None, "operation": "set", "version": 3}


def send_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Drive a coroutine as the blocking store does: it must not suspend."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    coroutine.close()
    raise AssertionError("the coroutine suspended")


class Face:
    """One of the two ways a store calls its hooks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pauses: list[float] = []
        self._made: list[Hooks] = []

    def hooks(
        self, *, limits: HookLimits = QUICK, monotonic_ns: Callable[[], int] = time.monotonic_ns, **options: Any
    ) -> Hooks:
        hooks = Hooks(self._caller(limits, monotonic_ns), limits=limits, monotonic_ns=monotonic_ns, **options)
        self._made.append(hooks)
        return hooks

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return send_once(coroutine) if self.name == "blocking" else asyncio.run(coroutine)

    def ask(
        self, hooks: Hooks, point: str = "before_state_set", data: dict[str, Any] | None = None, **more: Any
    ) -> Outcome:
        context = HookContext(point, "state", "set", dict(STATE) if data is None else data)
        outcome: Outcome = self.run(hooks.run(point, context, **more))
        return outcome

    def close(self) -> None:
        for hooks in self._made:
            hooks.close()

    def _caller(self, limits: HookLimits, monotonic_ns: Callable[[], int]) -> Any:
        if self.name == "blocking":
            return BlockingCaller(limits, sleep=self.pauses.append, monotonic_ns=monotonic_ns)

        async def sleep(seconds: float) -> None:
            self.pauses.append(seconds)

        return AsyncCaller(limits, sleep=sleep, monotonic_ns=monotonic_ns)


@pytest.fixture
def blocking_face() -> Iterator[Face]:
    made = Face("blocking")
    yield made
    made.close()


@pytest.fixture(params=["blocking", "async"])
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    made = Face(request.param)
    yield made
    made.close()
