"""Subscriptions as users hold them: waiting, timeouts, cancellation, several receivers, callbacks, and how they end."""

import asyncio
import gc
import os
import threading

import pytest

from llmspell.errors import Conflict, InvalidInput, LimitExceeded
from llmspell.events.subscription import TAKEN_IN_A_ROW_MAX
from tests.events.journal import DEADLINE_S, arrived, run, until


async def waiting(subscription, count):
    """Let other tasks run until so many receivers wait."""
    while len(subscription._inbox._waiting) < count:  # noqa: ASYNC110 - nothing tells that a receiver waits
        await asyncio.sleep(0)


def in_thread(job):
    """Start a thread; its result is in ``.result`` once it is joined."""
    thread = threading.Thread(target=lambda: setattr(thread, "result", job()), daemon=True)
    thread.start()
    return thread


# --- coroutines ------------------------------------------------------------------------------------------------------


def test_async_iteration_gives_each_event_in_order_and_stops_at_close(store):
    async def main():
        seen = []
        async with store.subscribe("a.*") as subscription:
            store.commit("a.x", "b.x", "a.y")
            async for event in subscription:
                seen.append((event.seq, event.type, event.data))
                if len(seen) == 2:
                    subscription.close()
        return seen

    assert run(main()) == [(1, "a.x", {"n": 1}), (3, "a.y", {"n": 3})]


def test_a_waiting_coroutine_is_woken_by_a_commit_on_another_thread(store):
    async def main():
        subscription = store.subscribe("a")
        receiving = asyncio.create_task(subscription.receive())
        await waiting(subscription, 1)
        committing = in_thread(lambda: store.commit("a"))
        event = await receiving
        committing.join(DEADLINE_S)
        return event.seq, subscription.position.seq

    assert run(main()) == (1, 1)


def test_receive_gives_none_when_the_time_runs_out_and_waits_for_nobody(store):
    async def main():
        subscription = store.subscribe("a")
        first = [await subscription.receive(timeout_s=0), await subscription.receive(timeout_s=0.001)]
        assert not subscription._inbox._waiting
        store.commit("a")
        return first, (await subscription.receive(timeout_s=DEADLINE_S)).seq

    assert run(main()) == ([None, None], 1)


@pytest.mark.parametrize("timeout_s", [-1, float("nan"), float("inf"), "1", True, b"", object()])
def test_a_timeout_that_is_no_number_of_seconds_is_refused(store, timeout_s):
    subscription = store.subscribe("a")
    with pytest.raises(InvalidInput) as caught:
        run(subscription.receive(timeout_s=timeout_s))
    assert caught.value.code == "invalid-timeout"
    with pytest.raises(InvalidInput):
        store.subscribe_sync("a").receive(timeout_s=timeout_s)


def test_a_very_long_timeout_waits_like_none(store):
    subscription = store.subscribe_sync("a")
    store.commit("a")
    assert subscription.receive(timeout_s=10**400).seq == 1


def test_cancelling_waiting_receivers_loses_no_event(store):
    total = 300

    async def main():
        subscription = store.subscribe("a", overflow="block", buffer=4)
        committing = in_thread(lambda: [store.commit("a") for _ in range(total)])
        seen: list[int] = []
        turn = 0
        while len(seen) < total:
            turn += 1
            receiving = asyncio.create_task(subscription.receive())
            for _ in range(turn % 5):  # cancelled before it waits, while it waits, when it is woken, too late
                await asyncio.sleep(0)
            receiving.cancel()
            try:
                seen.append((await receiving).seq)
            except asyncio.CancelledError:
                if turn % 7 == 0:
                    seen.append((await subscription.receive()).seq)
        committing.join(DEADLINE_S)
        return seen

    assert run(main()) == list(range(1, total + 1))


def test_a_receiver_cancelled_after_its_wake_up_passes_it_on(store):
    async def main():
        subscription = store.subscribe("a")
        first = asyncio.create_task(subscription.receive())
        second = asyncio.create_task(subscription.receive())
        await waiting(subscription, 2)
        store.commit("a")
        arrived(subscription, 1)  # without a turn of this loop: the first one is woken and has not run
        first.cancel()
        event = await second
        await asyncio.gather(first, return_exceptions=True)
        return first.cancelled(), event.seq

    assert run(main()) == (True, 1)


def test_events_go_to_receivers_in_the_order_in_which_they_waited(store):
    async def main():
        subscription = store.subscribe("a")
        tasks = []
        for count in range(1, 6):
            tasks.append(asyncio.create_task(subscription.receive()))
            await waiting(subscription, count)
        store.commit(*["a"] * 6)
        arrived(subscription, 6)
        late = await subscription.receive()  # there is an event for it, but not the first one
        return [event.seq for event in await asyncio.gather(*tasks)], late.seq

    assert run(main()) == ([1, 2, 3, 4, 5], 6)


def test_a_look_without_waiting_takes_nothing_that_a_woken_receiver_is_to_get(store):
    async def main():
        subscription = store.subscribe("a")
        first = asyncio.create_task(subscription.receive())
        await waiting(subscription, 1)
        store.commit("a")
        arrived(subscription, 1)
        looked = await subscription.receive(timeout_s=0)
        return looked, (await first).seq

    assert run(main()) == (None, 1)


def test_several_tasks_share_a_subscription_each_event_going_to_one(store):
    total = 500

    async def main():
        subscription = store.subscribe("a", overflow="block", buffer=3)
        seen = []

        async def worker():
            async for event in subscription:
                seen.append(event.seq)
                if len(seen) == total:
                    subscription.close()

        committing = in_thread(lambda: [store.commit("a") for _ in range(total)])
        await asyncio.gather(*(worker() for _ in range(4)))
        committing.join(DEADLINE_S)
        return seen

    assert sorted(run(main())) == list(range(1, total + 1))


