"""The state room: what a key holds, which version it has, and what nobody can lose."""

import asyncio
import subprocess
import sys
import threading

import pytest

import llmspell
from llmspell.errors import Conflict, Corrupt, InvalidInput, LimitExceeded, LlmspellError
from llmspell.model import limits
from llmspell.model.scope import Scope
from tests.rooms.conftest import sql

LONG = "x" * (limits.STATE_INLINE_BYTES_MAX + 1)


def code(call):
    with pytest.raises(LlmspellError) as refused:
        call()
    return refused.value.code


# -- one key -----------------------------------------------------------------------------------------------------------


def test_what_was_set_comes_back_also_after_opening_again(face, store):
    values = {
        "null": None,
        "no": False,
        "int": 2**70,
        "float": -0.0,
        "text": "käse\n\0",
        "list": [1, [2]],
        "dict": {"": {}},
    }
    for key, value in values.items():
        assert store.state.set(key, value) == 1
    assert dict(store.state.items()) == values
    assert dict(face.reopen().state.items()) == values


def test_a_key_without_value_gives_the_default_and_null_is_a_value(store):
    assert store.state.get("a") is None
    assert store.state.get("a", 5) == 5
    assert not store.state.exists("a")
    assert store.state.entry("a") is None
    store.state.set("a", None)
    assert store.state.get("a", 5) is None
    assert store.state.exists("a")


def test_versions_count_from_one_and_go_on_after_a_deletion(store):
    assert [store.state.set("a", n) for n in range(3)] == [1, 2, 3]
    assert store.state.delete("a") is True
    assert store.state.delete("a") is False
    assert store.state.get("a") is None
    assert store.state.set("a", "again") == 5
    assert store.state.set("b", "other") == 1


def test_an_entry_tells_version_seq_and_times(store, clock):
    store.state.set("a", 1)
    version = store.state.set("a", 2, ttl_s=60)
    entry = store.state.entry("a")
    assert (entry.key, entry.value, entry.version) == ("a", 2, version)
    assert entry.seq == store.stats()["last_seq"]
    assert entry.updated_at.tzinfo is not None
    assert 59 < (entry.expires_at - entry.updated_at).total_seconds() < 61
    assert entry.to_dict()["updated_at"] == entry.updated_at.isoformat()


def test_a_value_is_its_callers_own(store):
    value = {"list": [1]}
    store.state.set("a", value)
    value["list"].append(2)
    got = store.state.get("a")
    got["list"].append(3)
    assert store.state.get("a") == {"list": [1]}


@pytest.mark.parametrize("text", ["short", LONG, "y" * 200_000])
def test_long_and_short_values_read_alike(face, store, text):
    store.state.set("a", text)
    store.state.set("b", "other")
    for opened in face.both(store):
        assert opened.state.get("a") == text
        assert opened.state.entry("a").value == text
        assert opened.state.get_many(["a", "b", "c"]) == {"a": text, "b": "other"}
        assert opened.state.items() == [("a", text), ("b", "other")]


def test_a_value_over_the_limit_is_refused_and_the_key_keeps_its_own(store):
    store.state.set("a", 1)
    with pytest.raises(LimitExceeded) as refused:
        store.state.set("a", "x" * limits.VALUE_BYTES_MAX)
    assert refused.value.code == "value-too-large"
    assert store.state.get("a") == 1


@pytest.mark.parametrize("value", [float("nan"), {1: 2}, (1,), {"a": {1}}, b"x", object()])
def test_what_is_no_json_value_is_refused_and_nothing_is_written(store, value):
    head = store.stats()["last_seq"]
    assert code(lambda: store.state.set("a", value)) == "invalid-value"
    assert code(lambda: store.state.set_many({"b": 1, "a": value})) == "invalid-value"
    assert store.stats()["last_seq"] == head


def test_a_key_is_one_key_in_whatever_form_it_is_typed(store):
    store.state.set("caf\u00e9", 1)
    assert store.state.get("cafe\u0301") == 1
    assert store.state.set("cafe\u0301", 2) == 2
    assert store.state.keys() == ["caf\u00e9"]


