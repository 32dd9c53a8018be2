"""One point's hooks, one after the other: order, what each result does, and failures kept away from the operation."""

from __future__ import annotations

import asyncio
import contextvars
import functools

import pytest

from llmspell.errors import InvalidInput, LimitExceeded, Vetoed
from llmspell.hooks import (
    BreakerConfig,
    Cancel,
    Continue,
    HookContext,
    HookLimits,
    Modified,
    Priority,
    Redirect,
    Replace,
    Retry,
    Skipped,
)

STATE = {"scope": "global", "key": "topic", "value": "v", "old_value": None, "operation": "set", "version": 3}
SET = "before_state_set"
WHERE = contextvars.ContextVar("where", default="nowhere")


def adding(text):
    return lambda context: Modified({"value": context.data["value"] + text})


def test_lower_priorities_run_first_and_equal_ones_in_the_order_of_registration(face):
    hooks = face.hooks()
    for name, priority in [("c", 0), ("e", Priority.LOWEST), ("a", Priority.HIGHEST), ("d", 0), ("b", "high")]:
        hooks.register(SET, adding(name), name=name, priority=priority)
    outcome = face.ask(hooks)
    assert outcome.data["value"] == "vabcde"
    assert [report.name for report in outcome.reports] == list("abcde")


def test_a_point_without_hooks_gives_the_data_back(face):
    outcome = face.ask(face.hooks())
    assert (outcome.data, outcome.decision, outcome.reports, outcome.redirect) == (STATE, None, (), None)


def test_a_hook_gets_the_whole_context(face):
    hooks = face.hooks()
    seen = []
    hooks.register(SET, seen.append)
    context = HookContext(SET, "agent:a", "set", dict(STATE), "s-1", {"user": "u"}, "c-1", 17)
    face.run(hooks.run(SET, context))
    assert seen == [context]
    assert seen[0].data is not context.data
    assert seen[0].metadata is not context.metadata


def test_what_a_hook_does_to_its_data_changes_nothing(face):
    hooks = face.hooks()
    data = {**STATE, "value": {"list": [1, {"deep": 2}]}}

    def mutate(context):
        context.data["value"]["list"][1]["deep"] = 99
        context.data["value"]["list"].append(3)
        context.data["key"] = "stolen"
        context.metadata["x"] = 1
        del context.data["scope"]

    seen = []
    hooks.register(SET, mutate)
    hooks.register(SET, seen.append)
    outcome = face.ask(hooks, data=data)
    expected = {**STATE, "value": {"list": [1, {"deep": 2}]}}
    assert outcome.data == data == seen[0].data == expected
    assert seen[0].metadata == {}


def test_a_value_that_the_hook_goes_on_changing_is_not_what_is_written(face):
    hooks = face.hooks()
    kept = {"a": [1]}
    hooks.register(SET, lambda _: Modified({"value": kept}))
    outcome = face.ask(hooks)
    kept["a"].append("later")
    assert outcome.data["value"] == {"a": [1]}


def test_modified_changes_only_named_fields_and_says_which(face):
    hooks = face.hooks()
    hooks.register("before_session_create", lambda _: Modified({"tags": ["x"], "name": "n2"}))
    outcome = face.ask(hooks, "before_session_create", {"id": "1", "name": "n", "tags": [], "metadata": {"m": 1}})
    assert outcome.data == {"id": "1", "name": "n2", "tags": ["x"], "metadata": {"m": 1}}
    assert outcome.changed == {"tags", "name"}


@pytest.mark.parametrize("change", [True, 1, 1.0])
def test_a_change_that_only_equals_the_old_value_is_still_a_change(face, change):
    hooks = face.hooks()
    hooks.register(SET, lambda _: Modified({"value": change}))
    outcome = face.ask(hooks, data={**STATE, "value": 1})
    assert type(outcome.data["value"]) is type(change)


