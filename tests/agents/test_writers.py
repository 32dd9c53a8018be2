"""Many writers of one agent, in threads, tasks and processes: nothing is lost, and everybody's order is kept."""

import asyncio
import subprocess
import sys
import threading

import pytest

import llmspell
from llmspell import AgentMessage, AgentState

pytestmark = pytest.mark.crash

APPENDS = 500
WAIT_S = 100
WRITER = """
import asyncio, sys, llmspell
folder, name, face, count, durability = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()

def turn(state):
    state.context_variables[name] = state.context_variables.get(name, 0) + 1

def blocking():
    with llmspell.open(folder, durability=durability) as store:
        for n in range(count):
            store.agents.append("shared", name, n)
            if n % 50 == 0:
                store.agents.update("shared", turn)
                store.agents.record_tool("shared", "web", 1, ok=False)

async def looped():
    async with await llmspell.open_async(folder, durability=durability) as store:
        for n in range(count):
            await store.agents.append("shared", name, n)
            if n % 50 == 0:
                await store.agents.update("shared", turn)
                await store.agents.record_tool("shared", "web", 1, ok=False)

blocking() if face == "sync" else asyncio.run(looped())
"""


@pytest.mark.parametrize("faces", [("sync", "async"), ("sync", "sync")], ids="-".join)
def test_two_processes_appending_to_one_agent_lose_nothing_and_number_without_gaps(tmp_path, faces):
    folder = tmp_path / "store"
    with llmspell.open(folder) as store:
        store.agents.save(AgentState("shared"))
    names = ["one", "two"]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), name, face, str(APPENDS), "process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, face in zip(names, faces, strict=True)
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=WAIT_S)
    assert [writer.returncode for writer in writers] == [0, 0]
    with llmspell.open(folder) as store:
        state = store.agents.load("shared")
        assert [message.number for message in state.conversation] == list(range(1, 2 * APPENDS + 1))
        for name in names:
            assert [one.content for one in state.conversation if one.role == name] == list(range(APPENDS))
        assert state.context_variables == dict.fromkeys(names, APPENDS / 50)
        assert (state.tool_usage["web"].calls, state.tool_usage["web"].failures) == (APPENDS / 25, APPENDS / 25)
        assert state.version == 1 + 2 * APPENDS + 2 * APPENDS / 25
        report = store.verify()
        assert report.ok, report.findings


def test_threads_of_one_store_lose_nothing(tmp_path):
    threads, each = 8, 25
    with llmspell.open(tmp_path / "store", durability="process") as store:
        store.agents.save(AgentState("shared", context_variables={"n": 0}))
        failures = []

        def work(name):
            try:
                for number in range(each):
                    store.agents.append("shared", name, number)
                    store.agents.update("shared", lambda s: s.context_variables.update(n=s.context_variables["n"] + 1))
                    store.agents.record_tool("shared", name, 0.5)
            except BaseException as exc:
                failures.append(exc)
                raise

        running = [threading.Thread(target=work, args=(f"thread-{n}",)) for n in range(threads)]
        for one in running:
            one.start()
        for one in running:
            one.join(WAIT_S)
        assert not failures
        state = store.agents.load("shared")
        assert state.context_variables["n"] == threads * each
        assert len(state.conversation) == threads * each
        assert {name: usage.calls for name, usage in state.tool_usage.items()} == {
            f"thread-{n}": each for n in range(threads)
        }
        assert store.verify().ok


def test_tasks_of_one_loop_lose_nothing(tmp_path):
    async def main():
        async with await llmspell.open_async(tmp_path / "store", durability="process") as store:
            await store.agents.save(AgentState("shared", context_variables={"n": 0}))

            def grow(state):
                state.context_variables["n"] += 1

            async def work(number):
                await store.agents.append("shared", "user", number)
                await store.agents.update("shared", grow)
                await store.agents.record_tool("shared", "web", 1)

            await asyncio.gather(*(work(number) for number in range(60)))
            state = await store.agents.load("shared")
            assert state.context_variables["n"] == 60
            assert {message.content for message in state.conversation} == set(range(60))
            assert state.tool_usage["web"].calls == 60
            assert (await store.verify()).ok

    asyncio.run(main())


def test_of_two_records_made_at_once_one_is_made(tmp_path):
    async def main():
        async with await llmspell.open_async(tmp_path / "store", durability="process") as store:
            states = [AgentState("a", metadata={"by": number}) for number in range(10)]
            results = await asyncio.gather(*(store.agents.save(state) for state in states), return_exceptions=True)
            assert results.count(1) == 1
            assert sum(isinstance(result, llmspell.Conflict) for result in results) == 9
            winner = states[results.index(1)]
            assert await store.agents.load("a") == winner

    asyncio.run(main())


def test_another_process_sees_what_this_one_saved_and_the_other_way_round(tmp_path):
    with llmspell.open(tmp_path / "store") as one, llmspell.open(tmp_path / "store") as two:
        state = AgentState("a", conversation=[AgentMessage("user", "hi")])
        one.agents.save(state)
        theirs = two.agents.load("a")
        assert theirs == state
        theirs.conversation.append(AgentMessage("assistant", "yo"))
        two.agents.save(theirs)
        with pytest.raises(llmspell.Conflict):
            one.agents.save(state, if_version=1)
        assert one.agents.load("a") == theirs
