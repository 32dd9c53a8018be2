"""What the rooms import costs nothing until it is used."""

import asyncio
import json
import subprocess
import sys
import threading

import llmspell

MODULES = ("export", "keyring", "keys", "marks", "sealing", "sources", "user_key")


def test_importing_security_loads_no_cryptography_and_no_platform_folders():
    code = (
        "import json, sys\nbefore = set(sys.modules)\n"
        + "".join(f"import llmspell.security.{name}\n" for name in MODULES)
        + "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - before})))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {"cryptography", "platformdirs", "asyncio"} & set(json.loads(ran.stdout))


def test_an_event_loop_does_not_wait_while_the_first_key_of_a_scope_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMSPELL_KEYS", str(tmp_path / "keys"))
    made_in = []

    async def work():
        async with await llmspell.open_async(tmp_path / "s") as store:
            sealer = store.protection.sealer.sealer()
            prepare = sealer.prepare
            monkeypatch.setattr(
                sealer, "prepare", lambda scope: (made_in.append(threading.current_thread()), prepare(scope))
            )
            await store.state.set("p", "hunter2", state_class="sensitive")
            await store.state.set("q", "hunter2", state_class="sensitive")
            assert await store.state.get("q") == "hunter2"

    asyncio.run(work())
    assert len(made_in) == 1
    assert made_in[0] is not threading.main_thread()
