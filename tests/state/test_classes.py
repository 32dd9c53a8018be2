"""State classes: how a value is kept, seen in the journal, the files and after a restart."""

import pytest

import llmspell
from llmspell.errors import Conflict, Corrupt, InvalidInput, LimitExceeded, NotFound, Vetoed, WrongKey
from llmspell.hooks.results import Cancel
from llmspell.model.scope import Scope
from llmspell.model.values import encode_value
from llmspell.state import classes

CANARY = "canary-8c41f7"


def opened(tmp_path, **options):
    return llmspell.open(tmp_path / "s", durability="process", **options)


def entries(store, kind="state.set"):
    return [entry.data for entry in store.timeline(kinds=[kind], limit=1000)]


def bytes_of(*folders):
    return b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())


def test_an_ephemeral_value_is_in_no_entry_and_gone_with_the_handle(tmp_path):
    with opened(tmp_path) as store:
        before = store.stats()["last_seq"]
        assert store.state.set("e", {"x": CANARY}, state_class="ephemeral") == 0
        assert store.state.get("e") == {"x": CANARY}
        assert store.state_of(Scope.parse("global")).get("e") == {"x": CANARY}
        assert (store.state.keys(), store.state.items()) == (["e"], [("e", {"x": CANARY})])
        assert store.state.entry("e").state_class == "ephemeral"
        assert store.state.get_many(["e"]) == {"e": {"x": CANARY}}
        assert store.state.history("e") == []
        assert store.stats()["last_seq"] == before
    assert CANARY.encode() not in bytes_of(tmp_path)
    with opened(tmp_path) as store:
        assert store.state.get("e") is None


def test_ephemeral_values_are_copies_expire_and_can_be_deleted_and_cleared():
    with llmspell.open(":memory:") as store:
        value = {"a": [1]}
        store.state.set("e", value, state_class="ephemeral")
        value["a"].append(2)
        store.state.get("e")["a"].append(3)
        assert store.state.get("e") == {"a": [1]}
        assert store.state.set("e", 2) == 0, "it stays what it was"
        assert store.state.update("e", lambda old: old + 1) == 3
        assert store.state.delete("e")
        assert not store.state.exists("e")
        store.state.set("t", 1, state_class="ephemeral", ttl_s=1e-9)
        assert store.state.get("t", "gone") == "gone"
        store.state.set("b", 1)
        store.state.set("a", 1, state_class="ephemeral")
        store.state.set("c", 1, state_class="ephemeral")
        assert store.state.keys() == ["a", "b", "c"]
        assert store.state.keys(after="a", limit=1) == ["b"]
        assert store.state.clear() == 3
        assert store.state.keys() == []


def test_a_stored_key_does_not_become_ephemeral_and_ephemeral_keys_have_no_versions():
    with llmspell.open(":memory:") as store:
        store.state.set("k", 1)
        with pytest.raises(Conflict) as refused:
            store.state.set("k", 2, state_class="ephemeral")
        assert refused.value.code == "class-conflict"
        with pytest.raises(InvalidInput) as refused:
            store.state.set("e", 2, state_class="ephemeral", if_version=0)
        assert refused.value.code == "no-versions"
        with pytest.raises(InvalidInput) as refused:
            store.state.set_many({"a": 1}, state_class="ephemeral")
        assert refused.value.code == "ephemeral-batch"
        store.state.set("e", 1, state_class="ephemeral")
        assert store.state.set("e", 2, state_class="standard") == 1
        assert store.state.entry("e").state_class == "standard"


def test_a_new_key_of_a_handle_for_ephemeral_ones_is_updated_into_being():
    with llmspell.open(":memory:") as store:
        state = store.state_of(Scope.agent("a"), state_class="ephemeral")
        assert [state.update("n", lambda n: n + 1, default=0) for _ in range(2)] == [1, 2]
        assert state.entry("n").state_class == "ephemeral"
        assert state.history("n") == []


def test_ephemeral_keys_are_bounded(monkeypatch):
    monkeypatch.setattr("llmspell.model.limits.EPHEMERAL_KEYS_MAX", 3)
    with llmspell.open(":memory:") as store:
        for key in "abc":
            store.state.set(key, 1, state_class="ephemeral", ttl_s=1e-9 if key == "a" else None)
        store.state.set("d", 1, state_class="ephemeral")
        with pytest.raises(LimitExceeded) as refused:
            store.state.set("e", 1, state_class="ephemeral")
        assert refused.value.code == "too-many-ephemeral"