def test_modified_may_repeat_fields_it_may_not_change_but_not_change_them(face):
    hooks = face.hooks()
    hooks.register(SET, lambda context: Modified({**context.data, "value": "new"}))
    assert face.ask(hooks).data == {**STATE, "value": "new"}
    hooks.register(SET, lambda context: Modified({**context.data, "scope": "user:root"}))
    outcome = face.ask(hooks)
    assert outcome.data["scope"] == "global"
    assert hooks.failures()[-1].code == "invalid-result"


@pytest.mark.parametrize(
    "fields",
    [
        {"tags": "x"},
        {"tags": [1]},
        {"tags": [""]},
        {"metadata": []},
        {"name": ""},
        {"name": 3},
        {"name": "x" * 300},
        {"nope": 1},
    ],
)
def test_a_field_of_the_wrong_kind_never_reaches_the_room(face, fields):
    hooks = face.hooks()
    hooks.register("before_session_create", lambda _: Modified(fields))
    data = {"id": "1", "name": "n", "tags": [], "metadata": {}}
    outcome = face.ask(hooks, "before_session_create", data)
    assert outcome.data == data
    assert hooks.failures()[0].code == "invalid-result"


def test_cancel_ends_the_run_and_is_raised_as_vetoed_with_name_and_reason(face):
    hooks = face.hooks()
    after = []
    hooks.register(SET, lambda _: Cancel("over quota"), name="quota")
    hooks.register(SET, after.append)
    outcome = face.ask(hooks)
    assert (outcome.cancelled, outcome.by, after) == ("over quota", "quota", [])
    with pytest.raises(Vetoed, match="'quota' refused at before_state_set: over quota") as caught:
        outcome.raise_if_cancelled()
    assert caught.value.details == {"point": SET, "hook": "quota", "reason": "over quota"}


def test_an_empty_reason_still_refuses(face):
    hooks = face.hooks()
    hooks.register(SET, lambda _: Cancel(""))
    outcome = face.ask(hooks)
    assert outcome.cancelled == ""
    with pytest.raises(Vetoed):
        outcome.raise_if_cancelled()


def test_a_veto_is_not_lost_to_the_length_or_encoding_of_its_reason(face):
    hooks = face.hooks(limits=HookLimits(reason_chars_max=100))
    hooks.register(SET, lambda _: Cancel("\ud800" + "x" * 10_000_000))
    reason = face.ask(hooks).cancelled
    assert reason is not None
    assert len(reason) == 100
    reason.encode()


def test_skipped_goes_on_and_its_reason_is_in_the_report(face):
    hooks = face.hooks()
    hooks.register(SET, lambda _: Skipped("not mine"))
    hooks.register(SET, adding("!"))
    outcome = face.ask(hooks)
    assert outcome.data["value"] == "v!"
    assert (outcome.reports[0].verdict, outcome.reports[0].reason) == ("skipped", "not mine")


def test_replace_answers_a_read_and_none_is_an_answer(face):
    hooks = face.hooks()
    hooks.register("before_state_get", lambda _: Replace(None))
    outcome = face.ask(hooks, "before_state_get")
    assert outcome.replaced == Replace(None)


def test_redirect_runs_every_hook_again_for_the_new_target(face):
    hooks = face.hooks()
    keys = []
    hooks.register(SET, lambda context: keys.append(context.data["key"]), priority="highest")
    hooks.register(SET, adding("!"))
    hooks.register(SET, lambda context: Redirect("elsewhere"))
    outcome = face.ask(hooks)
    assert keys == ["topic", "elsewhere"]
    assert outcome.redirect == "elsewhere"
    assert outcome.decision is None
    assert outcome.data["key"] == "elsewhere"
    assert outcome.data["value"] == "v!", "changes of the first pass are not made twice"


def test_a_guard_that_ran_before_a_redirect_still_judges_its_target(face):
    hooks = face.hooks()
    hooks.register(SET, lambda c: Cancel("protected") if c.data["key"] == "secret" else None, priority="highest")
    hooks.register(SET, lambda _: Redirect("secret"), priority="lowest")
    assert face.ask(hooks).cancelled == "protected"


