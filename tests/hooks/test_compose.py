from __future__ import annotations

import asyncio
import threading

import pytest

from llmspell.errors import InvalidInput
from llmspell.hooks import Cache, Cancel, Continue, Modified, Redirect, Replace, Retry, Skipped

STATE = {"scope": "global", "key": "topic", "value": "v", "old_value": None, "operation": "set", "version": 3}
SET = "before_state_set"
LABELS = {"id": "1", "name": "n", "tags": [], "metadata": {}}


def composed(face, mode, answers, point=SET, **options):
    hooks = face.hooks()
    seen = []
    for index, answer in enumerate(answers):

        def hook(context, answer=answer, index=index):
            seen.append((index, dict(context.data)))
            if isinstance(answer, Exception):
                raise answer
            return answer

        hooks.register(
            point, hook, name=f"h{index}", **({"on_failure": "deny"} if isinstance(answer, KeyError) else {})
        )
    hooks.compose(point, mode, **options)
    return hooks, seen


def test_first_match_asks_until_one_has_anything_to_say(face):
    answers = [None, Skipped("x"), ValueError(), Modified({"value": "m"}), Cancel("no")]
    hooks, seen = composed(face, "first_match", answers)
    outcome = face.ask(hooks)
    assert [index for index, _ in seen] == [0, 1, 2, 3]
    assert (outcome.data["value"], outcome.decision) == ("m", None)


def test_parallel_hooks_all_see_the_same_data_and_their_changes_are_joined(face):
    hooks, seen = composed(
        face, "parallel", [Modified({"tags": ["a"]}), Modified({"name": "b"}), None], point="before_session_create"
    )
    outcome = face.ask(hooks, "before_session_create", LABELS)
    assert [data for _, data in seen] == [LABELS] * 3
    assert outcome.data == {**LABELS, "tags": ["a"], "name": "b"}
    assert outcome.changed == {"tags", "name"}


def test_of_two_parallel_changes_of_one_field_the_first_in_order_stands_and_the_other_is_reported(face):
    hooks, _ = composed(face, "parallel", [Modified({"value": "first"}), Modified({"value": "second"})])
    outcome = face.ask(hooks)
    assert outcome.data["value"] == "first"
    assert [report.verdict for report in outcome.reports] == ["modified", "overruled"]


@pytest.mark.parametrize("other", [Modified({"value": "m"}), Redirect("other"), Retry(0, 1), None, ValueError()])
def test_a_parallel_cancel_beats_everything_else(face, other):
    hooks, _ = composed(face, "parallel", [other, Cancel("no")])
    outcome = face.ask(hooks)
    assert outcome.cancelled == "no"
    assert outcome.redirect is None


def test_a_parallel_failure_that_denies_refuses(face):
    hooks, _ = composed(face, "parallel", [None, KeyError("x")])
    assert "failed" in str(face.ask(hooks).cancelled)


def test_parallel_redirect_and_retry_begin_again(face):
    hooks, seen = composed(face, "parallel", [Redirect("elsewhere"), None])
    assert face.ask(hooks).redirect == "elsewhere"
    assert [data["key"] for _, data in seen] == ["topic", "topic", "elsewhere", "elsewhere"]
    hooks, seen = composed(face, "parallel", [Retry(7, 2), None])
    face.ask(hooks)
    assert len(seen) == 6
    assert face.pauses == [0.007] * 2


def test_at_a_custom_point_the_first_parallel_decision_stands(face):
    hooks, _ = composed(face, "parallel", [None, Cache("k", 1), Replace(2)], point="mine.own")
    outcome = face.run(hooks.trigger("mine.own"))
    assert outcome.decision == Cache("k", 1)
    assert [report.verdict for report in outcome.reports] == ["continue", "cache", "overruled"]


def test_parallel_async_hooks_really_run_at_the_same_time(face):
    hooks = face.hooks()
    together = threading.Barrier(3)

    def on_worker(_):
        together.wait(30)

    async def on_loop(_):
        await asyncio.get_running_loop().run_in_executor(None, together.wait, 30)

    hooks.register(SET, on_worker, timeout_ms=30_000)
    hooks.register(SET, on_loop)
    hooks.register(SET, on_loop)
    hooks.compose(SET, "parallel")
    outcome = face.ask(hooks)
    assert [report.verdict for report in outcome.reports] == ["continue"] * 3, hooks.failures()