def test_before_hooks_are_not_asked_about_trusted_values():
    with llmspell.open(":memory:") as store:
        store.hooks.register("before_state_set", lambda _context: Cancel("no"))
        assert store.state.set("t", 1, state_class="trusted") == 1
        assert store.state.set("t", 2) == 2, "a key keeps its class"
        with pytest.raises(Vetoed):
            store.state.set("s", 1)
        assert entries(store)[0]["state_class"] == "trusted"


def test_a_sensitive_value_is_in_no_file_and_shows_redacted_everywhere_but_where_it_is_read(tmp_path, keys):
    seen = []
    with opened(tmp_path) as store:
        subscription = store.events.subscribe("state.*")
        store.hooks.register("before_state_set", lambda context: seen.append(context.data["value"]))
        assert store.state.set("p", {"pw": CANARY}, state_class="sensitive") == 1
        assert store.state.set("p", {"pw": CANARY + "2"}) == 2, "a key keeps its class"
        assert store.state.get("p") == {"pw": CANARY + "2"}
        assert [change.value for change in store.state.history("p")] == [{"pw": CANARY + "2"}, {"pw": CANARY}]
        events = [subscription.receive(timeout_s=5) for _ in range(2)]
        assert [event.data["value"] for event in events] == ["[REDACTED]"] * 2
        assert events[1].data["old_value"] == "[REDACTED]"
        assert [data["value"] for data in entries(store)] == ["[REDACTED]"] * 2
        assert CANARY not in str([entry.to_dict() for entry in store.timeline(limit=1000)])
    assert seen == [{"pw": CANARY}, {"pw": CANARY + "2"}], "hooks are asked about what is to be kept"
    assert CANARY.encode() not in bytes_of(tmp_path / "s", keys)
    with opened(tmp_path) as store:
        assert store.state.get("p") == {"pw": CANARY + "2"}
        assert store.state.items() == [("p", {"pw": CANARY + "2"})]
        assert store.verify().ok


def test_sensitive_values_move_and_copy_and_are_restored(tmp_path, keys):
    with opened(tmp_path) as store:
        there = store.state_of(Scope.agent("a"))
        store.state.set("p", CANARY, state_class="sensitive")
        store.state.set("n", 1)
        assert store.state.copy_to(there.scope) == 2
        assert there.items() == [("n", 1), ("p", CANARY)]
        assert there.entry("p").state_class == "sensitive"
        assert store.state.move_to(Scope.agent("b")) == 2
        assert store.state.keys() == []
        session = store.sessions.create("s")
        session.state.set("p", CANARY, state_class="sensitive")
        session.checkpoint("before")
        session.state.set("p", "other")
        session.restore("before")
        assert session.state.get("p") == CANARY
        assert session.state.entry("p").state_class == "sensitive"
    assert CANARY.encode() not in bytes_of(tmp_path / "s", keys)


def test_a_sealed_value_that_was_moved_to_another_key_is_refused(tmp_path):
    with opened(tmp_path) as store:
        store.state.set("mine", "a", state_class="sensitive")
        protection = store._inner.protection
        sealed = protection.sealing("global")("state/mine", b'"a"')
        assert protection.opening("global")("state/mine", sealed) == b'"a"'
        for scope, path in (("global", "state/yours"), ("agent:x", "state/mine")):
            with pytest.raises(Corrupt) as refused:
                protection.opening(scope)(path, sealed)
            assert refused.value.code == "sealed-mismatch"


def test_a_wrong_key_opens_nothing_and_a_missing_one_says_so(tmp_path, keys):
    with opened(tmp_path) as store:
        store.state.set("p", CANARY, state_class="sensitive")
        store.state.set("open", 1)

    def kept():
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".db-shm"}

    before = kept()
    with pytest.raises(WrongKey) as refused:
        opened(tmp_path, key=b"w" * 32)
    assert refused.value.exit_status == 12
    assert kept() == before
    keys.rename(tmp_path / "elsewhere")
    with opened(tmp_path) as store:
        assert store.state.get("open") == 1
        with pytest.raises(NotFound):
            store.state.get("p")


def test_a_key_of_the_callers_own_is_used_from_bytes_file_command_and_environment(tmp_path, monkeypatch):
    key = bytes(range(32))
    file = tmp_path / "master"
    file.write_text(key.hex())
    file.chmod(0o600)
    with opened(tmp_path, key=key) as store:
        store.state.set("p", CANARY, state_class="sensitive")
    for source in (key, file, str(file), ["cat", str(file)]):
        with opened(tmp_path, key=source) as store:
            assert store.state.get("p") == CANARY
    monkeypatch.setenv("LLMSPELL_KEY", key.hex())
    with opened(tmp_path) as store:
        assert store.state.get("p") == CANARY
    assert not list(tmp_path.rglob("*.key")), "no key is made where one was given"