def test_after_a_redirect_nothing_stale_about_the_old_target_is_shown(face):
    hooks = face.hooks()
    seen = []
    hooks.register(SET, lambda context: seen.append(context.data))
    hooks.register(SET, lambda context: Redirect("elsewhere"))
    face.ask(hooks, data={**STATE, "old_value": "of topic"})
    assert "old_value" not in seen[1]
    assert "version" not in seen[1]


def test_after_a_redirect_the_room_gives_fresh_data(face):
    hooks = face.hooks()
    seen, asked = [], []
    hooks.register(SET, lambda context: seen.append(context.data))
    hooks.register(SET, lambda context: Redirect("elsewhere"))

    async def reload(target):
        asked.append(target)
        return {**STATE, "old_value": "of elsewhere", "version": 8}

    outcome = face.ask(hooks, reload=reload)
    assert asked == ["elsewhere"]
    assert seen[1] == outcome.data == {**STATE, "key": "elsewhere", "old_value": "of elsewhere", "version": 8}


def test_redirects_in_circles_end_with_the_hook_failing(face):
    hooks = face.hooks()
    hooks.register(SET, lambda context: Redirect("b" if context.data["key"] == "a" else "a"), on_failure="deny")
    outcome = face.ask(hooks)
    assert outcome.cancelled is not None
    assert hooks.failures()[0].code == "redirect-loop"


@pytest.mark.parametrize("target", ["../up", "a\0b", "__reserved", "x" * 300])
def test_a_redirect_to_what_is_no_key_fails_the_hook_and_not_the_write(face, target):
    hooks = face.hooks()
    hooks.register(SET, lambda _: Redirect(target))
    outcome = face.ask(hooks)
    assert (outcome.redirect, outcome.data) == (None, STATE)
    assert hooks.failures()[0].code.startswith("invalid")


def test_a_modified_artifact_name_is_a_redirect_that_all_hooks_judge(face):
    hooks = face.hooks()
    hooks.register("before_artifact_put", lambda c: Cancel("no") if c.data["name"] == "forbidden" else None)
    hooks.register("before_artifact_put", lambda _: Modified({"name": "forbidden", "metadata": {"a": 1}}))
    data = {"session_id": "s", "name": "n", "type": "code", "size": 1, "metadata": {}, "version": 1}
    assert face.ask(hooks, "before_artifact_put", data).cancelled == "no"


def test_retry_waits_and_asks_all_hooks_again_from_the_original_data(face):
    hooks = face.hooks()
    answers = [Retry(20, 5), Retry(10, 5), None]
    hooks.register(SET, adding("!"))
    hooks.register(SET, lambda _: answers.pop(0))
    outcome = face.ask(hooks)
    assert face.pauses == [0.02, 0.01]
    assert outcome.data["value"] == "v!"
    assert [report.verdict for report in outcome.reports] == [
        "modified",
        "retry",
        "modified",
        "retry",
        "modified",
        "continue",
    ]


def test_a_hook_that_wants_to_retry_for_ever_fails_after_its_attempts(face):
    hooks = face.hooks()
    hooks.register(SET, lambda _: Retry(5, 3))
    outcome = face.ask(hooks)
    assert face.pauses == [0.005] * 3
    assert (outcome.decision, outcome.data) == (None, STATE)
    assert hooks.failures()[0].code == "retries-exhausted"


@pytest.mark.parametrize(
    "limits,result,pauses",
    [(HookLimits(retry_wait_ms_max=25), Retry(10, 100), 2), (HookLimits(retries_max=4), Retry(0, 1000), 4)],
)
def test_retries_cannot_hold_an_operation_longer_than_the_limits(face, limits, result, pauses):
    hooks = face.hooks(limits=limits)
    hooks.register(SET, lambda _: result)
    assert face.ask(hooks).decision is None
    assert len(face.pauses) == pauses
    assert hooks.failures()[0].code == "retries-exhausted"


def test_after_a_retry_the_room_gives_fresh_data(face):
    hooks = face.hooks()
    seen = []

    def once(context):
        seen.append(context.data["version"])
        return Retry(0, 1) if len(seen) == 1 else None

    async def reload(target):
        assert target is None
        return {**STATE, "version": 4}

    hooks.register(SET, once)
    assert face.ask(hooks, reload=reload).data["version"] == 4
    assert seen == [3, 4]


