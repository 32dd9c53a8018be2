"""Hooks that misbehave in every way we know, at every point, on both faces: the operation goes on without them."""

# sleeps: the hooks under test hang
from __future__ import annotations

import asyncio
import functools
import sys
import threading
from typing import Any

import pytest

from llmspell.hooks import Cancel, Fork, HookContext, HookLimits, Modified, Replace, Skipped
from llmspell.hooks.points import RULES
from llmspell.model.names import POINT_NAMES

LIMITS = HookLimits(grace_ms=20, result_bytes_max=10_000)
DATA = {
    "key": "k",
    "name": "n",
    "value": [1],
    "tags": [],
    "metadata": {},
    "reason": "r",
    "data": {},
    "old_value": 0,
    "version": 2,
}
POINTS = (*sorted(POINT_NAMES), "mine.own")


class Nasty(BaseException):
    def __str__(self):
        raise RuntimeError("no text either")


class Forged:
    @property
    def __class__(self):
        raise RuntimeError("no class either")

    def __eq__(self, other):
        raise RuntimeError

    __hash__ = None


class Lying(str):
    __slots__ = ()

    def __str__(self):
        raise RuntimeError

    __format__ = __repr__ = __str__


def raises(_):
    raise ValueError("x" * 10_000)


def recurses(context):
    return recurses(context)


def mutates(context):
    context.data.clear()
    context.metadata["x"] = 1
    for name in ("data", "point", "session"):
        try:
            setattr(context, name, None)
        except AttributeError:
            continue
        raise AssertionError("a context can be changed")


def huge(_):
    return Modified(dict.fromkeys(("value", "data", "reason"), "x" * 20_000))


def deep(_):
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]
    return Modified({"value": value, "data": value})


def cyclic(_):
    value: list[Any] = []
    value.append(value)
    return Modified({"value": value, "data": value})


def laughs(_):
    value: list[Any] = ["ha"] * 50
    for _ in range(2):
        value = [value] * 50
    return Modified({"value": value, "data": value})


def unserialisable(_):
    return Modified({"value": object(), "data": {1: 2}, "metadata": {"x": {1}}, "tags": [b""], "reason": Forged()})


def odd_number(_):
    return Modified({"value": float("nan"), "data": 10**5000, "reason": "\ud800"})


def wrong_type(_):
    return 42


def forged(_):
    return Forged()


def a_result_class(_):
    return Cancel


def lying_text(_):
    return Modified({"reason": Lying("x"), "name": Lying("y"), "value": Lying("z"), "data": Lying("d"), Lying("q"): 1})


def exits(_):
    sys.exit(3)


def runs_a_loop_of_its_own(_):
    nested = asyncio.sleep(0)
    try:
        asyncio.run(nested)
    finally:
        nested.close()
    raise RuntimeError("on the blocking face that works")


def generates(_):
    return (number for number in range(3))


def base_exception(_):
    raise Nasty


def generator_exit(_):
    raise GeneratorExit


def cancelled(_):
    raise asyncio.CancelledError


def stops(_):
    raise StopIteration(Cancel("not really"))


def async_stops(_):
    async def inner():
        raise StopAsyncIteration

    return inner()


async def awaits_nonsense(_):
    class Nonsense:
        def __await__(self):
            yield "nothing"

    await Nonsense()


async def raises_later(_):
    await asyncio.sleep(0)
    raise Nasty


async def cancels_itself(_):
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def cancels_itself_and_returns(_):
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    task.cancel()
    return 42


async def exits_later(_):
    await asyncio.sleep(0)
    sys.exit(3)


async def awaits_itself(_):
    task = asyncio.current_task()
    assert task is not None
    await task


async def other_loops_future(_):
    loop = asyncio.new_event_loop()
    try:
        await loop.create_future()
    finally:
        loop.close()


QUICK_ONES = [
    raises, recurses, huge, deep, cyclic, laughs, unserialisable, odd_number, wrong_type, forged, a_result_class,
    lying_text, exits, runs_a_loop_of_its_own, generates, base_exception, generator_exit, cancelled, stops, async_stops,
    awaits_nonsense, raises_later, cancels_itself, cancels_itself_and_returns, exits_later, awaits_itself,
    other_loops_future,
]  # fmt: skip


def one_point_per_rule():
    found = {id(rule): point for point, rule in RULES.items()}
    return sorted(found.values())


def ask(face, hooks, point):
    """What a room does: run the point in the middle of something that suspends before and after."""
    context = HookContext(point, "state", "set", dict(DATA))

    async def operation():
        if face.name == "async":
            await asyncio.sleep(0)
        outcome = await hooks.run(point, context)
        if face.name == "async":
            await asyncio.sleep(0)
        return outcome

    return face.run(operation())


@pytest.mark.parametrize("hostile", QUICK_ONES, ids=lambda hostile: hostile.__name__)
def test_the_operation_is_unharmed_at_every_point(face, hostile):
    hooks = face.hooks(limits=LIMITS)
    for point in POINTS:
        hooks.register(point, hostile, name="hostile", breaker=None)
        good = []
        hooks.register(point, good.append)
        outcome = ask(face, hooks, point)
        assert outcome.reports[0].verdict == "failed", (point, outcome.reports)
        assert (outcome.data, outcome.decision, outcome.redirect) == (DATA, None, None), point
        assert good[0].data == DATA, "the hook after it runs and sees what it should"
    assert len(hooks.failures()) == len(POINTS)
    assert all(info.failures == 1 for info in hooks.list() if info.name == "hostile")


