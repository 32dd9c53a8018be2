from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from llmspell import hooks as package
from llmspell.errors import InvalidInput, LimitExceeded, NotFound
from llmspell.hooks import AsyncCaller, BlockingCaller, BreakerConfig, HookContext, HookLimits, Hooks, Priority

SET = "before_state_set"
STATE = {"scope": "global", "key": "topic", "value": "v", "old_value": None, "operation": "set", "version": 3}


def hook(context):
    return None


def generator(context):
    yield None


async def async_generator(context):
    yield None


class Takes:
    def method(self, context):
        return None


@pytest.fixture
def hooks():
    made = Hooks(BlockingCaller())
    yield made
    made.close()


@pytest.mark.parametrize(
    "options,code",
    [
        ({"point": "before_state_sett"}, "unknown-point"),
        ({"callback": 3}, "invalid-callback"),
        ({"callback": generator}, "invalid-callback"),
        ({"callback": async_generator}, "invalid-callback"),
        ({"callback": lambda: None}, "invalid-callback"),
        ({"callback": lambda a, b: None}, "invalid-callback"),
        ({"callback": Takes.method}, "invalid-callback"),
        ({"callback": Takes}, "invalid-callback"),
        ({"priority": "urgent"}, "invalid-priority"),
        ({"priority": True}, "invalid-priority"),
        ({"priority": 1.5}, "invalid-priority"),
        ({"priority": 2**31}, "invalid-priority"),
        ({"timeout_ms": 0}, "invalid-timeout"),
        ({"timeout_ms": -1}, "invalid-timeout"),
        ({"timeout_ms": True}, "invalid-timeout"),
        ({"timeout_ms": float("nan")}, "invalid-timeout"),
        ({"timeout_ms": 10**9}, "invalid-timeout"),
        ({"timeout_ms": "5"}, "invalid-timeout"),
        ({"on_failure": "ignore"}, "invalid-on-failure"),
        ({"on_failure": None}, "invalid-on-failure"),
        ({"on_failure": "deny", "point": "after_state_set"}, "invalid-on-failure"),
        ({"on_failure": "deny", "point": "memory_usage_high"}, "invalid-on-failure"),
        ({"breaker": {"failures": 3}}, "invalid-breaker"),
        ({"breaker": True}, "invalid-breaker"),
        ({"name": ""}, "invalid-hook"),
        ({"name": 3}, "invalid-hook"),
        ({"tags": "audit"}, "invalid-tags"),
        ({"tags": [""]}, "invalid-hook"),
        ({"tags": [str(n) for n in range(1000)]}, "invalid-tags"),
        ({"language": ""}, "invalid-hook"),
        ({"version": None}, "invalid-hook"),
        ({"description": None}, "invalid-hook"),
    ],
)
def test_everything_wrong_is_refused_at_registration(hooks, options, code):
    given = {"point": SET, "callback": hook, **options}
    with pytest.raises(InvalidInput) as caught:
        hooks.register(given.pop("point"), given.pop("callback"), **given)
    assert caught.value.code == code
    assert hooks.list() == []
    assert hooks.armed == {}


def test_bound_methods_objects_and_builtins_without_a_signature_are_callbacks(hooks):
    for callback in (Takes().method, [].append, print, max):
        hooks.register(SET, callback)
    assert len(hooks.list()) == 4


def test_the_decorator_registers_and_leaves_the_function_as_it_is(hooks):
    @hooks.on("BeforeStateWrite", priority=Priority.HIGH, name="mine", tags=["a"], on_failure="deny")
    def check(context):
        return None

    [info] = hooks.list()
    assert (info.name, info.priority, info.point, info.tags, info.on_failure) == ("mine", -100, SET, ("a",), "deny")
    assert check(HookContext(SET, "state", "set", {})) is None


def test_the_decorator_refuses_what_register_refuses(hooks):
    with pytest.raises(InvalidInput):
        hooks.on("no_such_point")
    with pytest.raises(TypeError):
        hooks.on(SET, colour="red")(hook)


def test_a_point_is_armed_exactly_while_it_has_an_enabled_hook(hooks):
    first, second = hooks.register(SET, hook), hooks.register(SET, hook)
    assert SET in hooks.armed
    assert list(hooks.armed) == [SET]
    hooks.disable(first)
    assert SET in hooks.armed
    hooks.disable(second.id)
    assert SET not in hooks.armed
    hooks.enable(second)
    assert SET in hooks.armed
    assert second.unregister() is True
    assert SET not in hooks.armed
    assert first.unregister() is True