@pytest.mark.parametrize("result", [Retry(5, 2), Redirect("elsewhere"), Cancel("no"), Replace(1)])
def test_at_a_custom_point_the_outcome_is_the_triggers_affair(face, result):
    hooks = face.hooks()
    hooks.register("mine.moment", lambda _: result, name="x")
    outcome = face.run(hooks.trigger("mine.moment", {"a": 1}))
    assert (outcome.decision, outcome.by, face.pauses) == (result, "x", [])
    assert outcome.data == {"a": 1}


def test_a_trigger_passes_everything_on_and_refuses_moments_of_the_store(face):
    hooks = face.hooks()
    seen = []
    hooks.register("before_tool_execution", seen.append)
    face.run(
        hooks.trigger(
            "BeforeToolExecution",
            {"a": [1]},
            component="tool:x",
            operation="run",
            session="s",
            metadata={"m": 1},
            correlation_id="c",
            cause=4,
        )
    )
    assert seen == [HookContext("before_tool_execution", "tool:x", "run", {"a": [1]}, "s", {"m": 1}, "c", 4)]
    with pytest.raises(InvalidInput) as caught:
        face.run(hooks.trigger("after_state_set", {}))
    assert caught.value.code == "reserved-point"


@pytest.mark.parametrize("data", [{"a": object()}, {"a": {1, 2}}, {"a": float("nan")}, {1: 2}, [1]])
def test_a_trigger_with_what_is_no_json_is_refused(face, data):
    hooks = face.hooks()
    hooks.register("mine.moment", lambda _: None)
    with pytest.raises(InvalidInput):
        face.run(hooks.trigger("mine.moment", data))


@pytest.mark.parametrize(
    "wrong",
    [{"component": 3}, {"operation": 3}, {"session": b"x"}, {"metadata": [1]}, {"correlation_id": 5}, {"cause": "9"}],
)
def test_a_trigger_with_parts_of_the_wrong_type_is_refused(face, wrong):
    with pytest.raises(InvalidInput):
        face.run(face.hooks().trigger("mine.moment", {}, **wrong))


def test_what_one_hook_sets_in_its_context_the_next_one_does_not_see(face):
    hooks = face.hooks()
    seen = []

    def leave_something(_):
        seen.append(WHERE.get())
        WHERE.set("left behind")

    for _ in range(3):
        hooks.register(SET, leave_something)
    face.ask(hooks)
    assert seen == ["nowhere"] * 3


@pytest.mark.parametrize("wrong", [{"depth_max": 0}, {"grace_ms": -1}, {"hooks_max": None}, {"retries_max": True}])
def test_limits_that_mean_nothing_are_refused(wrong):
    with pytest.raises(InvalidInput) as caught:
        HookLimits(**wrong)
    assert caught.value.code == "invalid-limit"


def test_a_context_for_another_point_or_with_no_json_is_refused(face):
    hooks = face.hooks()
    hooks.register(SET, lambda _: None)
    with pytest.raises(InvalidInput):
        face.run(hooks.run(SET, HookContext("after_state_set", "state", "set", dict(STATE))))
    with pytest.raises(InvalidInput) as caught:
        face.ask(hooks, data={**STATE, "value": {"x": object()}})
    assert any("'value'" in note for note in caught.value.__notes__)


def test_a_failing_hook_is_counted_reported_and_passed_over(face):
    told = []
    hooks = face.hooks(report=lambda info, failure: told.append((info, failure)))

    def broken(_):
        raise ZeroDivisionError("by zero")

    handle = hooks.register(SET, broken)
    hooks.register(SET, adding("!"))
    outcome = face.ask(hooks)
    assert outcome.data["value"] == "v!"
    assert (outcome.reports[0].verdict, outcome.reports[0].reason) == ("failed", "ZeroDivisionError: by zero")
    [(info, failure)] = told
    assert (info.failures, info.last_error, info.calls) == (1, "ZeroDivisionError: by zero", 1)
    assert (failure.hook_id, failure.point, failure.code) == (handle.id, SET, "hook-raised")
    assert isinstance(failure.error, ZeroDivisionError)
    [kept] = hooks.failures()
    assert (kept.message, kept.hook_id, kept.error) == (failure.message, handle.id, None)


