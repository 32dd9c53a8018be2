"""Callbacks: their order and place, what their failures lead to, and how they end."""

import asyncio
import contextvars
import functools
import gc
import threading

import pytest

from llmspell.errors import InvalidInput
from llmspell.events.subscription import SyncSubscription
from tests.events.journal import DEADLINE_S, arrived, join_threads_of, run, until


def test_a_callback_gets_each_event_one_at_a_time_and_in_order(store):
    total, seen, busy, done = 200, [], threading.Lock(), threading.Event()

    def callback(event):
        assert busy.acquire(blocking=False), "another call is still running"
        seen.append(event.seq)
        busy.release()
        if len(seen) == total:
            done.set()

    store.subscribe_sync("a", callback=callback, overflow="block", buffer=5)
    gc.collect()  # nobody holds it, and it goes on
    for _ in range(total):
        store.commit("a")
    assert done.wait(DEADLINE_S)
    assert seen == list(range(1, total + 1))
    assert store.failures == []


def test_an_exception_in_a_callback_is_counted_and_reported_and_the_next_event_comes(store):
    seen, done = [], threading.Event()

    def callback(event):
        seen.append(event.seq)
        if event.seq == 3:
            done.set()
        if event.seq != 2:
            raise ValueError(event.seq)

    subscription = store.subscribe_sync("a", callback=callback)
    store.commit("a", "a", "a")
    assert done.wait(DEADLINE_S)
    for _ in range(2):
        assert store.failed.acquire(timeout=DEADLINE_S)
    assert seen == [1, 2, 3]
    assert [(f.subscription, f.pattern, f.event.seq, str(f.error)) for f in store.failures] == [
        (subscription.id, "a", 1, "1"),
        (subscription.id, "a", 3, "3"),
    ]
    assert subscription.stats().failed == 2
    assert not subscription.closed


def test_a_slow_callback_lags_alone(store):
    release, first, quick = threading.Event(), threading.Event(), threading.Semaphore(0)

    def slow(event):
        first.set()
        assert release.wait(DEADLINE_S)

    lagging = store.subscribe_sync("a", callback=slow, overflow="block", buffer=1)
    store.subscribe_sync("a", callback=lambda event: quick.release())
    for _ in range(20):
        store.commit("a")
    assert first.wait(DEADLINE_S)
    for _ in range(20):
        assert quick.acquire(timeout=DEADLINE_S)
    assert lagging.stats().delivered == 1
    release.set()


def test_an_async_callback_runs_on_the_loop_it_was_subscribed_from(store):
    place = contextvars.ContextVar("place", default="nowhere")

    async def main():
        seen, done, loop = [], asyncio.Event(), asyncio.get_running_loop()

        async def callback(event):
            assert asyncio.get_running_loop() is loop
            seen.append((event.seq, place.get()))
            await asyncio.sleep(0)
            if event.seq == 3:
                done.set()
            if event.seq == 2:
                raise ValueError("two")

        place.set("here")
        subscription = store.subscribe("a", callback=callback)
        place.set("later")
        gc.collect()
        store.commit("a", "a", "a")
        await done.wait()
        return seen, subscription.stats().failed

    assert run(main()) == ([(1, "here"), (2, "here"), (3, "here")], 1)
    assert [str(failure.error) for failure in store.failures] == ["two"]
    join_threads_of(store.dispatcher)  # the end of the loop ended the subscription
    assert not store.dispatcher.active


def test_an_async_callback_whose_loop_was_closed_under_it_ends(store):
    async def callback(event):
        raise AssertionError("nobody runs this")

    async def main():
        return store.subscribe("a", callback=callback)

    loop = asyncio.new_event_loop()
    subscription = loop.run_until_complete(main())
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    store.commit("a")
    join_threads_of(store.dispatcher)
    assert subscription.closed
    del subscription
    gc.collect()


def test_cancelling_the_task_of_an_async_callback_closes_its_subscription(store):
    async def main():
        async def callback(event):
            raise AssertionError("nobody runs this")

        before = asyncio.all_tasks()
        subscription = store.subscribe("a", callback=callback)
        (task,) = asyncio.all_tasks() - before
        task.cancel()  # before it has begun
        await asyncio.gather(task, return_exceptions=True)
        return subscription.closed

    assert run(main())


def test_what_ends_an_async_callbacks_subscription_is_reported(store):
    async def main():
        release = asyncio.Event()

        async def callback(event):
            await release.wait()

        subscription = store.subscribe("a", callback=callback, overflow="reject", buffer=1)
        store.commit("a", "a", "a")
        until(lambda: subscription.closed)
        release.set()
        while not store.failures:  # noqa: ASYNC110 - a failure is told on this very loop
            await asyncio.sleep(0)

    run(main())
    assert [(failure.event, failure.error.code) for failure in store.failures] == [(None, "overflow")]


