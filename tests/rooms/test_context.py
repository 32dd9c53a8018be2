"""Who did what, in which session and correlation, because of what: through blocks, tasks and threads."""

import asyncio
import concurrent.futures
import threading

import pytest

import llmspell
from llmspell import carry_context, current_session
from llmspell.errors import LlmspellError
from llmspell.model.context import current


def entries(store, **filters):
    return store.timeline(limit=1000, **filters).items


# -- sessions in context -----------------------------------------------------------------------------------------------


def test_outside_of_any_block_there_is_no_current_session(face, store):
    assert face.call(current_session) is None
    store.state.set("a", 1)
    assert entries(store)[-1].session is None


def test_blocks_nest_and_each_is_left_for_the_one_around_it(face, store):
    with store.session("outer") as outer:
        store.state.set("a", 1)
        with store.session("inner") as inner:
            assert face.call(current_session).id == inner.id
            store.state.set("a", 2)
        assert face.call(current_session).id == outer.id
        store.state.set("a", 3)
    assert face.call(current_session) is None
    assert [change.session for change in store.state.history("a")] == [outer.id, inner.id, outer.id]


def test_the_same_session_may_be_entered_again_inside_itself(face, store):
    with store.session("s") as session:
        with session, session:
            assert face.call(current_session).id == session.id
        assert face.call(current_session).id == session.id
    assert face.call(current_session) is None


def test_an_error_leaves_the_block(face, store):
    with pytest.raises(ZeroDivisionError), store.session("s"):
        raise ZeroDivisionError
    assert face.call(current_session) is None


def test_a_session_handle_acts_in_its_session_wherever_it_is_used(store):
    one, two = store.sessions.create("one"), store.sessions.create("two")
    with one:
        two.state.set("a", 1)
        two.events.publish("x.y")
        store.state.set("a", 1)
    made = {entry.kind + entry.data.get("scope", ""): entry for entry in entries(store)}
    assert made[f"state.setsession:{two.id}"].to_dict()["session"] == two.id
    assert made["event.published"].to_dict()["session"] == two.id
    assert made["state.setglobal"].to_dict()["session"] == one.id


def test_a_child_task_follows_its_block_and_a_sibling_does_not(tmp_path):
    async def main():
        async with await llmspell.open_async(tmp_path / "s", durability="process") as store:

            async def work(name):
                async with store.session(name) as session:
                    await asyncio.sleep(0)
                    inner = [asyncio.create_task(child(f"{name} {n}")) for n in range(3)]
                    await asyncio.gather(*inner)
                    await asyncio.to_thread(lambda: seen.setdefault(f"{name} thread", current_session().id))
                    return name, session.id

            async def child(key):
                await asyncio.sleep(0)
                await store.state.set(key, current_session().id)

            seen = {}
            ids = dict(await asyncio.gather(*(work(f"s{n}") for n in range(8))))
            for key, value in await store.state.items():
                name = key.split()[0]
                assert value == ids[name]
                assert (await store.state.history(key))[0].session == ids[name]
            assert seen == {f"{name} thread": number for name, number in ids.items()}
            assert current_session() is None

    asyncio.run(main())


def test_one_handle_is_entered_by_many_tasks_at_once_and_each_leaves_its_own_block(tmp_path):
    async def main():
        async with await llmspell.open_async(tmp_path / "s", durability="process") as store:
            session = await store.sessions.create("shared")
            order = [asyncio.Event() for _ in range(3)]

            async def work(number):
                before = current.get()
                async with session:
                    await order[number].wait()
                assert current.get() is before
                assert current_session() is None

            tasks = [asyncio.create_task(work(number)) for number in range(3)]
            await asyncio.sleep(0)
            for number in (0, 2, 1):
                order[number].set()
                await asyncio.wait_for(tasks[number], 30)

    asyncio.run(main())


def test_one_handle_is_entered_by_many_threads_at_once(tmp_path):
    with llmspell.open(tmp_path / "s", durability="process") as store:
        session = store.sessions.create("shared")
        inside, failures = threading.Barrier(4), []

        def work(number):
            try:
                with session:
                    inside.wait(30)
                    store.state.set(f"k{number}", current_session().id)
                    inside.wait(30)
                assert current_session() is None
            except BaseException as exc:  # noqa: BLE001 - shown by the assertion below
                failures.append(exc)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert {value for _, value in store.state.items()} == {session.id}
        assert {entry.to_dict()["session"] for entry in entries(store, kinds=["state.set"])} == {session.id}


def test_a_carried_context_follows_into_threads_and_pools(tmp_path):
    with (
        llmspell.open(tmp_path / "s", durability="process") as store,
        concurrent.futures.ThreadPoolExecutor(4) as pool,
        store.correlate("import"),
        store.session("s") as session,
    ):

        def work(number):
            store.state.set(f"k{number}", number)
            return current_session().id

        carried = carry_context(work)
        assert set(pool.map(carried, range(20))) == {session.id}
        bare = pool.submit(lambda: (current_session(), store.state.set("bare", 1)))
        assert bare.result()[0] is None
        sets = entries(store, kinds=["state.set"])
        assert {entry.session for entry in sets if entry.data["key"] != "bare"} == {sets[0].session}
        assert {entry.correlation for entry in sets if entry.data["key"] != "bare"} == {sets[0].correlation}
        assert [entry.session for entry in sets if entry.data["key"] == "bare"] == [None]


def test_threads_that_share_a_session_handle_keep_their_own_correlations(tmp_path):
    with llmspell.open(tmp_path / "s", durability="process") as store:
        session = store.sessions.create("shared")
        expected, ready = {}, threading.Barrier(6)

        def work(number):
            with store.correlate(f"c{number}") as correlation:
                expected[number] = correlation
                ready.wait(30)
                for n in range(30):
                    session.state.set(f"k{number}-{n}", 1)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for entry in entries(store, kinds=["state.set"]):
            number = int(entry.data["key"][1:].split("-")[0])
            assert entry.to_dict()["correlation_id"] == expected[number]


