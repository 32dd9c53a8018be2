"""Secrets that were given as secrets are in no file and on no screen: looked for in every byte that a killed process
left, in every payload after decompression, in every row, in its log, and in what commands print.
"""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

import llmspell
from llmspell.journal.codec import TEXT, load_payload
from llmspell.runs.record import find_run, read_record
from llmspell.script.host import run_script

pytestmark = pytest.mark.crash

WAIT_S = 100
# The middle is what is looked for; as a whole it is a token of a large code host, which is found anywhere.
CANARY = "Zq7Kx2Vw9Lm4Tn8Rb3Yc"
TOKEN = f"ghp_{CANARY}aB3dE6gH9jK2mN5p"
PROGRAM = r"""
import logging, os, signal, sys, llmspell
from llmspell import AgentMessage, AgentState, Scope
from llmspell.hooks.results import Modified
folder, log, token = sys.argv[1:]
logging.basicConfig(filename=log, level=logging.DEBUG)
long = {"notes": "the weather is fine today. " * 400, "token": token}
store = llmspell.open(folder, secrets="protect")
seen = []
for point in ("before_state_set", "after_state_set", "before_session_create", "after_agent_save"):
    store.hooks.register(point, lambda context: logging.info("hook at %s of %s", context.point, context.operation))
store.events.subscribe("**", lambda event: logging.info("event %s %s", event.type, event.data))
state = store.state_of(Scope.agent("a"))
state.set("sealed", token, state_class="sensitive")
state.set("sealed long", long, state_class="sensitive")
state.set("sealed", [token, token])
state.update("sealed", lambda value: [*value, token])
state.set_many({"sealed": token, "more": {"token": token}})
state.set("found", long, state_class="external")
state.set("protected", f"use {token} for it")
state.set("memory", token, state_class="ephemeral")
state.copy_to(Scope.agent("b"))
store.state_of(Scope.agent("b")).move_to(Scope.agent("c"))
session = store.sessions.create("s", state={"k": long})
session.checkpoint("c")
session.state.set("k", {"token": token + "x"})
session.restore("c")
state.delete("sealed long")
store.schemas.register({"name": "n", "version": "1.0.0", "value": "integer"})
store.schemas.bind("n", scope=Scope.agent("d"))
for refused in (
    lambda: store.state_of(Scope.agent("d")).set("k", token, state_class="sensitive"),
    lambda: state.set("sealed", token, if_version=99),
    lambda: store.acting_as("agent:e").state_of(Scope.agent("a")).set("sealed", token),
    lambda: state.set("memory 2", {"token": token, 5: 1}, state_class="sensitive"),
    lambda: state.set("big", token + "x" * (2 << 20), state_class="external"),
):
    try:
        refused()
    except llmspell.LlmspellError as error:
        logging.exception("refused: %s %s", error, error.details)
agent = AgentState("a", custom_data={"token": token}, context_variables={"say": f"my token is {token}"})
agent.conversation = [AgentMessage("user", f"here it is: {token}"), AgentMessage("tool", long, metadata={"t": token})]
store.agents.save(agent)
store.agents.append("a", "user", f"again {token}")
store.at("-0s").state_of(Scope.agent("a")).items()
list(store.timeline(limit=1000))
assert store.verify().ok
print("written", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
SCRIPT = """
local token = State.get("agent:lua", "given")
State.set("agent:lua", "sealed", {token = token}, {class = "sensitive"})
State.set("agent:lua", "found", {password = token}, {class = "external"})
State.agent_set("lua", "given", token)
if State.get("agent:lua", "sealed").token ~= token then error("it is another one") end
"""


@pytest.fixture
def environment(tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return {
        **os.environ,
        "LLMSPELL_KEYS": str(tmp_path / "keys"),
        "LLMSPELL_STORE": str(tmp_path / "s"),
        "TMPDIR": str(temporary),
    }


def contents(folder):
    """Every file's bytes; and what is in the databases: each payload decompressed, each row as text."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()
    for path in folder.rglob("*.db"):
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - its own tables
                yield f"{path.name} {table}", repr(row).encode()
        if "entry" in tables:
            for seq, codec, payload in database.execute("SELECT seq, codec, payload FROM entry"):
                if payload is not None and codec != TEXT:
                    yield f"entry {seq}", load_payload(codec, payload)
        database.close()