def test_closing_the_store_begins_no_further_callback(store):
    began, release, seen = threading.Event(), threading.Event(), []

    def callback(event):
        seen.append(event.seq)
        began.set()
        release.wait(DEADLINE_S)

    subscription = store.subscribe_sync("a", callback=callback)
    store.commit("a", "a", "a")
    arrived(subscription, 3)
    assert began.wait(DEADLINE_S)
    store.dispatcher.close(timeout_s=0)
    release.set()
    join_threads_of(store.dispatcher)
    assert seen == [1]
    assert subscription.stats().discarded == 2


def test_what_ends_a_callbacks_subscription_is_reported(store):
    release = threading.Event()
    subscription = store.subscribe_sync(
        "a", callback=lambda event: release.wait(DEADLINE_S), overflow="reject", buffer=1
    )
    while not subscription.closed:
        store.commit("a")
    release.set()
    assert store.failed.acquire(timeout=DEADLINE_S)
    (failure,) = store.failures
    assert (failure.event, failure.error.code) == (None, "overflow")


def test_a_callback_may_close_its_own_subscription(store):
    seen: list[int] = []
    subscriptions: list[SyncSubscription] = []

    def callback(event):
        seen.append(event.seq)
        subscriptions[0].close()

    subscriptions.append(store.subscribe_sync("a", callback=callback))
    store.commit("a", "a", "a")
    join_threads_of(store.dispatcher)
    assert seen == [1]
    assert store.failures == []


def test_a_callback_may_close_the_store(store):
    outcome, done = [], threading.Event()

    def callback(event):
        outcome.append(store.dispatcher.close(DEADLINE_S))
        done.set()

    store.subscribe_sync("a", callback=callback)
    store.commit("a")
    assert done.wait(DEADLINE_S)
    assert outcome == [True]
    join_threads_of(store.dispatcher)


def test_closing_the_store_says_when_a_callback_hangs(store):
    began, release = threading.Event(), threading.Event()

    def callback(event):
        began.set()
        release.wait(DEADLINE_S)

    store.subscribe_sync("a", callback=callback)
    store.commit("a", "a")
    assert began.wait(DEADLINE_S)
    assert store.dispatcher.close(timeout_s=0) is False
    release.set()
    assert store.dispatcher.close(DEADLINE_S) is True


def test_a_callback_that_gives_a_coroutine_to_nobody_is_reported(store):
    async def forgotten(event):
        raise AssertionError("nobody runs this")

    store.subscribe_sync("a", callback=lambda event: forgotten(event))  # noqa: PLW0108 - a plain function
    store.commit("a")
    assert store.failed.acquire(timeout=DEADLINE_S)
    assert store.failures[0].error.code == "invalid-callback"


def test_async_callables_are_known_by_what_they_are(store):
    seen: list[int] = []

    class Callable:
        async def __call__(self, event):
            seen.append(event.seq)

    async def with_name(name, event):
        seen.append(event.seq)

    async def main():
        store.subscribe("a", callback=Callable())
        store.subscribe("a", callback=functools.partial(with_name, "x"))
        store.commit("a")
        while len(seen) < 2:  # noqa: ASYNC110 - what is awaited is in the callbacks
            await asyncio.sleep(0)

    run(main())
    assert seen == [1, 1]


def test_an_async_callback_without_a_running_loop_is_refused(store):
    async def callback(event):
        raise AssertionError("nobody runs this")

    with pytest.raises(InvalidInput) as caught:
        store.subscribe_sync("a", callback=callback)
    assert caught.value.code == "no-loop"
    assert not store.dispatcher.active


def test_a_subscription_with_a_callback_cannot_be_pulled(store):
    pulled = store.subscribe("a", callback=print)
    sync = store.subscribe_sync("a", callback=print)
    for attempt in (lambda: run(pulled.receive()), lambda: aiter(pulled), lambda: iter(sync), sync.receive):
        with pytest.raises(InvalidInput) as caught:
            attempt()
        assert caught.value.code == "callback-subscription"


def test_a_callback_that_wants_its_thread_to_end_is_reported_and_ends_its_subscription(store):
    def callback(event):
        raise SystemExit(3)

    subscription = store.subscribe_sync("a", callback=callback)
    store.commit("a", "a")
    assert store.failed.acquire(timeout=DEADLINE_S)
    join_threads_of(store.dispatcher)
    assert subscription.closed
    assert [type(failure.error) for failure in store.failures] == [SystemExit]


def test_a_generator_is_no_callback_for_nobody_would_run_it(store):
    def generator(event):
        yield event

    async def asynchronous(event):
        yield event

    for callback in (generator, asynchronous, functools.partial(generator)):
        with pytest.raises(InvalidInput, match="generator") as refused:
            store.subscribe_sync("a", callback=callback)
        assert refused.value.code == "invalid-callback"