def test_a_failing_hook_that_denies_refuses_the_operation(face):
    hooks = face.hooks()

    def broken(_):
        raise ValueError("no key")

    hooks.register(SET, broken, name="guard", on_failure="deny")
    outcome = face.ask(hooks)
    assert outcome.cancelled == "the hook 'guard' failed: ValueError: no key"
    assert outcome.by == "guard"


def test_a_report_that_raises_is_counted_and_harms_nothing(face):
    def report(info, failure):
        raise OSError("disk full")

    hooks = face.hooks(report=report)
    hooks.register(SET, lambda _: 1 / 0)
    assert face.ask(hooks).data == STATE
    assert hooks.reports_lost == 1
    assert len(hooks.failures()) == 1


def test_only_the_newest_failures_are_kept_but_all_are_counted(face):
    hooks = face.hooks(limits=HookLimits(failures_kept=3))
    handle = hooks.register(SET, lambda _: 1 / 0, breaker=None)
    for _ in range(5):
        face.ask(hooks)
    assert len(hooks.failures()) == 3
    assert hooks.info(handle).failures == 5


@pytest.mark.parametrize("kind", ["inline", "worker", "async"])
@pytest.mark.parametrize("mode", ["sequential", "parallel"])
def test_the_breaker_stops_calling_a_failing_hook_and_tries_it_again_later(face, kind, mode):
    now = [0]
    hooks = face.hooks(monotonic_ns=lambda: now[0])
    calls = []

    def failing(_):
        calls.append(1)
        raise ValueError

    async def failing_later(context):
        failing(context)

    callback = failing_later if kind == "async" else failing
    timeout_ms = 60_000 if kind == "worker" else None
    handle = hooks.register(SET, callback, breaker=BreakerConfig(failures=2, open_s=10), timeout_ms=timeout_ms)
    hooks.compose(SET, mode)
    for _ in range(5):
        face.ask(hooks)
    assert len(calls) == 2
    info = hooks.info(handle)
    assert (info.breaker, info.skipped, info.failures) == ("open", 3, 2)
    assert face.ask(hooks).reports[0].verdict == "barred"
    now[0] += 10 * 10**9
    face.ask(hooks)
    assert len(calls) == 3


def test_an_open_breaker_of_a_hook_that_denies_denies(face):
    hooks = face.hooks()
    hooks.register(SET, lambda _: 1 / 0, on_failure="deny", breaker=BreakerConfig(failures=1), name="guard")
    assert "failed" in str(face.ask(hooks).cancelled)
    assert "circuit breaker is open" in str(face.ask(hooks).cancelled)


def test_slow_calls_open_the_breaker_and_that_is_reported(face):
    now = [0]
    hooks = face.hooks(monotonic_ns=lambda: now[0])

    def slow(_):
        now[0] += 600 * 10**6

    handle = hooks.register(SET, slow)
    for _ in range(3):
        face.ask(hooks)
    info = hooks.info(handle)
    assert (info.breaker, info.calls, info.failures, info.skipped) == ("open", 2, 0, 1)
    assert (info.total_ms, info.avg_ms) == (1200, 600)
    assert [failure.code for failure in hooks.failures()] == ["circuit-open"]


def test_slowness_alone_never_makes_a_denying_hook_refuse(face):
    now = [0]
    hooks = face.hooks(monotonic_ns=lambda: now[0])

    def slow(_):
        now[0] += 10**10

    hooks.register(SET, slow, on_failure="deny")
    assert [face.ask(hooks).cancelled for _ in range(6)] == [None] * 6


