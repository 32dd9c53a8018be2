"""What an agent said is kept without its secrets."""

import llmspell

CANARY = "canary-2f90b1"


def test_secrets_in_an_agents_record_are_in_no_file(tmp_path):
    token = "ghp_" + "a1B2c3D4e5" * 4
    with llmspell.open(tmp_path / "s", durability="process") as store:
        state = llmspell.AgentState("a", custom_data={"password": CANARY})
        state.context_variables["note"] = f"use {token}"
        store.agents.save(state)
        store.agents.append("a", "user", f"my password is {CANARY}!7")
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert CANARY.encode() not in kept
    assert token.encode() not in kept
    with llmspell.open(tmp_path / "s") as store:
        found = store.agents.load("a")
        assert found.custom_data == {"password": "[REDACTED]"}
        assert [message.content for message in store.agents.messages("a")] == ["my password is [REDACTED]"]