def test_an_external_value_is_kept_without_its_secrets_and_the_answer_says_what_they_were(tmp_path):
    token = "ghp_" + "a1B2c3D4e5" * 4
    with opened(tmp_path) as store:
        version = store.state.set("x", {"password": CANARY, "text": f"use {token}"}, state_class="external")
        assert version == 1
        assert {found["path"] for found in version.redactions} == {"$.password", "$.text"}
        assert store.state.get("x") == {"password": "[REDACTED]", "text": "use [REDACTED]"}
        assert entries(store)[0]["redacted"] == list(version.redactions)
        store.state.set("x", {"password": CANARY})
        assert store.state.get("x") == {"password": "[REDACTED]"}, "a key keeps its class"
    kept = bytes_of(tmp_path / "s")
    assert CANARY.encode() not in kept
    assert token.encode() not in kept


@pytest.mark.parametrize("options", [{}, {"secrets": "warn"}])
@pytest.mark.parametrize("hooked", [False, True])
def test_an_external_value_in_which_nothing_was_found_says_so_too(options, hooked):
    with llmspell.open(":memory:", **options) as store:
        if hooked:
            store.hooks.register("before_state_set", lambda moment: None)
        versions = [
            store.state.set("x", "bees", state_class="external"),
            store.state.set("x", "more bees"),  # A key keeps its class.
            *store.state.set_many({"x": "bees", "y": {"password": CANARY}}, state_class="external").values(),
        ]
        found = [len(one.redactions) for one in versions if isinstance(one, llmspell.Written)]
        assert (versions, found) == ([1, 2, 3, 1], [0, 0, 0, 1])
        assert type(store.state.set("z", "bees")) is int


def test_the_version_that_an_external_value_got_is_one_to_compare_with():
    with llmspell.open(":memory:") as store:
        first = store.state.set("x", "bees", state_class="external")
        second = store.state.set("x", "more bees", if_version=first)
        with pytest.raises(llmspell.Conflict):
            store.state.set("x", "late bees", if_version=first)
        store.state.delete("x", if_version=second)
        with pytest.raises(llmspell.InvalidInput):
            store.state.set("x", "bees", if_version=True)


def test_external_values_have_narrower_limits():
    with llmspell.open(":memory:") as store:
        with pytest.raises(LimitExceeded) as refused:
            store.state.set("x", "y" * (1 << 20), state_class="external")
        assert refused.value.code == "value-too-large"
        deep = value = []
        for _ in range(32):
            value.append([])
            value = value[0]
        with pytest.raises(LimitExceeded) as refused:
            store.state.set("x", deep, state_class="external")
        assert refused.value.code == "value-depth"
        assert store.state.set("x", deep[0], state_class="external") == 1


@pytest.mark.parametrize("length", [10, 1 << 16], ids=["short", "long"])
def test_a_value_is_written_out_once_and_again_only_without_its_secrets(tmp_path, monkeypatch, length):
    written = []

    def encode(value, **bounds):
        written.append(value)
        return encode_value(value, **bounds)

    with opened(tmp_path, secrets="warn") as store:
        store.schemas.register({"name": "any", "version": "1.0.0", "value": "any"})
        store.schemas.bind("any", "1.0.0")
        plain = {"text": "x" * length}
        monkeypatch.setattr(classes, "encode_value", encode)
        for state_class in ("external", "standard", "sensitive", "trusted"):
            written.clear()
            store.state.set(state_class, plain, state_class=state_class)
            assert written == [plain], state_class
            assert store.state.get(state_class) == plain
        written.clear()
        store.state.set("found", {**plain, "password": CANARY}, state_class="external")
        assert written == [{**plain, "password": CANARY}, {**plain, "password": "[REDACTED]"}]


@pytest.mark.parametrize("policy", ["warn", "refuse", "protect"])
def test_secrets_in_standard_values_are_dealt_with_as_the_store_was_opened_to(tmp_path, policy, caplog):
    with opened(tmp_path, secrets=policy) as store:
        if policy == "refuse":
            with pytest.raises(InvalidInput) as refused:
                store.state.set("k", {"password": CANARY})
            assert refused.value.code == "secret-found"
            assert CANARY not in str(refused.value) + str(refused.value.details)
        else:
            store.state.set("k", {"password": CANARY})
            assert store.state.get("k") == {"password": CANARY}
            assert store.state.entry("k").state_class == ("sensitive" if policy == "protect" else "standard")
        assert store.state.set("plain", {"note": "the weather"}) == 1
        assert store.state.entry("plain").state_class == "standard"
    assert ("looks like a secret" in caplog.text) is (policy == "warn")
    assert CANARY not in caplog.text
    assert (CANARY.encode() in bytes_of(tmp_path / "s")) is (policy == "warn")