def leaks(folder):
    return sorted({where for where, content in contents(folder) if CANARY.encode() in content})


def command(environment, *words):
    ran = subprocess.run(
        [sys.executable, "-m", "llmspell", *words], env=environment, capture_output=True, timeout=WAIT_S, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


def test_what_was_given_as_a_secret_is_nowhere_in_clear(tmp_path, environment):
    log = tmp_path / "program.log"
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, environment["LLMSPELL_STORE"], str(log), TOKEN], env=environment,
        capture_output=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (-signal.SIGKILL, b"written\n"), ran.stderr
    assert log.stat().st_size > 1000
    assert leaks(tmp_path) == []
    assert CANARY.encode() not in ran.stderr
    printed = b"".join((
        command(environment, "timeline", "--json", "--limit", "1000"),
        command(environment, "timeline", "--limit", "1000"),
        command(environment, "state", "diff", "1", "--json"), command(environment, "stats", "--json"),
        command(environment, "state", "list", "--scope", "agent:a", "--values", "--at", "-0s"),
        command(environment, "access", "audit", "--json"), command(environment, "verify", "--json"),
        command(environment, "doctor"),
    ))  # fmt: skip
    assert CANARY.encode() not in printed
    got = json.loads(command(environment, "state", "get", "sealed", "--scope", "agent:a", "--json"))
    assert got["value"] == TOKEN, "and it is kept"
    assert leaks(tmp_path) == []


def test_a_script_that_handles_a_secret_leaves_none(tmp_path, environment):
    program = tmp_path / "secret.lua"
    program.write_text(SCRIPT)
    command(environment, "state", "set", "given", TOKEN, "--class", "sensitive", "--scope", "agent:lua")
    printed = command(environment, "run", str(program))
    printed += command(environment, "timeline", "--json")
    assert b"agent:lua" in printed
    assert CANARY.encode() not in printed
    assert leaks(tmp_path) == []


ENDS = {
    "a value": 'return State.get("agent:lua", "given")',
    "a part of one, in a table, from a callback": """
        local got
        Hook.register("after_session_save", function() got = State.get("agent:lua", "given") end)
        Session.save(Session.current())
        return {part = {(got or State.get("agent:lua", "given")):sub(3)}}
    """,
    "an error": 'error("it was " .. State.get("agent:lua", "given"))',
    "an error with a code": 'error({code = State.get("agent:lua", "given"), message = "no"})',
    "an error caught and given on": 'local _, e = pcall(error, State.get("agent:lua", "given")); error({message = e})',
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("rule", ["the key's", "the scope's"])
def test_a_script_that_ends_with_a_secret_leaves_none(end, rule, tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))

    async def work():
        async with await llmspell.open_async(tmp_path / "s") as store:
            state = store.state_of(llmspell.Scope.agent("lua"))
            if rule == "the scope's":
                await state.set_default_class("sensitive")
            await state.set("given", TOKEN, state_class=None if rule == "the scope's" else "sensitive")
            try:
                ran = await run_script(store, end, name="end.lua", timeout_s=WAIT_S)
                told = json.dumps(ran.value)
            except llmspell.ScriptFailed as error:
                told = f"{error} {error.code}"
            assert CANARY in told, "who runs it gets it"
            last = (await store.timeline(kinds=["run.finished", "run.failed"])).items[-1]
            record = await read_record(
                store.journal, await find_run(store.journal, last.data["id"]), await opening(store)
            )
            kept = record.finished or record.failed
            assert CANARY in repr(kept), "and so does who has the key"
            assert (await store.verify()).ok
            return last.data

    data = asyncio.run(work())
    assert "[REDACTED]" in (data.get("value"), *str(data.get("reason")).split(":"))
    assert leaks(tmp_path) == []