def test_a_room_that_keeps_the_dict_sees_every_change(hooks):
    armed = hooks.armed
    handle = hooks.register(SET, hook)
    assert SET in armed
    handle.unregister()
    assert SET not in armed


def test_unregistering_is_true_once_and_works_by_handle_id_and_name(hooks):
    handle = hooks.register(SET, hook, name="a")
    assert (handle.unregister(), handle.unregister()) == (True, False)
    assert hooks.unregister(hooks.register(SET, hook).id) is True
    hooks.register(SET, hook, name="b")
    assert (hooks.unregister("b"), hooks.unregister("b")) == (True, False)
    assert hooks.list() == []


def test_letting_go_of_the_handle_does_not_unregister(hooks):
    hooks.register(SET, hook)
    assert len(hooks.list()) == 1


def test_a_name_that_several_hooks_have_names_none(hooks):
    first = hooks.register(SET, hook, name="same")
    hooks.register(SET, hook, name="same")
    for act in (hooks.disable, hooks.enable, hooks.unregister, hooks.info):
        with pytest.raises(InvalidInput, match="hook-1, hook-2"):
            act("same")
    hooks.disable(first.id)
    assert [info.enabled for info in hooks.list()] == [False, True]


@pytest.mark.parametrize("which", ["nope", "hook-99", None, 3])
def test_a_hook_that_does_not_exist_is_not_found(hooks, which):
    for act in (hooks.disable, hooks.enable, hooks.info):
        with pytest.raises(NotFound) as caught:
            act(which)
        assert caught.value.code == "hook-not-found"
    assert hooks.unregister(which) is False


def test_a_handle_of_another_store_names_no_hook_here(hooks):
    other = Hooks(BlockingCaller())
    foreign = other.register(SET, hook)
    hooks.register(SET, hook)
    assert hooks.unregister(foreign) is False
    with pytest.raises(NotFound):
        hooks.disable(foreign)
    assert len(hooks.list()) == 1
    other.close()


def test_list_filters_and_shows_everything_that_was_said(hooks):
    hooks.register(SET, hook, name="low", priority="low", tags=["x", "y", "x"], language="lua")
    hooks.register("after_state_set", hook, name="other")
    hooks.register(SET, hook, name="high", priority="high", description="d", version="2.0", timeout_ms=10, breaker=None)
    hooks.disable("high")
    assert [info.name for info in hooks.list()] == ["high", "other", "low"]
    assert [info.name for info in hooks.list("BeforeStateWrite")] == ["high", "low"]
    assert [info.name for info in hooks.list(language="lua")] == ["low"]
    assert [info.name for info in hooks.list(tag="y")] == ["low"]
    assert [info.name for info in hooks.list(priority="high")] == ["high"]
    assert hooks.list(tag="nope") == []
    high, _, low = hooks.list()
    assert (high.description, high.version, high.timeout_ms, high.breaker, high.enabled) == (
        "d",
        "2.0",
        10,
        None,
        False,
    )
    assert (low.tags, low.breaker, low.timeout_ms, low.language) == (("x", "y"), "closed", None, "lua")
    with pytest.raises(InvalidInput):
        hooks.list("nonsense")


def test_an_async_callback_has_a_deadline_even_if_none_was_stated(hooks):
    async def slow(context):
        return None

    hooks.register(SET, slow)
    assert hooks.list()[0].timeout_ms == 5_000


def test_the_number_of_hooks_is_limited():
    hooks = Hooks(BlockingCaller(), limits=HookLimits(hooks_max=2))
    first = hooks.register(SET, hook)
    hooks.register(SET, hook)
    with pytest.raises(LimitExceeded) as caught:
        hooks.register(SET, hook)
    assert caught.value.code == "hooks-max"
    first.unregister()
    hooks.register(SET, hook)
    hooks.close()


def test_a_hook_that_unregisters_itself_while_it_runs_is_called_no_more(face):
    hooks = face.hooks()
    calls = []

    def once(_):
        calls.append(1)
        hooks.unregister("once")

    hooks.register(SET, once, name="once")
    face.ask(hooks)
    face.ask(hooks)
    assert calls == [1]


