"""The asynchronous adapter: cancelling, closing, and a loop that goes on."""

import asyncio

import pytest

from llmspell.adapters.sqlite.looped import LoopedDatabase
from llmspell.adapters.sqlite.store import open_store
from llmspell.errors import LlmspellError
from llmspell.model.ids import SystemIds
from llmspell.testing.units import ALL, add, put


@pytest.fixture(params=["process", "full"])
def files(request, tmp_path):
    opened = open_store(tmp_path / "store", SystemIds(), durability=request.param)
    yield opened
    opened.close()


def stored(files):
    return dict(files.engine.read(lambda view: view.all(ALL)))


def test_a_write_cancelled_before_its_batch_started_is_withdrawn(files):
    async def main():
        database = LoopedDatabase(files.engine)
        keep = asyncio.ensure_future(database.write(put("keep", 1)))
        drop = asyncio.ensure_future(database.write(put("drop", 1)))
        also = asyncio.ensure_future(database.write(put("also", 1)))
        await asyncio.sleep(0)  # all three are submitted, none has started
        assert drop.cancel()
        results = await asyncio.gather(keep, drop, also, return_exceptions=True)
        assert results[0] == results[2] == 1
        assert isinstance(results[1], asyncio.CancelledError)
        await database.close()

    asyncio.run(main())
    assert stored(files) == {"keep": 1, "also": 1}


def test_a_write_cancelled_after_its_batch_started_completes(tmp_path):
    files = open_store(tmp_path / "store", SystemIds(), durability="full")

    async def main():
        database = LoopedDatabase(files.engine)
        files.engine.turn.acquire()  # so that the batch starts, and waits
        write = asyncio.ensure_future(database.write(put("a", 1)))
        for _ in range(3):  # it is submitted, and its turn of the loop ends
            await asyncio.sleep(0)
        assert database._in_thread
        write.cancel()
        with pytest.raises(asyncio.CancelledError):
            await write
        files.engine.turn.release()
        await database.close()

    asyncio.run(main())
    assert stored(files) == {"a": 1}
    files.close()


def test_all_writes_of_a_turn_cancelled_leave_nothing_and_the_next_one_works(files):
    async def main():
        database = LoopedDatabase(files.engine)
        tasks = [asyncio.ensure_future(database.write(put(f"k{n}", n))) for n in range(5)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await database.write(put("after", 1)) == 1
        await database.close()

    asyncio.run(main())
    assert stored(files)["after"] == 1


def test_more_writes_than_one_batch_carries_all_commit_in_order(files):
    async def main():
        database = LoopedDatabase(files.engine)
        results = await asyncio.gather(*(database.write(add("n")) for _ in range(1500)))
        await database.close()
        return results

    assert asyncio.run(main()) == list(range(1, 1501))


def test_closing_waits_for_the_writes_under_way(files):
    async def main():
        database = LoopedDatabase(files.engine)
        writes = [asyncio.ensure_future(database.write(add("n"))) for _ in range(600)]
        await asyncio.sleep(0)
        await database.close()
        assert all(write.done() for write in writes)

    asyncio.run(main())
    assert stored(files) == {"n": 600}


def test_two_closes_at_once_both_return(files):
    async def main():
        database = LoopedDatabase(files.engine)
        files.engine.turn.acquire()
        write = asyncio.ensure_future(database.write(put("a", 1)))
        await asyncio.sleep(0)
        closes = [asyncio.ensure_future(database.close()) for _ in range(3)]
        await asyncio.sleep(0)
        files.engine.turn.release()
        await asyncio.wait_for(asyncio.gather(*closes), 30)
        assert await write == 1

    asyncio.run(main())


def test_a_close_that_is_cancelled_does_not_strand_another(files):
    async def main():
        database = LoopedDatabase(files.engine)
        files.engine.turn.acquire()
        write = asyncio.ensure_future(database.write(put("a", 1)))
        await asyncio.sleep(0)
        first, second = asyncio.ensure_future(database.close()), asyncio.ensure_future(database.close())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        files.engine.turn.release()
        await asyncio.wait_for(second, 30)
        await asyncio.gather(write, first, return_exceptions=True)

    asyncio.run(main())


def test_another_loop_is_refused(files):
    async def make():
        return LoopedDatabase(files.engine)

    async def use(database):
        with pytest.raises(LlmspellError) as refused:
            await database.write(put("a", 1))
        return refused.value.code

    database = asyncio.run(make())
    assert asyncio.run(use(database)) == "other-loop"


def test_the_loop_thread_never_waits_for_a_turn_that_somebody_else_has(files):
    async def main():
        database = LoopedDatabase(files.engine)
        files.engine.turn.acquire()
        write = asyncio.ensure_future(database.write(put("a", 1)))
        for _ in range(50):
            await asyncio.sleep(0)  # would not return if the loop thread waited
        assert not write.done()
        files.engine.turn.release()
        assert await asyncio.wait_for(write, 30) == 1
        await database.close()

    asyncio.run(main())


def test_a_task_that_only_writes_lets_timers_and_other_tasks_run(files):
    async def main():
        database = LoopedDatabase(files.engine)
        rang = asyncio.Event()
        asyncio.get_running_loop().call_later(0, rang.set)
        for _ in range(2000):
            await database.write(add("n"))
            if rang.is_set():
                break
        assert rang.is_set(), "2,000 writes in a row kept the loop from anything else"
        await database.close()

    asyncio.run(main())


def test_a_unit_that_asks_the_process_to_end_does_so_and_nobody_waits_for_ever(tmp_path):
    files = open_store(tmp_path / "store", SystemIds(), durability="full")

    async def leave(tx):
        raise SystemExit(3)

    async def write(unit):
        database = LoopedDatabase(files.engine)
        try:
            return await database.write(unit)
        finally:
            await database.close()

    with pytest.raises(SystemExit):
        asyncio.run(write(leave))
    assert asyncio.run(write(put("after", 1))) == 1
    files.close()


def test_a_closed_store_answers_writes_at_once(files):
    async def main():
        database = LoopedDatabase(files.engine)
        await database.close()
        files.close()
        for _ in range(2):
            with pytest.raises(LlmspellError) as refused:
                await asyncio.wait_for(database.write(put("a", 1)), 30)
            assert refused.value.code == "closed"

    asyncio.run(main())