def test_a_hook_may_trigger_its_own_operation_down_to_the_limit(face):
    told = []
    hooks = face.hooks(report=lambda info, failure: told.append(failure))
    depths = []

    def again(context):
        depths.append(context.data["version"])
        nested = HookContext(SET, "state", "set", {**STATE, "version": context.data["version"] + 1})
        return face_run_inside(face, hooks, nested)

    hooks.register(SET, again)
    outcome = face.ask(hooks, data={**STATE, "version": 1})
    assert depths == list(range(1, 17))
    assert outcome.decision is None
    assert [failure.code for failure in hooks.failures()] == ["hook-raised"]
    assert isinstance(told[0].error, LimitExceeded)
    assert told[0].error.code == "hook-depth"
    assert face.ask(hooks, "after_state_set").decision is None


def face_run_inside(face, hooks, context):
    if face.name == "async":

        async def nested():
            await hooks.run(SET, context)

        return nested()
    face.run(hooks.run(SET, context))
    return None


def test_an_async_hook_may_trigger_its_own_operation_on_either_face(face):
    hooks = face.hooks()
    depths = []

    async def again(context):
        depths.append(context.data["version"])
        await asyncio.sleep(0)
        if len(depths) < 5:
            nested = HookContext(SET, "state", "set", {**STATE, "version": context.data["version"] + 1})
            if face.name == "async":
                await hooks.run(SET, nested)
            else:
                face.run(hooks.run(SET, nested))

    hooks.register(SET, again)
    face.ask(hooks, data={**STATE, "version": 1})
    assert depths == [1, 2, 3, 4, 5]
    assert hooks.failures() == ()


@pytest.mark.parametrize("kind", ["sync", "worker", "async", "suspending", "partial", "object", "lambda"])
def test_every_kind_of_callback_runs_in_the_callers_context_and_leaks_nothing_into_it(face, kind):
    hooks = face.hooks()
    seen = []

    def note(context):
        seen.append(WHERE.get())
        WHERE.set("inside")

    async def anote(context):
        note(context)

    async def suspending(context):
        await asyncio.sleep(0)
        note(context)
        await asyncio.sleep(0)
        seen.append(WHERE.get())

    class Callable:
        async def __call__(self, context):
            await asyncio.sleep(0)
            note(context)

    callback = {
        "sync": note,
        "worker": note,
        "async": anote,
        "suspending": suspending,
        "partial": functools.partial(lambda extra, context: anote(context), 1),
        "object": Callable(),
        "lambda": lambda context: anote(context),  # noqa: PLW0108 - a sync function that gives a coroutine
    }[kind]
    hooks.register(SET, callback, timeout_ms=60_000 if kind == "worker" else None)
    before = WHERE.set("caller")
    try:
        face.ask(hooks)
        assert seen[0] == "caller"
        assert seen[1:] in ([], ["inside"])
        assert WHERE.get() == "caller"
    finally:
        WHERE.reset(before)
    assert hooks.failures() == ()


def test_a_scripts_shapes_are_read_for_other_languages_and_refused_for_python(face):
    hooks = face.hooks()
    hooks.register(SET, lambda _: "continue", language="lua")
    hooks.register(SET, lambda _: {"type": "modified", "data": {"value": "from lua"}}, language="lua")
    hooks.register(SET, lambda _: "why not", name="python", priority="low")
    outcome = face.ask(hooks)
    assert outcome.data["value"] == "from lua"
    assert outcome.decision is None
    assert [(failure.name, failure.code) for failure in hooks.failures()] == [("python", "invalid-result")]
    hooks.register(SET, lambda _: "why not", language="lua", priority="lowest")
    assert face.ask(hooks).cancelled == "why not"


def test_a_users_own_kind_of_cancel_is_a_cancel(face):
    class Quota(Cancel, frozen=True):
        pass

    hooks = face.hooks()
    hooks.register(SET, lambda _: Quota("full"))
    assert face.ask(hooks).decision == Cancel("full")


def test_continue_is_the_same_as_none(face):
    hooks = face.hooks()
    hooks.register(SET, lambda _: Continue())
    outcome = face.ask(hooks)
    assert (outcome.data, outcome.decision) == (STATE, None)
    assert outcome.reports[0].verdict == "continue"