@pytest.mark.parametrize("policy", ["refuse", "protect"])
def test_the_state_a_session_begins_with_is_dealt_with_in_the_same_way(tmp_path, policy):
    with opened(tmp_path, secrets=policy) as store:
        if policy == "refuse":
            with pytest.raises(InvalidInput) as refused:
                store.sessions.create("s", state={"k": {"password": CANARY}})
            assert refused.value.code == "secret-found"
            assert store.sessions.list().items == []
        else:
            session = store.sessions.create("s", state={"k": {"password": CANARY}})
            assert session.state.entry("k").state_class == "sensitive"
            session.checkpoint("c")
            session.state.set("k", {"password": "another"})
            session.restore("c")
            assert session.state.get("k") == {"password": CANARY}
            assert session.state.entry("k").state_class == "sensitive"
        assert store.verify().ok
    assert CANARY.encode() not in bytes_of(tmp_path / "s")


def test_a_handle_may_have_a_class_of_its_own_for_new_keys():
    with llmspell.open(":memory:") as store:
        store.state.set("old", 1)
        guarded = store.state_of(Scope.parse("global"), state_class="external")
        guarded.set("old", {"password": "p"})
        guarded.set("new", {"password": "p"})
        assert store.state.entry("old").state_class == "standard"
        assert store.state.get("new") == {"password": "[REDACTED]"}
        memory = store.state_of(Scope.agent("a"), state_class="ephemeral")
        memory.set("k", 1)
        assert memory.entry("k").state_class == "ephemeral"


@pytest.mark.parametrize("wrong", ["secret", "", 1, "Sensitive "])
def test_a_class_that_is_none_is_refused(wrong):
    with llmspell.open(":memory:") as store:
        with pytest.raises(InvalidInput) as refused:
            store.state.set("k", 1, state_class=wrong)
        assert refused.value.code == "invalid-class"
        with pytest.raises(InvalidInput):
            store.state_of(Scope.agent("a"), state_class=wrong)
        assert store.state.keys() == []


def test_several_keys_set_together_keep_their_classes(tmp_path):
    with opened(tmp_path) as store:
        store.state.set("p", CANARY, state_class="sensitive")
        assert store.state.set_many({"a": 1, "p": CANARY + "3", "z": 2}) == {"a": 1, "p": 2, "z": 1}
        assert store.state.get_many(["a", "p", "z"]) == {"a": 1, "p": CANARY + "3", "z": 2}
        assert [store.state.entry(key).state_class for key in "apz"] == ["standard", "sensitive", "standard"]
    assert CANARY.encode() not in bytes_of(tmp_path / "s")


def test_a_flipped_class_is_damage_and_not_another_class(tmp_path):
    with opened(tmp_path) as store:
        store.state.set("p", "x", state_class="trusted")
        store._inner._files.engine.writer.execute("UPDATE state SET class = 'standard' WHERE key = 'p'")
        with pytest.raises(Corrupt):
            store.state.get("p")


def test_a_clear_that_is_refused_leaves_ephemeral_values_too():
    with llmspell.open(":memory:") as store:
        store.state.set("e", 1, state_class="ephemeral")
        store.state.set("k", 1)
        hook = store.hooks.register("before_state_clear", lambda _context: Cancel("no"))
        with pytest.raises(llmspell.Vetoed):
            store.state.clear()
        assert store.state.items() == [("e", 1), ("k", 1)]
        store.hooks.unregister(hook)
        assert (store.state.clear(), store.state.keys()) == (2, [])


def test_no_version_of_an_ephemeral_key_is_compared_when_it_is_deleted():
    with llmspell.open(":memory:") as store:
        store.state.set("e", 1, state_class="ephemeral")
        for version in (0, 1):
            with pytest.raises(llmspell.InvalidInput) as caught:
                store.state.delete("e", if_version=version)
            assert (caught.value.code, store.state.get("e")) == ("no-versions", 1)
        assert store.state.delete("e")
        assert not store.state.delete("e", if_version=0)


def test_ephemeral_values_go_with_the_session_that_is_deleted():
    with llmspell.open(":memory:") as store:
        session, other = store.sessions.create("s"), store.sessions.create("t")
        for one in (session, other):
            one.state.set("e", 1, state_class="ephemeral")
        store.sessions.delete(session.id)
        assert store.state_of(Scope.session(session.id)).items() == []
        other.complete()
        store.sessions.cleanup(llmspell.RetentionPolicy(max_count=0))
        assert store.state_of(Scope.session(other.id)).items() == []
