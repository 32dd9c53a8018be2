"""A new store that cannot be opened leaves no folder behind, and gets in nobody's way."""

import asyncio
import threading

import pytest

import llmspell
from llmspell.adapters.sqlite.folder import QUEUE
from llmspell.adapters.sqlite.store import open_store
from llmspell.model.ids import SystemIds

DEADLINE_S = 60
REFUSED = {
    "a key file that is missing": {"key": "no key"},
    "a key file that is missing, of an encrypted store": {"key": "no key", "encrypt": True},
    "a key that is too short": {"key": b"short"},
    "a key that is too short, of an encrypted store": {"key": b"short", "encrypt": True},
    "a command that fails": {"key": ["false"]},
    "a command that fails, of an encrypted store": {"key": ["false"], "encrypt": True},
    "a policy that is none": {"secrets": "none"},
    "a durability that is none": {"durability": "never"},
}


def open_in_loop(path, **options):
    async def main():
        await (await llmspell.open_async(path, **options)).close()

    asyncio.run(main())


@pytest.mark.parametrize("opening", [llmspell.open, open_in_loop], ids=["threads", "asyncio"])
@pytest.mark.parametrize("options", REFUSED.values(), ids=REFUSED)
def test_a_new_store_that_is_refused_leaves_no_folder_that_it_made(options, opening, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    (tmp_path / "there").mkdir()
    for path in (tmp_path / "deep" / "down" / "s", tmp_path / "there"):
        with pytest.raises(llmspell.LlmspellError):
            opening(path, **options)
    assert {one.name for one in tmp_path.rglob("*")} <= {"there", "turnstile.lock", "keys"}
    llmspell.open(tmp_path / "there").close()


def test_a_key_that_is_given_is_read_once_when_a_store_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    command = ["sh", "-c", f"echo read >> {tmp_path}/log; printf '%064d' 7"]
    llmspell.open(tmp_path / "s", key=command).close()
    assert (tmp_path / "log").read_text() == "read\n"


def test_who_waited_while_another_gave_up_makes_the_store(tmp_path):
    path = tmp_path / "s"
    waits = threading.Event()

    class GivesUp:
        def make(self, store_id, folder):
            waits.set()
            for _ in range(DEADLINE_S * 100):
                if (path / QUEUE).exists():
                    break
                threading.Event().wait(0.01)
            raise llmspell.WrongKey("no key")

    def give_up():
        with pytest.raises(llmspell.WrongKey):
            open_store(path, SystemIds(), encrypt=True, vault=GivesUp())

    first = threading.Thread(target=give_up)
    first.start()
    assert waits.wait(DEADLINE_S)
    store = open_store(path, SystemIds())
    first.join(DEADLINE_S)
    assert store.created
    store.close()
    with llmspell.open(path, create=False) as again:
        assert again.id == store.store_id