@pytest.mark.parametrize("call", ["get", "set", "delete", "exists", "entry", "history", "update"])
def test_every_operation_refuses_a_bad_key(store, call):
    extra = {"set": (1,), "update": (lambda value: value,)}.get(call, ())
    assert code(lambda: getattr(store.state, call)("../x", *extra)) == "invalid-key"


# -- compare and set ---------------------------------------------------------------------------------------------------


def test_a_set_with_the_version_it_relies_on_succeeds_and_with_another_changes_nothing(store):
    store.state.set("a", "one")
    assert store.state.set("a", "two", if_version=1) == 2
    with pytest.raises(Conflict) as refused:
        store.state.set("a", "three", if_version=1)
    assert refused.value.details == {"key": "a", "version": 2}
    assert store.state.get("a") == "two"


def test_version_zero_means_no_value(store, clock):
    assert store.state.set("a", 1, if_version=0) == 1
    assert code(lambda: store.state.set("a", 2, if_version=0)) == "conflict"
    store.state.delete("a")
    assert store.state.set("a", 3, if_version=0) == 3
    store.state.set("t", 1, ttl_s=5)
    clock.advance(10)
    assert store.state.set("t", 2, if_version=0) == 2


def test_a_delete_with_a_version_is_a_compare_and_set_too(store):
    store.state.set("a", 1)
    assert code(lambda: store.state.delete("a", if_version=7)) == "conflict"
    assert store.state.get("a") == 1
    assert store.state.delete("a", if_version=1) is True
    assert store.state.delete("a", if_version=0) is False
    assert code(lambda: store.state.delete("a", if_version=2)) == "conflict"


@pytest.mark.parametrize("version", [-1, 1.0, "1", True])
def test_a_version_that_is_none_is_refused(store, version):
    assert code(lambda: store.state.set("a", 1, if_version=version)) == "invalid-version"
    assert code(lambda: store.state.delete("a", if_version=version)) == "invalid-version"


def test_update_gives_and_stores_what_the_function_made(store):
    assert store.state.update("n", lambda value: value + 1, default=0) == 1
    assert store.state.update("n", lambda value: value + 1) == 2
    assert store.state.get("n") == 2


def test_update_hands_every_attempt_a_default_of_its_own(store):
    attempts = []

    def grow(value):
        attempts.append(list(value))
        if len(attempts) == 1:
            elsewhere.state.set("n", ["theirs"])
        elif len(attempts) == 2:
            elsewhere.state.delete("n")
        value.append("mine")
        return value

    with llmspell.open(store.path, durability="process") as elsewhere:
        assert store.state.update("n", grow, default=[]) == ["mine"]
    assert attempts == [[], ["theirs"], []]


def test_what_an_update_function_raises_reaches_the_caller_and_changes_nothing(store):
    store.state.set("n", 1)

    def refuse(value):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.state.update("n", refuse)
    assert store.state.entry("n").version == 1


# -- time to live ------------------------------------------------------------------------------------------------------


def test_a_value_is_gone_when_its_time_is_over_everywhere(face, store, clock):
    store.state.set("a", 1, ttl_s=10)
    store.state.set("b", 2)
    clock.advance(9)
    assert store.state.get("a") == 1
    clock.advance(2)
    for opened in face.both(store):
        assert opened.state.get("a") is None
        assert opened.state.entry("a") is None
        assert not opened.state.exists("a")
        assert opened.state.keys() == ["b"]
        assert opened.state.items() == [("b", 2)]
        assert opened.state.get_many(["a", "b"]) == {"b": 2}
        assert opened.state.delete("a") is False


def test_setting_again_without_a_time_keeps_the_value_for_ever(store, clock):
    store.state.set("a", 1, ttl_s=10)
    assert store.state.set("a", 2) == 2
    clock.advance(1000)
    assert store.state.get("a") == 2


def test_a_whole_batch_can_have_a_time_to_live(store, clock):
    store.state.set_many({"a": 1, "b": 2}, ttl_s=5)
    clock.advance(6)
    assert store.state.keys() == []


