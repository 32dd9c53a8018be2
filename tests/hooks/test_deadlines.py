"""A coroutine run by hand inside a task: what asyncio's own tools do in it, and who is cancelled when."""

# sleeps: the hooks under test wait, some of them for ever
from __future__ import annotations

import asyncio
import contextvars

import pytest

from llmspell.errors import LimitExceeded
from llmspell.hooks import AsyncCaller, Cancel, HookContext, HookLimits, Hooks, Skipped
from llmspell.hooks.drive import drive
from llmspell.hooks.pending import Raised

SET = "before_state_set"


def this_task():
    task = asyncio.current_task()
    assert task is not None
    return task


async def driven(coroutine, timeout_s=60.0, grace_s=0.02):
    return await drive(coroutine, contextvars.copy_context(), timeout_s, grace_s)


def error_of(value):
    assert type(value) is Raised
    return value.error


def test_asyncio_timeout_inside_a_hook_works_as_in_a_task():
    async def hook():
        try:
            async with asyncio.timeout(0.005):
                await asyncio.sleep(60)
        except TimeoutError:
            await asyncio.sleep(0)
            return "timed out by itself"

    async def main():
        value = await driven(hook())
        assert this_task().cancelling() == 0
        await asyncio.sleep(0)
        return value

    assert asyncio.run(main()) == "timed out by itself"


def test_a_hook_may_go_on_long_after_its_inner_timeout():
    """The inner timeout cancels the task; that is the hook's own affair and must not start the grace."""

    async def hook():
        try:
            async with asyncio.timeout(0.002):
                await asyncio.sleep(60)
        except TimeoutError:
            pass
        await asyncio.sleep(0.05)
        return "done"

    assert asyncio.run(driven(hook(), grace_s=0.01)) == "done"


def test_wait_for_and_gather_and_shield_work_inside_a_hook():
    async def hook():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(60), 0.002)
        inner = asyncio.create_task(asyncio.sleep(0.001, "kept"))
        both = await asyncio.gather(asyncio.sleep(0, 1), asyncio.shield(inner))
        loop = asyncio.get_running_loop()
        return [*both, await loop.run_in_executor(None, lambda: 3)]

    assert asyncio.run(driven(hook())) == [1, "kept", 3]


def test_a_task_group_inside_a_hook_cancels_its_siblings_and_not_the_operation():
    ended = []

    async def fails():
        await asyncio.sleep(0)
        raise ValueError("child")

    async def sibling():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("sibling")

    async def hook():
        async with asyncio.TaskGroup() as group:
            group.create_task(sibling())
            group.create_task(fails())

    async def main():
        value = await driven(hook())
        await asyncio.sleep(0)
        return value

    assert isinstance(error_of(asyncio.run(main())), ExceptionGroup)
    assert ended == ["sibling"]


def test_exceptions_of_what_is_awaited_arrive_in_the_hook():
    async def hook():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, ZeroDivisionError())
        try:
            await future
        except ZeroDivisionError:
            return "caught"

    assert asyncio.run(driven(hook())) == "caught"


def test_a_late_hook_is_cancelled_and_may_clean_up():
    seen = []

    async def hook():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            seen.append("cleaned up")
            raise

    error = error_of(asyncio.run(driven(hook(), timeout_s=0.005, grace_s=10)))
    assert isinstance(error, LimitExceeded)
    assert error.code == "hook-late"
    assert seen == ["cleaned up"]


def test_what_a_late_hook_returns_after_all_is_not_taken():
    async def hook():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "too late"

    assert error_of(asyncio.run(driven(hook(), timeout_s=0.005))).code == "hook-late"


def test_a_late_hook_whose_cleaning_takes_too_long_is_closed():
    seen = []

    async def hook():
        try:
            await asyncio.sleep(60)
        finally:
            try:
                await asyncio.sleep(60)
            except GeneratorExit:
                seen.append("closed")
                raise

    assert error_of(asyncio.run(driven(hook(), timeout_s=0.005, grace_s=0.005))).code == "hook-late"
    assert seen == ["closed"]