def test_on_the_blocking_face_what_runs_elsewhere_is_begun_before_what_runs_here(blocking_face):
    hooks = blocking_face.hooks()
    begun, in_time = threading.Event(), []

    async def elsewhere(_):
        begun.set()

    hooks.register(SET, lambda _: in_time.append(begun.wait(30)))
    hooks.register(SET, elsewhere)
    hooks.compose(SET, "parallel")
    blocking_face.ask(hooks)
    assert in_time == [True]


def test_each_parallel_hook_is_charged_its_own_time(face):
    now, reads = [0], []

    def clock():
        reads.append(now[0])
        return now[0]

    # On either face the clock is read so often until both others have ended.
    until_others_ended = {"async": 5, "blocking": 7}[face.name]
    hooks = face.hooks(monotonic_ns=clock)

    async def slow(_):
        while len(reads) < until_others_ended:  # noqa: ASYNC110 - the clock has no event to wait for
            await asyncio.sleep(0)
        now[0] += 600 * 10**6

    async def quick(_):
        return None

    hooks.register(SET, slow, name="slow")
    hooks.register(SET, quick, name="quick")
    hooks.register(SET, lambda _: None, name="inline")
    hooks.compose(SET, "parallel")
    face.ask(hooks)
    assert {info.name: info.total_ms for info in hooks.list()} == {"slow": 600, "quick": 0, "inline": 0}


@pytest.mark.parametrize(
    "threshold,answers,cancelled",
    [
        (0.5, [Cancel("a"), Cancel("b"), None], True),
        (0.5, [Cancel("a"), None, None], False),
        (0.5, [Cancel("a"), None], True),
        (0.5, [None, Cancel("a")], True),
        (0.3, [None, Modified({"value": 1}), Cancel("a")], True),
        (0.5, [Cancel("a"), None, Skipped("x")], True),
        (0.5, [Cancel("a"), None, ValueError()], True),
        (0.6, [Cancel("a"), None], False),
        (1, [Cancel("a"), Cancel("b")], True),
        (1, [Cancel("a"), Cancel("b"), Continue()], False),
        (0.5, [KeyError("denies"), None], True),
        (0.9, [KeyError("denies"), None], False),
        (0.5, [Skipped("x"), ValueError()], False),
    ],
)
def test_a_vote_refuses_when_the_share_of_cancels_reaches_the_threshold(face, threshold, answers, cancelled):
    hooks, _ = composed(face, "voting", answers, threshold=threshold)
    assert (face.ask(hooks).cancelled is not None) is cancelled


def test_a_vote_changes_only_what_enough_hooks_agree_on(face):
    same = Modified({"value": {"b": 1, "a": 2}})
    hooks, seen = composed(face, "voting", [Modified({"value": 1}), same, Modified({"value": {"a": 2, "b": 1}})])
    outcome = face.ask(hooks)
    assert outcome.data["value"] == {"a": 2, "b": 1}
    assert [report.verdict for report in outcome.reports] == ["overruled", "modified", "modified"]
    assert [data["value"] for _, data in seen] == ["v"] * 3
    hooks, _ = composed(face, "voting", [Modified({"value": 1}), Modified({"value": True})], threshold=0.6)
    assert face.ask(hooks).data["value"] == "v", "1 and true are different ballots"


def test_a_vote_may_redirect(face):
    hooks, _ = composed(face, "voting", [Redirect("a"), Redirect("a"), Redirect("b")])
    assert face.ask(hooks).redirect == "a"


def test_composition_belongs_to_a_point_and_survives_changes_of_its_hooks(face):
    hooks, _ = composed(face, "first_match", [Modified({"value": "1"}), Modified({"value": "2"})])
    hooks.register(SET, lambda _: Modified({"value": "0"}), priority="high")
    assert face.ask(hooks).data["value"] == "0"
    hooks.compose("BeforeStateWrite", "sequential")
    assert face.ask(hooks).data["value"] == "2"


@pytest.mark.parametrize(
    "mode,threshold",
    [("both", 0.5), (None, 0.5), ("voting", 0), ("voting", 1.1), ("voting", True), ("voting", "x")],
)
def test_a_composition_that_does_not_exist_is_refused(face, mode, threshold):
    with pytest.raises(InvalidInput) as caught:
        face.hooks().compose(SET, mode, threshold=threshold)
    assert caught.value.code == "invalid-composition"
