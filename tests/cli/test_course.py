"""How the session of a run begins and ends."""

import asyncio
import contextlib

import pytest

from llmspell.cli.course import check_options, run_in
from llmspell.errors import Conflict, InvalidInput, NotFound
from llmspell.opening import open_async


def _run(*, before=None, error=None, inside=None, session=None, resume=None, keep_open=False):
    """Status and reason of the session after a run; ``before`` leads an existing session to a status."""

    async def course():
        async with await open_async(":memory:") as store:
            if before is not None:
                handle = await store.sessions.create("R")
                for step in before:
                    await (handle.fail("before") if step == "fail" else getattr(handle, step)())
            with contextlib.suppress(ValueError, asyncio.CancelledError):
                async with run_in(store, "f.lua", session=session, resume=resume, keep_open=keep_open) as handle:
                    assert handle.info.status == "active"
                    if inside is not None:
                        await inside(store, handle)
                    if error is not None:
                        raise error
            (info,) = await store.sessions.list()
            return info.name, str(info.status), info.reason

    return asyncio.run(course())


@pytest.mark.parametrize(
    "given, ends",
    [
        ({}, ("f.lua", "completed")),
        ({"keep_open": True}, ("f.lua", "suspended")),
        ({"session": "R"}, ("R", "suspended")),
        ({"session": "R", "before": []}, ("R", "suspended")),
        ({"session": "R", "before": ["suspend"]}, ("R", "suspended")),
        ({"resume": "R", "before": ["fail"]}, ("R", "completed")),
        ({"resume": "R", "before": []}, ("R", "completed")),
        ({"resume": "R", "before": ["suspend"], "keep_open": True}, ("R", "suspended")),
    ],
)
def test_a_run_that_succeeds_ends_its_session_as_asked(given, ends):
    assert _run(**given)[:2] == ends


@pytest.mark.parametrize("given", [{}, {"keep_open": True}, {"session": "R"}, {"resume": "R", "before": ["fail"]}])
def test_a_run_that_fails_fails_its_session_with_the_reason(given):
    assert _run(error=ValueError("oh"), **given)[1:] == ("failed", "ValueError: oh")


def test_a_very_long_reason_is_cut():
    reason = _run(error=ValueError("x" * 5000))[2]
    assert len(reason) == 2000


def test_an_interrupted_run_is_set_aside():
    assert _run(error=asyncio.CancelledError())[1] == "suspended"


def test_a_script_may_end_its_session_itself():
    async def complete(store, handle):
        await (await store.sessions.open(handle.id)).complete()

    assert _run(inside=complete)[1] == "completed"
    assert _run(inside=complete, session="R")[1] == "completed"
    assert _run(inside=complete, error=ValueError("after"))[1] == "completed"


@pytest.mark.parametrize("before", [["fail"], ["complete"], ["complete", "archive"]])
def test_a_session_that_ended_is_not_continued(before):
    with pytest.raises(Conflict) as caught:
        _run(session="R", before=before)
    assert caught.value.code == "illegal-transition"
    assert bool(caught.value.hint) is (before == ["fail"])


def test_what_does_not_exist_cannot_be_resumed_nor_named_by_id():
    for given in ({"resume": "R"}, {"session": "01A1FC84-fe41-7585-96cf-d840b20b4ebd"}):
        with pytest.raises(NotFound):
            _run(**given)


def test_options_that_contradict_each_other_are_refused():
    for session, resume, keep_open in (("a", "b", False), ("a", None, True)):
        with pytest.raises(InvalidInput):
            check_options(session, resume, keep_open=keep_open)
    check_options(None, "b", keep_open=True)