def test_a_hook_registered_during_a_run_is_called_in_the_next(face):
    hooks = face.hooks()
    calls = []

    def first(_):
        if not calls:
            hooks.register(SET, lambda _: calls.append("new"))
        calls.append("first")

    hooks.register(SET, first)
    face.ask(hooks)
    assert calls == ["first"]
    face.ask(hooks)
    assert calls == ["first", "first", "new"]


def test_after_close_no_hook_is_called_and_none_can_be_registered(face):
    hooks = face.hooks()
    calls = []
    handle = hooks.register(SET, calls.append)
    hooks.close()
    face.ask(hooks)
    assert calls == []
    with pytest.raises(InvalidInput) as caught:
        hooks.register(SET, hook)
    assert caught.value.code == "closed"
    hooks.enable(handle)
    assert hooks.armed == {}
    hooks.close()


def test_counters_are_exact_under_threads():
    hooks = Hooks(BlockingCaller())
    good = hooks.register(SET, hook, breaker=None)
    bad = hooks.register(SET, lambda _: 1 / 0, breaker=None)
    barred = hooks.register(SET, lambda _: 1 / 0, breaker=BreakerConfig(failures=1, open_s=3_600))
    context = HookContext(SET, "state", "set", dict(STATE))

    def many():
        for _ in range(700):
            with pytest.raises(StopIteration):
                hooks.run(SET, context).send(None)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (hooks.info(good).calls, hooks.info(good).failures) == (2_800, 0)
    assert (hooks.info(bad).calls, hooks.info(bad).failures) == (2_800, 2_800)
    info = hooks.info(barred)
    assert info.calls + info.skipped == 2_800
    assert info.calls == info.failures >= 1
    hooks.close()


def test_hooks_come_and_go_while_others_run():
    hooks = Hooks(BlockingCaller())
    hooks.register(SET, hook, name="stays")
    context = HookContext(SET, "state", "set", dict(STATE))
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            hooks.register(SET, hook, priority="high").unregister()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(500):
            with pytest.raises(StopIteration) as caught:
                hooks.run(SET, context).send(None)
            assert "stays" in {report.name for report in caught.value.value.reports}
    finally:
        stop.set()
        thread.join()
    hooks.close()


def ours():
    return [thread for thread in threading.enumerate() if thread.name.startswith("llmspell-hook")]


def test_closing_ends_all_threads_of_ours():
    before = set(ours())

    async def later(_):
        await asyncio.sleep(0)

    for caller in (BlockingCaller(), AsyncCaller()):
        hooks = Hooks(caller)
        hooks.register("mine.own", lambda _: None, timeout_ms=30_000)
        hooks.register("mine.own", later)

        async def both(hooks=hooks):
            await hooks.trigger("mine.own")

        if isinstance(caller, AsyncCaller):
            asyncio.run(both())
        else:
            with pytest.raises(StopIteration):
                both().send(None)
        mine = set(ours()) - before
        assert mine
        hooks.close()
        for thread in mine:
            thread.join(30)
            assert not thread.is_alive()


def test_a_hanging_worker_does_not_keep_the_process_from_ending():
    program = """
import threading
from llmspell.hooks import BlockingCaller, HookContext, Hooks
hooks = Hooks(BlockingCaller())
hooks.register("mine.own", lambda _: threading.Event().wait(), timeout_ms=5)
async def stuck(_):
    threading.Event().wait()
hooks.register("mine.own", stuck, timeout_ms=5)
try:
    hooks.trigger("mine.own").send(None)
except StopIteration as stop:
    print([report.verdict for report in stop.value.reports])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['failed', 'failed']\n", "")


def test_importing_the_package_loads_nothing_of_it():
    program = (
        "import sys, llmspell.hooks as h; loaded = set(sys.modules); "
        "assert not {'asyncio', 'inspect', 'msgspec', 'llmspell.hooks.registry'} & loaded, loaded; "
        "h.Hooks, h.BlockingCaller; assert 'asyncio' not in sys.modules; h.AsyncCaller"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_public_name_is_there_and_others_are_not():
    for name in package.__all__:
        assert getattr(package, name) is not None
        assert name in dir(package)
    with pytest.raises(AttributeError):
        package.Nonsense  # noqa: B018