def test_clearing_counts_only_what_is_still_there(store, clock):
    store.state.set("gone", 1, ttl_s=5)
    store.state.set("here", 1)
    clock.advance(6)
    assert store.state.clear() == 1


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan"), float("inf"), "5", True, 10**18])
def test_a_time_to_live_that_is_none_is_refused(store, ttl_s):
    assert code(lambda: store.state.set("a", 1, ttl_s=ttl_s)) == "invalid-ttl"
    assert code(lambda: store.state.set_many({"a": 1}, ttl_s=ttl_s)) == "invalid-ttl"


# -- many keys ---------------------------------------------------------------------------------------------------------


def test_set_many_is_all_or_nothing(store):
    assert store.state.set_many({"a": 1, "b": [2]}) == {"a": 1, "b": 1}
    assert store.state.set_many({}) == {}
    head = store.stats()["last_seq"]
    assert code(lambda: store.state.set_many({"a": 5, "..": 1})) == "invalid-key"
    assert code(lambda: store.state.set_many({"a": 5, "c": {1: 1}})) == "invalid-value"
    assert store.stats()["last_seq"] == head
    assert dict(store.state.items()) == {"a": 1, "b": [2]}


def test_set_many_refuses_two_spellings_of_one_key_rather_than_dropping_a_value(store):
    assert code(lambda: store.state.set_many({"caf\u00e9": 1, "cafe\u0301": 2})) == "duplicate-key"
    assert store.state.keys() == []


def test_set_many_has_a_limit(store):
    with pytest.raises(LimitExceeded):
        store.state.set_many({str(n): n for n in range(limits.BATCH_KEYS_MAX + 1)})


def test_keys_are_listed_in_order_by_prefix_and_beyond(store):
    names = ["a", "a.b", "a/b", "ab", "b", "z\u00e9", "\U0001f600"]
    store.state.set_many({name: name.upper() for name in names})
    store.state.delete("ab")
    assert store.state.keys() == ["a", "a.b", "a/b", "b", "z\u00e9", "\U0001f600"]
    assert store.state.keys(prefix="a") == ["a", "a.b", "a/b"]
    assert store.state.keys(prefix="a", after="a.b") == ["a/b"]
    assert store.state.keys(limit=2) == ["a", "a.b"]
    assert store.state.keys(after="a.b", limit=2) == ["a/b", "b"]
    assert store.state.items(prefix="z") == [("z\u00e9", "Z\u00c9")]
    assert store.state.keys(prefix="nothing") == []
    assert store.state.keys(prefix="\U0010ffff") == []


def test_more_keys_than_one_page_are_all_listed_also_when_many_are_deleted(store):
    store.state.set_many({f"k{n:05}": n for n in range(2500)})
    for n in range(0, 2500, 50):
        store.state.delete(f"k{n:05}")
    expected = [f"k{n:05}" for n in range(2500) if n % 50]
    assert store.state.keys() == expected
    assert store.state.keys(limit=1700) == expected[:1700]
    assert [value for _, value in store.state.items(after="k01000")] == [n for n in range(1001, 2500) if n % 50]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(store, limit):
    assert code(lambda: store.state.keys(limit=limit)) == "invalid-limit"
    assert code(lambda: store.state.items(limit=limit)) == "invalid-limit"


def test_clear_takes_all_keys_of_its_scope_and_no_other(store):
    other = store.state_of(Scope.agent("a"))
    store.state.set_many({"x": 1, "y": 2})
    other.set("x", 3)
    assert store.state.clear() == 2
    assert store.state.clear() == 0
    assert store.state.keys() == []
    assert other.get("x") == 3


# -- scopes ------------------------------------------------------------------------------------------------------------


def test_scopes_do_not_see_each_other_whatever_their_ids_hold(store):
    scopes = [
        Scope.agent("a:b"), Scope.agent("a%3Ab"), Scope.step("a", "b"), Scope.step("a:b", "c"), Scope.step("a", "b:c"),
        Scope.workflow("a"), Scope.custom("agent:a:b"), Scope.user("a:b"), Scope.session("a:b"), Scope.hook("a:b"),
        Scope.tool("a:b"),
    ]  # fmt: skip
    for number, scope in enumerate(scopes):
        store.state_of(scope).set("key", number)
    assert [store.state_of(scope).get("key") for scope in scopes] == list(range(len(scopes)))
    assert store.state.get("key") is None