@pytest.mark.parametrize("swallows", [False, True])
def test_cancelling_the_operation_cancels_the_hook_and_then_the_operation(swallows):
    seen = []

    async def hook():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("hook")
            if not swallows:
                raise

    async def main():
        task = asyncio.create_task(driven(hook()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert seen == ["hook"]


def test_a_hook_that_ignores_being_cancelled_holds_a_cancelled_operation_only_for_the_grace():
    async def hook():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                continue

    async def main():
        task = asyncio.create_task(driven(hook(), timeout_s=3_600))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_a_hook_that_cancels_its_task_fails_and_the_operation_goes_on():
    async def at_once():
        this_task().cancel()
        return "never mind"

    async def in_the_middle():
        await asyncio.sleep(0)
        this_task().cancel()
        await asyncio.sleep(60)

    async def at_the_end():
        await asyncio.sleep(0)
        this_task().cancel()
        return "never mind"

    async def main():
        values = [await driven(hook()) for hook in (at_once, in_the_middle, at_the_end)]
        assert this_task().cancelling() == 0
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return values

    first, second, third = asyncio.run(main())
    assert [type(error_of(value)) for value in (first, second, third)] == [asyncio.CancelledError] * 3


def test_cancelling_the_operation_from_outside_is_not_mistaken_for_the_hooks_own_doing():
    async def hook(started):
        this_task().cancel()
        started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)

    async def main():
        started = asyncio.Event()
        task = asyncio.create_task(driven(hook(started)))
        await started.wait()
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_an_operation_that_is_already_being_cancelled_can_still_run_hooks():
    """As in a `finally` of the room: one cancellation was delivered before, and is not the hook's."""

    async def hook():
        await asyncio.sleep(0)
        return "ran"

    async def main():
        try:
            await asyncio.sleep(60)
        finally:
            values.append(await driven(hook()))

    async def outer():
        task = asyncio.create_task(main())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    values = []
    asyncio.run(outer())
    assert values == ["ran"]


def test_a_cancelled_operation_gives_its_probe_back():
    now = [0]
    hooks = Hooks(AsyncCaller(HookLimits(grace_ms=5)), monotonic_ns=lambda: now[0])
    mode = ["fail"]

    async def hook(_):
        if mode[0] == "fail":
            raise ValueError
        if mode[0] == "hang":
            await asyncio.sleep(60)

    context = HookContext(SET, "state", "set", {"key": "k", "value": 1})

    async def main():
        handle = hooks.register(SET, hook)
        for _ in range(3):
            await hooks.run(SET, context)
        now[0] += 15 * 10**9
        mode[0] = "hang"
        task = asyncio.create_task(hooks.run(SET, context))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        mode[0] = "fine"
        for _ in range(2):
            assert (await hooks.run(SET, context)).reports[0].verdict == "continue"
        assert hooks.info(handle).breaker == "closed"

    asyncio.run(main())
    hooks.close()


def test_cancelling_an_operation_cancels_hooks_that_run_at_once():
    hooks = Hooks(AsyncCaller(HookLimits(grace_ms=5)))
    ended = []

    async def hook(_):
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(1)

    hooks.register(SET, hook)
    hooks.register(SET, hook)
    hooks.compose(SET, "parallel")

    async def main():
        task = asyncio.create_task(hooks.run(SET, HookContext(SET, "state", "set", {"key": "k", "value": 1})))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run(main())
    assert ended == [1, 1]


def test_while_an_async_hook_waits_other_tasks_go_on():
    hooks = Hooks(AsyncCaller())
    order = []

    async def main():
        gate = asyncio.Event()

        async def hook(_):
            order.append("hook waits")
            await gate.wait()
            order.append("hook goes on")
            return Skipped()

        async def other():
            order.append("other")
            gate.set()

        hooks.register(SET, hook)
        context = HookContext(SET, "state", "set", {"key": "k", "value": 1})
        await asyncio.gather(hooks.run(SET, context), other())

    asyncio.run(main())
    assert order == ["hook waits", "other", "hook goes on"]


def test_an_async_hook_outside_of_a_loop_fails_by_name_and_leaves_no_coroutine_behind():
    hooks = Hooks(AsyncCaller())

    async def hook(_):
        return Cancel("never")

    hooks.register(SET, hook)
    with pytest.raises(StopIteration) as caught:
        hooks.run(SET, HookContext(SET, "state", "set", {"key": "k", "value": 1})).send(None)
    assert caught.value.value.decision is None
    assert "event loop" in hooks.failures()[0].message


def test_closing_a_suspended_operation_closes_the_hook():
    closed = []

    async def hook(_):
        try:
            await asyncio.sleep(60)
        finally:
            closed.append(1)

    hooks = Hooks(AsyncCaller())
    hooks.register(SET, hook)

    async def main():
        running = hooks.run(SET, HookContext(SET, "state", "set", {"key": "k", "value": 1}))
        running.send(None)
        running.close()

    asyncio.run(main())
    assert closed == [1]
    assert hooks.failures() == ()