def test_mutating_what_it_is_shown_changes_nothing_at_any_point(face):
    hooks = face.hooks()
    for point in POINTS:
        hooks.register(point, mutates)
        outcome = ask(face, hooks, point)
        assert (outcome.data, outcome.decision, outcome.reports[0].verdict) == (DATA, None, "continue")


@pytest.mark.parametrize("result", [Replace({"x": {1}}), Fork([{"id": object()}]), Modified({"mine": float("inf")})])
def test_results_with_something_unwritable_inside_fail_where_everything_is_allowed(face, result):
    hooks = face.hooks()
    hooks.register("mine.own", lambda _: result)
    assert ask(face, hooks, "mine.own").decision is None
    assert hooks.failures()[0].code == "invalid-value"


async def hangs(_, release):
    await asyncio.get_running_loop().create_future()


async def swallows(_, release):
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue


async def cannot_be_closed(_, release):
    while not release.is_set():
        try:
            await asyncio.sleep(60)
        except BaseException:  # noqa: BLE001, S112
            continue


async def spins(_, release):
    while True:  # noqa: ASYNC110 - it never waits for anything
        await asyncio.sleep(0)


async def awaits_one_that_swallows(_, release):
    async def inner():
        while not release.is_set():
            try:
                await asyncio.get_running_loop().run_in_executor(None, release.wait, 60)
            except asyncio.CancelledError:
                continue

    await asyncio.create_task(inner())


async def awaits_itself_through_others(_, release):
    task = asyncio.current_task()
    assert task is not None
    await asyncio.gather(task)


def blocks(_, release):
    release.wait(60)


def deadlocks(_, release):
    lock = threading.Lock()
    lock.acquire()
    while not release.is_set():
        lock.acquire(timeout=0.05)


ENDLESS_ONES = [
    hangs, swallows, cannot_be_closed, spins, awaits_one_that_swallows, awaits_itself_through_others, blocks, deadlocks,
]  # fmt: skip


@pytest.fixture
def release():
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("hostile", ENDLESS_ONES, ids=lambda hostile: hostile.__name__)
@pytest.mark.parametrize("point", one_point_per_rule())
def test_a_hook_that_never_ends_is_given_up_at_its_deadline(face, hostile, point, release):
    hooks = face.hooks(limits=LIMITS)
    hooks.register(point, functools.partial(hostile, release=release), name="hostile", timeout_ms=15)
    good = []
    hooks.register(point, good.append)

    async def operation():
        outcome = await hooks.run(point, HookContext(point, "state", "set", dict(DATA)))
        release.set()
        return outcome

    outcome = face.run(operation())
    assert outcome.reports[0].verdict == "failed"
    assert (outcome.data, outcome.decision, len(good)) == (DATA, None, 1)
    assert hooks.failures()[0].code == "hook-late"


def test_an_async_hook_that_blocks_its_thread_does_not_hold_the_blocking_face(blocking_face, release):
    """On the async face it blocks the one thread there is."""
    hooks = blocking_face.hooks(limits=LIMITS)

    async def blocks(_):
        release.wait(60)

    async def fine(_):
        await asyncio.sleep(0)
        return Skipped("fine")

    hooks.register("before_state_set", blocks, timeout_ms=15)
    hooks.register("before_state_set", fine)
    verdicts = [report.verdict for report in ask(blocking_face, hooks, "before_state_set").reports]
    assert verdicts == ["failed", "skipped"], "the next hook got a loop of its own"


def test_calls_that_never_came_back_are_limited(face, release):
    hooks = face.hooks(limits=HookLimits(stuck_calls_max=2))
    started = threading.Semaphore(0)

    def blocks(_):
        started.release()
        release.wait(60)

    hooks.register("before_state_set", blocks, timeout_ms=5, breaker=None)
    for _ in range(4):
        ask(face, hooks, "before_state_set")
    assert [failure.code for failure in hooks.failures()] == ["hook-late", "hook-late", "hook-stuck", "hook-stuck"]
    assert started.acquire(timeout=30)
    assert started.acquire(timeout=30)
    assert not started.acquire(blocking=False), "the third and the fourth call were not begun"


def test_calls_that_came_back_late_free_their_place(face):
    hooks = face.hooks(limits=HookLimits(stuck_calls_max=1))
    release = threading.Event()

    def blocks(_):
        release.wait(60)

    hooks.register("before_state_set", blocks, timeout_ms=5, breaker=None)
    ask(face, hooks, "before_state_set")
    record = hooks.armed["before_state_set"].hooks[0]
    assert record.stuck == 1
    release.set()
    turn = threading.Event()
    while record.stuck:  # the run's own time limit bounds this
        turn.wait(0.001)
    handle = hooks.register("before_state_set", lambda _: None, timeout_ms=60_000)
    assert ask(face, hooks, "before_state_set").reports[1].verdict == "continue"
    assert hooks.info(handle).failures == 0


def test_ctrl_c_in_a_hook_reaches_the_caller(face):
    hooks = face.hooks()

    def interrupted(_):
        raise KeyboardInterrupt

    async def later(_):
        await asyncio.sleep(0)
        raise KeyboardInterrupt

    for callback in (interrupted, later):
        handle = hooks.register("before_state_set", callback)
        with pytest.raises(KeyboardInterrupt):
            ask(face, hooks, "before_state_set")
        handle.unregister()
    assert hooks.failures() == ()