def test_copying_keeps_both_scopes_and_their_versions_apart(store, clock):
    mine, theirs = store.state_of(Scope.agent("a")), store.state_of(Scope.agent("b"))
    mine.set("k", 1)
    mine.set("k", 2)
    mine.set("long", LONG)
    mine.set("gone", 1, ttl_s=1)
    theirs.set("k", "old")
    theirs.set("own", 5)
    clock.advance(5)
    assert mine.copy_to(theirs.scope) == 2
    assert dict(theirs.items()) == {"k": 2, "long": LONG, "own": 5}
    assert theirs.entry("k").version == 2
    assert mine.entry("k").version == 2
    theirs.set("k", 3)
    assert mine.get("k") == 2


def test_a_copy_keeps_the_time_to_live(store, clock):
    store.state.set("k", 1, ttl_s=10)
    other = store.state_of(Scope.agent("b"))
    store.state.copy_to(other.scope)
    clock.advance(11)
    assert other.get("k") is None


def test_moving_leaves_nothing_behind(store):
    mine, theirs = store.state_of(Scope.agent("a")), store.state_of(Scope.agent("b"))
    mine.set_many({"a": 1, "b": LONG})
    assert mine.move_to(theirs.scope) == 2
    assert mine.keys() == []
    assert dict(theirs.items()) == {"a": 1, "b": LONG}
    assert mine.set("a", 1) == 3


def test_a_scope_is_not_copied_or_moved_onto_itself(store):
    assert code(lambda: store.state.copy_to(Scope.of("global"))) == "same-scope"
    assert code(lambda: store.state.move_to(Scope.of("global"))) == "same-scope"


@pytest.mark.parametrize("call", ["delete", "clear", "copy_to", "move_to", "get", "keys", "history"])
def test_nothing_changes_without_an_entry_not_even_a_scope(face, store, call):
    before = list(sql(face, store)("SELECT * FROM scope"))
    empty = store.state_of(Scope.agent("never-written"))
    args = {"delete": ("k",), "get": ("k",), "history": ("k",)}.get(call, ())
    if call.endswith("_to"):
        args = (Scope.agent("neither"),)
    assert not getattr(empty, call)(*args)
    assert list(sql(face, store)("SELECT * FROM scope")) == before


# -- history -----------------------------------------------------------------------------------------------------------


def test_history_tells_every_change_newest_first_page_by_page(store):
    for n in range(5):
        store.state.set("a", n)
        store.state.set("other", n)
    store.state.delete("a")
    store.state.set("a", "back")
    changes = store.state.history("a")
    assert [(change.operation, change.value, change.version) for change in changes] == [
        ("set", "back", 7), ("deleted", None, 6), *(("set", n, n + 1) for n in reversed(range(5))),
    ]  # fmt: skip
    pages, before = [], None
    while page := store.state.history("a", limit=3, before=before):
        pages.append([change.version for change in page])
        before = page[-1].seq
    assert pages == [[7, 6, 5], [4, 3, 2], [1]]
    assert store.state.history("never") == []
    assert changes[0].to_dict()["operation"] == "set"


def test_history_says_in_which_session_a_change_was_made(store):
    with store.session("s") as session:
        store.state.set("a", 1)
    assert store.state.history("a")[0].session == session.id


# -- contention --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["process", "full"])
def test_sixty_four_tasks_that_update_one_key_lose_nothing(tmp_path, durability):
    async def main():
        async with await llmspell.open_async(tmp_path / "s", durability=durability) as store:
            await asyncio.gather(*(store.state.update("n", lambda value: value + 1, default=0) for _ in range(64)))
            return await store.state.entry("n")

    entry = asyncio.run(main())
    assert (entry.value, entry.version) == (64, 64)


def test_eight_threads_that_update_one_key_lose_nothing(tmp_path):
    with llmspell.open(tmp_path / "s", durability="process") as store:

        def work():
            for _ in range(25):
                store.state.update("n", lambda value: value + 1, default=0)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.state.entry("n").version == store.state.get("n") == 200
        assert store.verify().ok