def test_a_full_buffer_does_not_keep_the_event_loop_from_others(store):
    async def main():
        store.commit(*["a"] * 10 * TAKEN_IN_A_ROW_MAX)
        subscription = store.subscribe("a", from_position="start", overflow="block", buffer=100_000)
        arrived(subscription, 10 * TAKEN_IN_A_ROW_MAX)
        turns = 0

        async def other():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        for _ in range(10 * TAKEN_IN_A_ROW_MAX):
            await subscription.receive()
        task.cancel()
        return turns

    assert run(main()) >= 9


def test_closing_wakes_waiting_coroutines_each_in_its_own_way(store):
    async def main():
        subscription = store.subscribe("a")

        async def iterate():
            return [event async for event in subscription]

        jobs = (iterate(), subscription.receive(), subscription.receive(DEADLINE_S))
        tasks = [asyncio.create_task(job) for job in jobs]
        await waiting(subscription, 3)
        subscription.close()
        subscription.close()
        iterated, *received = await asyncio.gather(*tasks, return_exceptions=True)
        with pytest.raises(Conflict):
            await subscription.receive(timeout_s=0)
        await subscription.aclose()
        return iterated, [getattr(error, "code", None) for error in received], subscription.closed

    assert run(main()) == ([], ["closed", "closed"], True)


def test_closing_discards_what_is_buffered(store):
    subscription = store.subscribe_sync("a")
    store.commit("a", "a")
    arrived(subscription, 2)
    subscription.close()
    assert list(subscription) == []
    assert (subscription.stats().discarded, subscription.stats().buffered) == (2, 0)
    assert subscription.position.seq == 0


def test_an_error_that_ends_a_subscription_comes_out_of_async_iteration_too(store):
    async def main():
        subscription = store.subscribe("a", overflow="reject", buffer=1)
        store.commit("a", "a")
        until(lambda: subscription.closed)
        first = await anext(subscription)
        with pytest.raises(LimitExceeded) as caught:
            await anext(subscription)
        return first.seq, caught.value.code

    assert run(main()) == (1, "overflow")


def test_a_receiver_whose_loop_is_gone_does_not_swallow_an_event(store):
    subscription = store.subscribe("a")
    loop = asyncio.new_event_loop()
    stranded = loop.create_task(subscription.receive())
    loop.run_until_complete(waiting(subscription, 1))
    loop.close()
    store.commit("a")
    assert run(subscription.receive(DEADLINE_S)).seq == 1
    stranded._log_destroy_pending = False  # type: ignore[attr-defined] # that it is stranded is the point, not a mistake
    del stranded
    gc.collect()
    store.commit("a")
    assert run(subscription.receive(DEADLINE_S)).seq == 2


def test_a_coroutine_destroyed_while_it_waits_passes_its_place_on(store):
    subscription = store.subscribe("a")

    async def main():
        doomed = subscription.receive()
        future = doomed.send(None)  # it waits, and no task holds it
        store.commit("a")
        arrived(subscription, 1)
        second = asyncio.create_task(subscription.receive())
        await waiting(subscription, 1)
        doomed.close()
        del future
        return (await second).seq

    assert run(main()) == 1


# --- threads ---------------------------------------------------------------------------------------------------------


def test_threads_iterate_share_and_are_woken_by_close(store):
    total = 300
    subscription = store.subscribe_sync("a", overflow="block", buffer=2)
    seen, shared = [], threading.Lock()

    def work():
        for event in subscription:
            with shared:
                seen.append(event.seq)
                if len(seen) == total:
                    subscription.close()

    workers = [in_thread(work) for _ in range(4)]
    for _ in range(total):
        store.commit("a")
    for worker in workers:
        worker.join(DEADLINE_S)
        assert not worker.is_alive()
    assert sorted(seen) == list(range(1, total + 1))


def test_a_thread_gets_none_when_the_time_runs_out(store):
    subscription = store.subscribe_sync("a")
    assert subscription.receive(timeout_s=0) is None
    assert subscription.receive(timeout_s=0.001) is None
    assert not subscription._inbox._waiting
    store.commit("a")
    assert subscription.receive(timeout_s=DEADLINE_S).seq == 1


def test_an_interrupt_of_a_waiting_thread_loses_no_event(store, monkeypatch):
    from llmspell.events import subscription as module

    subscription = store.subscribe_sync("a")

    def interrupted(self, timeout_s):
        store.commit("a")
        arrived(subscription, 1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module._ThreadWaiter, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            subscription.receive()
    assert subscription.receive(timeout_s=DEADLINE_S).seq == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork() here")
def test_after_fork_a_subscription_refuses_to_wait_for_ever(store, monkeypatch):
    subscription = store.subscribe_sync("a")
    monkeypatch.setattr(os, "getpid", lambda: -1)  # what the child of a fork sees
    with pytest.raises(Conflict) as caught:
        subscription.receive()
    assert caught.value.code == "forked"


def test_a_subscription_says_what_it_is(store):
    with store.subscribe("state.*") as subscription:
        assert repr(subscription) == "<Subscription sub-1 'state.*'>"
        assert (subscription.id, subscription.pattern, subscription.closed) == ("sub-1", "state.*", False)
    assert repr(subscription) == "<Subscription sub-1 'state.*' closed>"


def test_importing_the_room_does_not_import_asyncio():
    import subprocess
    import sys

    program = "import sys, llmspell.events.dispatcher; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
