"""Values of bound keys meet their schema, by whatever way they are written; from every process's next write on."""

import subprocess
import sys

import pytest

import llmspell
from llmspell.errors import InvalidInput, NotFound
from llmspell.hooks.results import Modified
from llmspell.model.scope import Scope
from llmspell.schemas.checking import NESTED_MAX
from llmspell.schemas.field import Field
from llmspell.schemas.schema import Schema
from tests.registry.conftest import ONE, TWO, head

A, B = Scope.agent("a"), Scope.agent("b")
GOOD, BAD = {"text": "x"}, {"text": 5}
WAIT_S = 100


@pytest.fixture
def bound(store):
    store.schemas.register(ONE)
    store.schemas.bind("note", scope=A, prefix="notes/")
    return store


def mismatch(call):
    with pytest.raises(InvalidInput) as error:
        call()
    assert error.value.code == "schema-mismatch"
    return error.value


WAYS = {
    "set": lambda store: store.state_of(A).set("notes/1", BAD),
    "set sensitive": lambda store: store.state_of(A).set("notes/1", BAD, state_class="sensitive"),
    "set external": lambda store: store.state_of(A).set("notes/1", BAD, state_class="external"),
    "set_many": lambda store: store.state_of(A).set_many({"notes/0": GOOD, "notes/1": BAD}),
    "update": lambda store: store.state_of(A).update("notes/1", lambda _: BAD),
    "copy": lambda store: store.state_of(B).copy_to(A),
    "move": lambda store: store.state_of(B).move_to(A),
    "principal": lambda store: store.acting_as("agent:a").own.set("notes/1", BAD),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_writing_goes_past_a_schema(face, bound, way):
    bound.state_of(B).set("notes/1", BAD)
    bound.state_of(B).set("other", 1)
    for store in face.both(bound):
        before = head(store)
        error = mismatch(lambda store=store: WAYS[way](store))
        assert "$.text" in str(error)
        assert error.details["schema"] == "note"
        assert head(store) == before
        assert store.state_of(A).keys() == []


def test_good_values_of_every_class_are_written(bound):
    state = bound.state_of(A)
    for number, name in enumerate(["standard", "sensitive", "external"]):
        state.set(f"notes/{number}", GOOD, state_class=name)
    state.set("notes/trusted", BAD, state_class="trusted")
    state.set("notes/memory", BAD, state_class="ephemeral")
    state.set("other", BAD)
    assert len(state.keys()) == 6
    bound.state_of(B).set("notes/1", BAD)
    with pytest.raises(InvalidInput) as error:
        state.set("notes/9", float("nan"))
    assert error.value.code == "invalid-value"


def test_what_a_hook_makes_of_a_value_is_what_is_checked(bound):
    bound.hooks.register("before_state_set", lambda context: Modified({"value": GOOD}))
    bound.state_of(A).set("notes/1", BAD)
    assert bound.state_of(A).get("notes/1") == GOOD
    bound.hooks.register("before_state_set", lambda context: Modified({"value": BAD}))
    mismatch(lambda: bound.state_of(A).set("notes/1", GOOD))


def test_a_session_begins_and_is_set_back_only_to_what_its_schema_lets_pass(store):
    session = store.sessions.create("s", state={"k": BAD})
    session.checkpoint("c")
    session.state.set("k", GOOD)
    store.schemas.register(ONE)
    store.schemas.bind("note")
    before = head(store)
    mismatch(lambda: store.sessions.create("t", state={"k": BAD}))
    mismatch(lambda: session.restore("c"))
    assert head(store) == before
    assert store.sessions.create("t", state={"k": GOOD}).state.get("k") == GOOD


def test_the_most_specific_binding_holds(store):
    store.schemas.register(ONE)
    for name, kind in (("text", "string"), ("number", "integer")):
        store.schemas.register({"name": name, "version": "1.0.0", "value": kind})
    store.schemas.bind("note", prefix="a/b/")
    store.schemas.bind("text", prefix="a/")
    store.schemas.bind("number", scope=A)
    state = store.state
    state.set("a/b/1", GOOD)
    state.set("a/1", "text")
    state.set("free", [1])
    store.state_of(A).set("a/b/1", 5)
    mismatch(lambda: state.set("a/b/1", "text"))
    mismatch(lambda: state.set("a/1", GOOD))
    mismatch(lambda: store.state_of(A).set("a/b/1", GOOD))
    assert store.schemas.bound("a/b/1").name == "note"
    assert store.schemas.bound("a/b/1", scope=A).name == "number"
    assert store.schemas.bound("free") is None


def test_bindings_end_change_and_are_told_as_of_any_entry(face, bound):
    seq = head(bound)
    bound.schemas.register(TWO)
    again = bound.schemas.bind("note", "1.0.0", scope=A, prefix="notes/")
    assert again.version == "1.0.0"
    assert len(bound.timeline(kinds=["schema.bound"])) == 1
    bound.schemas.bind("note", scope=A, prefix="notes/")
    mismatch(lambda: bound.state_of(A).set("notes/1", {"text": "x", "stars": -1}))
    for store in face.both(bound):
        (one,) = store.schemas.bindings()
        assert (one.name, one.version, one.scope, one.prefix) == ("note", "1.1.0", "agent:a", "notes/")
        assert store.schemas.bound("notes/1", scope=A, seq=seq + 1).version == "1.0.0"
        assert store.schemas.bound("notes/1", scope=A, seq=0) is None
    store = face.reopen()
    assert store.schemas.unbind(scope=A, prefix="notes/")
    assert not store.schemas.unbind(scope=A, prefix="notes/")
    store.state_of(A).set("notes/1", BAD)
    assert store.verify().ok
    assert face.reopen().schemas.bindings() == []


def test_validators_are_functions_of_this_process_and_a_missing_one_is_named(face, store):
    store.schemas.register({"name": "even", "version": "1.0.0", "value": {"type": "integer", "validators": ["even"]}})
    store.schemas.bind("even", prefix="n")
    with pytest.raises(NotFound) as error:
        store.state.set("n", 2)
    assert error.value.code == "unknown-validator"
    store.schemas.validator("even", lambda value: value % 2 == 0 or "it is odd")
    store.state.set("n", 2)
    assert "odd" in str(mismatch(lambda: store.state.set("n", 3)))
    assert [one.code for one in store.schemas.check(3, "even")] == ["validator"]


def test_no_refusal_shows_the_value(bound):
    error = mismatch(lambda: bound.state_of(A).set("notes/1", {"text": ["hunter2"], "hunter2": 1}))
    assert "hunter2" not in str(error) + repr(error.details)


async def judge_later(_value):
    return True


@pytest.mark.parametrize("call", [
    lambda store: store.schemas.bind("note", prefix=5), lambda store: store.schemas.bind("note", prefix="x" * 300),
    lambda store: store.schemas.bind("note", prefix="e\u0301"),
    lambda store: store.schemas.bind("note", scope="agent:a"),
    lambda store: store.schemas.bind("note", "9.9.9"), lambda store: store.schemas.bind("nothing"),
    lambda store: store.schemas.unbind(prefix="\ud800"), lambda store: store.schemas.bound(".."),
    lambda store: store.schemas.bound("k", seq=-1), lambda store: store.schemas.validator("", print),
    lambda store: store.schemas.validator("x", None), lambda store: store.schemas.validator("x", judge_later),
])  # fmt: skip
def test_what_makes_no_sense_is_refused_and_writes_nothing(store, call):
    store.schemas.register(ONE)
    before = head(store)
    with pytest.raises((InvalidInput, NotFound)):
        call(store)
    assert head(store) == before


WRITER = """
import sys, llmspell
from llmspell.model.scope import Scope
with llmspell.open(sys.argv[1], durability="process") as store:
    state = store.state_of(Scope.agent("a"))
    way = {"set": lambda: state.set("notes/1", {"text": 5}),
           "set_many": lambda: state.set_many({"notes/1": {"text": 5}}),
           "copy": lambda: store.state_of(Scope.agent("b")).copy_to(Scope.agent("a")),
           "create": lambda: store.sessions.create("s", state={"notes/1": {"text": 5}})}[sys.argv[2]]
    way()
    print("written", flush=True)
    for line in sys.stdin:
        try:
            way()
            print("written", flush=True)
        except llmspell.LlmspellError as error:
            print(error.code, flush=True)
"""


@pytest.mark.crash
@pytest.mark.parametrize("way", ["set", "set_many", "copy", "create"])
def test_another_process_refuses_from_its_next_write_on(tmp_path, way):
    folder = str(tmp_path / "store")
    with llmspell.open(folder) as store:
        store.state_of(B).set("notes/1", BAD)
        store.schemas.register(ONE)
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, folder, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

        def tried():
            writer.stdin.write("write\n")
            writer.stdin.flush()
            return writer.stdout.readline().strip()

        try:
            assert writer.stdout.readline() == "written\n"
            assert tried() == "written"
            store.schemas.bind("note", prefix="notes/")
            assert tried() == "schema-mismatch"
            assert tried() == "schema-mismatch"
            store.schemas.unbind(prefix="notes/")
            assert tried() == "written"
        finally:
            writer.stdin.close()
            assert writer.wait(WAIT_S) == 0
            writer.stdout.close()
        assert store.verify().ok


def test_a_binding_without_a_version_takes_the_latest_release(store):
    for version in ("1.0.0", "1.1.0-beta.1"):
        store.schemas.register(ONE | {"version": version})
    assert store.schemas.bind("note", prefix="a/").version == "1.0.0"
    assert store.schemas.bind("note", "1.1.0-beta.1", prefix="b/").version == "1.1.0-beta.1"
    store.schemas.register(TWO)
    assert store.schemas.bind("note", prefix="a/").version == "1.1.0"


def test_a_binding_without_a_version_takes_the_latest_where_none_is_released(store):
    for version in ("1.0.0-alpha.1", "1.0.0-alpha.2"):
        store.schemas.register(ONE | {"version": version})
    assert store.schemas.bind("note").version == "1.0.0-alpha.2"
    with pytest.raises(NotFound):
        store.schemas.bind("nothing")


@pytest.mark.parametrize("prefix", ["..", "a/../b", "__x", "$$x", "a//", "a\\b", "a\nb", "a\x00"])
def test_a_prefix_that_no_key_begins_with_is_refused(store, prefix):
    store.schemas.register(ONE)
    begin = head(store)
    with pytest.raises(InvalidInput) as error:
        store.schemas.bind("note", prefix=prefix)
    assert error.value.code == "invalid-prefix"
    assert head(store) == begin
    assert not store.schemas.unbind(prefix=prefix)


@pytest.mark.parametrize("prefix", ["", "_", "$", "a.", "a/", "x" * 256])
def test_a_prefix_that_some_key_begins_with_is_bound(store, prefix):
    store.schemas.register(ONE)
    assert store.schemas.bind("note", prefix=prefix).prefix == prefix
    mismatch(lambda: store.state.set(prefix.ljust(3, "x"), BAD))


def test_a_validator_that_writes_what_it_judges_is_stopped():
    asked = []
    with llmspell.open(":memory:") as store:

        def judge(value):
            asked.append(value)
            store.state.set(f"n{len(asked)}", value)

        def first(value):
            return store.schemas.check(value, "m") == []

        def second(value):
            return store.schemas.check(value, "l") == []

        for name, validator in {"judge": judge, "first": first, "second": second}.items():
            store.schemas.validator(name, validator)
        store.schemas.register({"name": "n", "version": "1.0.0", "value": {"type": "any", "validators": ["judge"]}})
        store.schemas.register({"name": "l", "version": "1.0.0", "value": {"type": "any", "validators": ["first"]}})
        store.schemas.register({"name": "m", "version": "1.0.0", "value": {"type": "any", "validators": ["second"]}})
        store.schemas.bind("n", prefix="n")
        store.state.set("other", 1)  # What is bound is known from here on.
        with pytest.raises(InvalidInput) as caught:
            store.state.set("n", 1)
        assert caught.value.code == "schema-mismatch"
        assert (len(asked), store.state.keys()) == (2, ["other"])  # Once by what was known, once by what is bound now.
        assert [one.code for one in store.schemas.check(1, "l")] == ["validator"]


def test_nothing_is_bound_in_a_session_that_is_deleted(face, store):
    store.schemas.register(ONE)
    sessions = [store.sessions.create(name, state={"note": {"text": "x"}}) for name in "ab"]
    for session in sessions:
        for prefix in ("note", "more"):
            store.schemas.bind("note", "1.0.0", scope=Scope.session(session.id), prefix=prefix)
    store.sessions.delete(sessions[0].id)
    kept = Scope.session(sessions[1].id)
    for opened in face.both(store):
        assert {one.scope for one in opened.schemas.bindings()} == {kept.name}
        with pytest.raises(InvalidInput):
            opened.state_of(kept).set("note", {"text": 5})
    opened.schemas.unbind(scope=kept, prefix="more")
    assert opened.migrations.plan("note", "1.0.0").target.scope == kept.name
    assert opened.verify().ok


def test_a_validator_may_judge_the_parts_of_its_value_by_the_same_schema(store):
    """As those of a tree, which no schema describes to its end."""

    def branches(value):
        return not any(tree.check(one, validators={"branches": branches}) for one in value)

    tree = Schema("tree", "1.0.0", fields={"of": Field("list", validators=["branches"])})
    store.schemas.validator("branches", branches)
    store.schemas.register(tree)
    store.schemas.bind("tree", prefix="tree")
    store.state.set("tree", {"of": [{"of": [{"of": []}, {"of": []}]}]})
    mismatch(lambda: store.state.set("tree", {"of": [{"of": [{"of": []}, {"of": 5}]}]}))
    deep = {"of": []}
    for _ in range(NESTED_MAX):
        deep = {"of": [deep]}
    mismatch(lambda: store.state.set("tree", deep))
    store.state.set("tree", deep["of"][0])