# -- correlations ------------------------------------------------------------------------------------------------------


def test_correlations_nest_and_are_written_once_with_their_parents_before_their_first_entry(face, store):
    with store.correlate("outer") as outer:
        with store.correlate("inner") as inner:
            store.state.set("a", 1)
            store.state.set("a", 2)
        store.state.set("a", 3)
    with store.correlate("unused"):
        pass
    told = [
        (entry.kind, entry.to_dict()["correlation_id"], entry.data.get("name"), entry.data.get("parent"))
        for entry in entries(store)[1:]
    ]
    bare = outer.replace("-", "")
    assert told == [
        ("correlation.opened", inner, "outer", None),
        ("correlation.opened", inner, "inner", bare),
        ("state.set", inner, None, None),
        ("state.set", inner, None, None),
        ("state.set", outer, None, None),
    ]
    assert [entry.data["key"] for entry in entries(store, correlation=inner, kinds=["state.set"])] == ["a", "a"]
    assert len(entries(store, correlation=outer)) == 1
    assert store.verify().ok


def test_a_correlation_is_written_once_also_by_tasks_that_start_together(tmp_path):
    async def main():
        async with await llmspell.open_async(tmp_path / "s", durability="process") as store:
            with store.correlate("together") as correlation:
                await asyncio.gather(*(store.state.set(f"k{n}", n) for n in range(20)))
            found = (await store.timeline(correlation=correlation, limit=100)).items
            assert [entry.kind for entry in found] == ["correlation.opened"] + ["state.set"] * 20
            assert (await store.verify()).ok

    asyncio.run(main())


def test_a_correlation_inside_a_session_is_the_one_that_counts(store):
    with store.session("s") as session:
        store.state.set("a", 1)
        with store.correlate("inside") as inside:
            store.state.set("a", 2)
            session.state.set("b", 3)
        store.state.set("a", 4)
    found = [
        (entry.data.get("value"), entry.to_dict()["correlation_id"]) for entry in entries(store, kinds=["state.set"])
    ]
    own = session.info.correlation_id
    assert found == [(1, own), (2, inside), (3, inside), (4, own)]


def test_entries_outside_of_everything_have_a_correlation_of_their_own(store):
    store.state.set("a", 1)
    store.state.set_many({"b": 1, "c": 2})
    made = entries(store, kinds=["state.set"])
    assert made[0].correlation == made[0].id
    assert made[1].correlation == made[2].correlation == made[1].id
    assert made[0].correlation != made[1].correlation


def test_a_correlation_with_a_bad_name_is_refused(store):
    for name in ("", "a\nb", 5):
        with pytest.raises(LlmspellError) as refused, store.correlate(name):
            pass
        assert refused.value.code == "invalid-name"


# -- causes ------------------------------------------------------------------------------------------------------------


def test_what_is_done_in_a_session_is_caused_by_its_beginning(store):
    with store.session("outer") as outer:
        first = entries(store, session=outer.id)[0]
        outer.state.set("a", 1)
        with store.session("inner", parent=outer.id) as inner:
            inner.state.set("b", 2)
    began = entries(store, session=inner.id)[0]
    assert first.cause == 0
    assert began.cause == first.seq
    assert {entry.cause for entry in entries(store, session=outer.id)[1:]} == {first.seq}
    assert [entry.data.get("key") for entry in entries(store, session=inner.id)][1] == "b"


def test_an_opened_session_has_the_same_cause_as_the_one_that_was_created(face, store):
    made = store.sessions.create("s")
    made.state.set("a", 1)
    store = face.reopen()
    store.sessions.open("s").state.set("a", 2)
    found = entries(store, session=made.id)
    assert [entry.cause for entry in found] == [0, found[0].seq, found[0].seq]


# -- timelines ---------------------------------------------------------------------------------------------------------


def test_a_timeline_is_read_by_session_correlation_kind_and_page(store):
    with store.correlate("c") as correlation, store.session("s") as session:
        for n in range(5):
            store.state.set("a", n)
    everything = entries(store, session=session.id)
    assert everything == session.timeline(limit=1000).items
    values = [entry.data["value"] for entry in entries(store, correlation=correlation, kinds=["state.write"])]
    assert values == list(range(5))
    found, cursor = [], None
    while len(found) < len(everything):
        page = session.timeline(limit=2, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
    assert found == everything
    newest = store.timeline(session=session.id, newest_first=True, limit=3)
    assert newest.items == everything[::-1][:3]
    assert (
        store.timeline(session=session.id, newest_first=True, limit=3, cursor=newest.next_cursor).items
        == (everything[::-1][3:6])
    )


def test_a_cursor_at_the_end_leads_to_what_happens_later(store):
    store.state.set("a", 1)
    head = store.stats()["last_seq"]
    page = store.timeline(limit=head)
    assert page.next_cursor is not None
    assert store.timeline(cursor=page.next_cursor).items == []
    store.state.set("a", 2)
    assert [entry.data["value"] for entry in store.timeline(cursor=page.next_cursor)] == [2]


@pytest.mark.parametrize("arguments", [
    {"session": "x"}, {"correlation": 5}, {"since": "yesterday"}, {"until": 5}, {"limit": 0}, {"cursor": "x"},
    {"kinds": [""]}, {"kinds": [5]},
])  # fmt: skip
def test_a_timeline_refuses_arguments_that_break_a_rule(store, arguments):
    with pytest.raises(LlmspellError) as refused:
        store.timeline(**arguments)
    assert refused.value.code.startswith("invalid-")
