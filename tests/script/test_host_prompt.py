"""A prompt: texts one after the other in one runtime."""

import asyncio

import pytest

from llmspell.errors import Conflict
from llmspell.script.repl import open_repl
from tests.script.running import appeared, go, steps_of


def with_prompt(work, **options):
    async def inside(store):
        lines = []
        async with open_repl(store, on_print=lines.append, **options) as prompt:
            found = await work(prompt, store)
        session = await store.sessions.get(prompt.session_id)
        return found, lines, str(session.status), (await store.timeline(limit=10_000)).items

    return go(inside)


async def feed(prompt, *texts):
    return [await prompt.feed(text) for text in texts]


def test_globals_last_from_text_to_text():
    replies, *_ = with_prompt(lambda prompt, _: feed(prompt, "x = 20", "x + 1", "x, 'two'", "print('said')"))
    assert [(reply.kind, reply.values) for reply in replies] == [
        ("values", ()), ("values", (21,)), ("values", (20, "two")), ("values", ()),
    ]  # fmt: skip


def test_an_unfinished_text_asks_for_more():
    replies, lines, *_ = with_prompt(lambda prompt, _: feed(prompt, "for i = 1, 2 do", "for i = 1, 2 do print(i) end"))
    assert [reply.kind for reply in replies] == ["incomplete", "values"]
    assert lines == ["1", "2"]


def test_an_error_is_told_and_the_prompt_goes_on():
    replies, _, status, _ = with_prompt(lambda prompt, _: feed(prompt, "error('boom')", "Session.get('nobody')", "1"))
    first, second, third = replies
    assert (first.kind, first.error.message) == ("error", "prompt:1: boom")
    assert (second.error.code, type(second.error.__cause__).__name__) == ("session-not-found", "NotFound")
    assert (third.values, status) == ((1,), "completed")


def test_what_cannot_cross_is_shown_as_its_text():
    replies, *_ = with_prompt(lambda prompt, _: feed(prompt, "print", "Hook.register('before_state_set', print)"))
    assert replies[0].values[0].startswith("function")
    assert replies[1].values == ("Hook handle hook-1",)


def test_hooks_of_the_prompt_run_while_nobody_types():
    async def work(prompt, store):
        await prompt.feed(
            "Hook.register('before_state_set', function() n = (n or 0) + 1 return {type = 'modified',"
            " data = {value = n}} end)"
        )
        await store.state.set("k", "x")
        return await store.state.get("k"), (await prompt.feed("n")).values

    assert with_prompt(work)[0] == (1, (1,))


def test_a_text_that_is_cancelled_stops_and_the_prompt_goes_on():
    async def work(prompt, store):
        task = asyncio.create_task(prompt.feed("State.set('up', 1) Utils.sleep(60000) State.set('never', 1)"))
        await appeared(store, key="up")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return (await prompt.feed("State.keys()")).values

    assert with_prompt(work)[0] == (["up"],)


def test_a_prompt_is_recorded_text_by_text():
    *_, entries = with_prompt(lambda prompt, _: feed(prompt, "State.set('k', 1)", "State.get('k')"))
    names = [item["name"] for item in steps_of(entries) if item.get("name")]
    assert names[:4] == ["prompt.read", "State.set", "prompt.read", "State.get"]
    texts = [item.get("result") for item in steps_of(entries) if item.get("name") == "prompt.read"]
    assert texts[:2] == ["State.set('k', 1)", "State.get('k')"]
    assert [entry.kind for entry in entries if entry.kind.startswith("run.")][-1] == "run.finished"


def test_a_named_session_is_suspended_by_the_prompts_end():
    assert with_prompt(lambda prompt, _: feed(prompt, "1"), session="mine")[2] == "suspended"


def test_one_text_at_a_time_and_none_after_the_end():
    async def inside(store):
        async with open_repl(store) as prompt:
            task = asyncio.create_task(prompt.feed("Utils.sleep(30)"))
            await asyncio.sleep(0)
            with pytest.raises(Conflict) as busy:
                await prompt.feed("1")
            await task
        with pytest.raises(Conflict) as closed:
            await prompt.feed("1")
        return busy.value.code, closed.value.code

    assert go(inside) == ("prompt-busy", "closed")


def test_a_cancellation_that_comes_when_the_text_has_ended_leaves_the_next_one_alone():
    """A busy text keeps the loop to itself, so that Ctrl-C is heard only at its end."""

    async def work(prompt, store):
        async with asyncio.timeout(20):
            for text in ("for i = 1, 10 do end", "State.set('k', 1)", "print(1)"):
                task = asyncio.create_task(prompt.feed(text))
                start = prompt._run.engine.start

                def busy(*args, task=task, start=start, **more):
                    task.cancel()
                    return start(*args, **more)

                prompt._run.engine.start = busy
                with pytest.raises(asyncio.CancelledError):
                    await task
                prompt._run.engine.start = start
                assert (await prompt.feed("1 + 1")).values == (2,), text

    with_prompt(work)


def test_a_text_that_is_cancelled_at_once_is_not_run_later():
    async def work(prompt, store):
        async with asyncio.timeout(20):
            for turns in range(6):
                task = asyncio.create_task(prompt.feed(f"State.set('k{turns}', 1)"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                before = await store.state.keys()
                assert (await prompt.feed("1 + 1")).values == (2,), turns
                assert await store.state.keys() == before, turns

    with_prompt(work)