def test_a_code_that_a_script_made_of_a_secret_is_none_to_show_however_plain(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    end = 'error({code = State.get("agent:lua", "given"), message = "no"})'

    async def work():
        async with await llmspell.open_async(tmp_path / "s") as store:
            await store.state_of(llmspell.Scope.agent("lua")).set("given", "swordfish", state_class="sensitive")
            with pytest.raises(llmspell.ScriptFailed) as failed:
                await run_script(store, end, name="end.lua")
            assert failed.value.code == "swordfish", "who runs it gets it"

    asyncio.run(work())
    assert [where for where, content in contents(tmp_path) if b"swordfish" in content] == []


def test_a_resumed_run_knows_of_the_secret_of_an_earlier_attempt(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    source = 'local t = State.get("agent:lua", "given"); State.set("n", (State.get("n") or 0) + 1); {} return t'

    async def work():
        async with await llmspell.open_async(tmp_path / "s") as store:
            await store.state_of(llmspell.Scope.agent("lua")).set("given", TOKEN, state_class="sensitive")
            with pytest.raises(llmspell.ScriptFailed) as failed:
                await run_script(store, source.format('error("not yet: " .. t)'), name="end.lua")
            run = failed.value.details["run"]
            assert (await find_run(store.journal, run)).reason.startswith("[REDACTED]")
            again = await run_script(store, source.format(""), resume=run, changed_source=True)
            assert (again.value, await store.state.get("n")) == (TOKEN, 1)
            return run

    run = asyncio.run(work())
    assert leaks(tmp_path) == []
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "none"))

    async def without_key():
        async with await llmspell.open_async(tmp_path / "s") as store:
            last = (await store.timeline(kinds=["run.finished"])).items[-1]
            assert last.data["value"] == "[REDACTED]"
            found = await store.verify()
            assert (found.ok, found.checked["unopened_values"] > 2) == (True, True)
            with pytest.raises((llmspell.NotFound, llmspell.WrongKey)):
                await read_record(store.journal, await find_run(store.journal, run), await opening(store))

    asyncio.run(without_key())


def test_the_result_of_a_run_with_a_secret_goes_into_no_plain_bundle(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))

    async def work():
        async with (
            await llmspell.open_async(tmp_path / "s") as store,
            await llmspell.open_async(tmp_path / "t") as other,
        ):
            await store.state_of(llmspell.Scope.agent("lua")).set("given", TOKEN, state_class="sensitive")
            ran = await run_script(store, ENDS["a value"], name="end.lua")
            await store.sessions.export(ran.session_id, tmp_path / "bundle")
            await other.sessions.import_(tmp_path / "bundle")
            (last,) = (await other.timeline(kinds=["run.finished"])).items
            assert (last.data["value"], last.data["sealed"]) == ("[REDACTED]", "[REDACTED]")
            assert (await other.verify()).ok

    asyncio.run(work())
    assert leaks(tmp_path) == []


def test_a_run_without_a_secret_says_what_it_gave():
    async def work():
        async with await llmspell.open_async(":memory:") as store:
            await run_script(store, "return {1, 2}", name="end.lua")
            (last,) = (await store.timeline(kinds=["run.finished"])).items
            return last.data

    data = asyncio.run(work())
    assert data["value"] == [1, 2]
    assert "sealed" not in data


async def opening(store):
    (session,) = (await store.sessions.list()).items
    return store.protection.opening(f"session:{session.id}")


def test_the_search_finds_what_is_there(tmp_path):
    with llmspell.open(tmp_path / "s") as store:
        store.state.set("k", {"text": "the weather is fine today. " * 400, "token": TOKEN})
    assert any(where.startswith("entry") for where in leaks(tmp_path)), "in a compressed payload"
