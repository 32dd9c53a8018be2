"""Long values are looked through for secrets on a thread, so that an event loop goes on; short ones at once."""

import asyncio
import threading

import pytest

import llmspell

TOKEN = "ghp_" + "a1B2c3D4e5F6" * 3
LONG = "bees fly " * 4000
KEY = bytes(range(32))


class Watched(llmspell.Redactor):
    """Remembers where it looked for secrets."""

    def __init__(self):
        super().__init__()
        self.threads = []

    def redact(self, value):
        self.threads.append(threading.current_thread())
        return super().redact(value)


async def external(store, text):
    await store.state.set("k", {"text": text}, state_class="external")
    return (await store.state.get("k"))["text"]


async def several(store, text):
    await store.state.set_many({"a": "short", "k": text}, state_class="external")
    return await store.state.get("k")


async def standard(store, text):
    await store.state.set("k", text)
    assert (await store.state.entry("k")).state_class == "sensitive"
    return text.replace(TOKEN, "[REDACTED]")


async def said(store, text):
    await store.agents.save(llmspell.AgentState("a"))
    await store.agents.append("a", "user", text)
    return (await store.agents.messages("a"))[0].content


async def saved(store, text):
    state = llmspell.AgentState("a", custom_data={"text": text})
    state.conversation.append(llmspell.AgentMessage("user", text))
    await store.agents.save(state)
    found = await store.agents.load("a")
    assert found.conversation[0].content == found.custom_data["text"]
    return found.custom_data["text"]


WRITES = [external, several, standard, said, saved]


def written(tmp_path, write, text):
    redactor = Watched()

    async def run():
        options = {"durability": "none", "redactor": redactor, "secrets": "protect"}
        async with await llmspell.open_async(tmp_path / "s", **options) as store:
            return await write(store, text)

    return asyncio.run(run()), redactor.threads


@pytest.fixture(autouse=True)
def keys(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))


@pytest.mark.parametrize("write", WRITES)
def test_a_long_value_is_looked_through_away_from_the_event_loop(tmp_path, write):
    kept, threads = written(tmp_path, write, f"{LONG} {TOKEN} {LONG}")
    assert kept == f"{LONG} [REDACTED] {LONG}"
    assert threads[-1] is not threading.main_thread()


@pytest.mark.parametrize("write", WRITES)
def test_a_short_value_is_looked_through_at_once(tmp_path, write):
    kept, threads = written(tmp_path, write, f"use {TOKEN} now")
    assert kept == "use [REDACTED] now"
    assert {*threads} == {threading.main_thread()}


def test_a_long_value_that_is_changed_while_it_is_looked_through_is_kept_as_it_was_given(tmp_path):
    given_list: list[object] = [1]
    value = {"text": LONG, "list": given_list}

    class Meddling(llmspell.Redactor):
        def redact(self, given):
            given_list.append(TOKEN)
            return super().redact(given)

    async def run():
        async with await llmspell.open_async(tmp_path / "s", durability="none", redactor=Meddling()) as store:
            await store.state.set("k", value, state_class="external")
            return await store.state.get("k")

    assert asyncio.run(run()) == {"text": LONG, "list": [1]}


@pytest.mark.parametrize("text", ["short", LONG])
def test_a_store_keeps_a_keyed_digest_in_the_place_of_each_secret_when_its_redactor_has_a_key(tmp_path, text):
    with llmspell.open(tmp_path / "s", durability="none", redactor=llmspell.Redactor(digest_key=KEY)) as store:
        store.state.set("a", {"text": f"{text} {TOKEN}"}, state_class="external")
        store.state.set("b", {"header": TOKEN, "password": "swordfish"}, state_class="external")
        store.agents.save(llmspell.AgentState("a", custom_data={"note": TOKEN}))
        digest = store.state.get("b")["header"]
        assert digest.startswith("[REDACTED:")
        assert store.state.get("a") == {"text": f"{text} {digest}"}
        assert store.agents.load("a").custom_data == {"note": digest}
        assert store.state.get("b")["password"] not in (digest, "[REDACTED]")
        assert [entry.data["value"] for entry in store.timeline(kinds=["state.set"])][1]["header"] == digest
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert TOKEN.encode() not in kept
    assert KEY not in kept