def test_threads_on_a_store_in_memory_never_see_half_a_batch():
    with llmspell.open(":memory:") as store:
        store.state.set_many({"a": 0, "b": 0})
        stop, torn = threading.Event(), []

        def look():
            while not stop.is_set():
                seen = store.state.get_many(["a", "b"])
                if seen["a"] != seen["b"]:
                    torn.append(seen)

        looker = threading.Thread(target=look)
        looker.start()
        for n in range(1, 300):
            store.state.set_many({"a": n, "b": n})
        stop.set()
        looker.join()
        assert torn == []


CHILD = """
import sys, llmspell
with llmspell.open(sys.argv[1], durability="process") as store:
    for line in sys.stdin:
        print(store.state.update("n", lambda value: value + 1), flush=True)
"""


def test_two_processes_see_each_others_writes_at_once(face, store):
    store.state.set("n", 0)
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(store.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        for expected in range(1, 20, 2):
            assert store.state.update("n", lambda value: value + 1) == expected
            other.stdin.write("go\n")
            other.stdin.flush()
            assert int(other.stdout.readline()) == expected + 1
            assert store.state.get("n") == expected + 1
        other.stdin.close()
        assert other.wait(30) == 0


# -- damage ------------------------------------------------------------------------------------------------------------

DAMAGE = {
    "version": "version = version + 1",
    "seq": "seq = seq - 1",
    "at": "at = at + 1",
    "expires_at": "expires_at = 9223372036854775807",
    "value": "value = '\"other\"'",
    "value-type": "value = NULL",
    "check_sum": "check_sum = check_sum + 1",
}


@pytest.mark.parametrize("column", sorted(DAMAGE))
def test_a_row_with_a_flipped_field_is_never_served(face, store, column):
    store.state.set("other", 1)
    store.state.set("a", "value")
    sql(face, store)(f"UPDATE state SET {DAMAGE[column]} WHERE key = 'a'")  # noqa: S608 - the table above
    for read in (
        lambda: store.state.get("a"),
        lambda: store.state.entry("a"),
        store.state.items,
        store.state.keys,
        lambda: store.state.get_many(["a"]),
    ):
        with pytest.raises(Corrupt) as refused:
            read()
        assert refused.value.details["key"] == "a"
    assert store.state.get("other") == 1
    report = store.verify()
    assert not report.ok
    assert any(finding.where == "state" and "'a'" in finding.what for finding in report.findings)


def test_a_row_that_damage_hides_is_missed_by_a_point_read_and_by_verify(face, store):
    store.state.set("a", "value")
    sql(face, store)("UPDATE state SET deleted = 1 WHERE key = 'a'")
    for read in (lambda: store.state.get("a"), lambda: store.state.entry("a"), lambda: store.state.get_many(["a"])):
        with pytest.raises(Corrupt):
            read()
    assert not store.verify().ok


def test_a_long_value_whose_entry_is_damaged_is_never_served(face, store):
    store.state.set("a", LONG)
    seq = store.state.entry("a").seq
    sql(face, store)("UPDATE entry SET at = at + 1 WHERE seq = ?", (seq,))
    for read in (lambda: store.state.get("a"), lambda: store.state.history("a"), store.state.items):
        with pytest.raises(Corrupt) as refused:
            read()
        assert refused.value.details["seq"] == seq
    assert store.state.keys() == ["a"], "its key is still known"


def test_a_damaged_old_value_does_not_make_a_committed_write_look_failed(face, store):
    seen = store.events.subscribe("state.*")
    store.state.set("a", "one")
    assert seen.receive(timeout_s=30).data["value"] == "one"
    sql(face, store)("UPDATE entry SET clock = clock + 1 WHERE seq = (SELECT max(seq) FROM entry)")
    assert store.state.set("a", "two") == 2
    with pytest.raises(Corrupt):
        seen.receive(timeout_s=30)
    assert store.state.get("a") == "two"


def test_reading_a_key_of_a_wrong_type_is_refused(store):
    with pytest.raises(InvalidInput):
        store.state.get(5)
    assert code(lambda: store.state.keys(prefix=5)) == "invalid-prefix"
