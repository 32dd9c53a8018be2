"""Every public method, each of its arguments in turn of every wrong type: refused by a code of ours, or taken."""

import inspect
import pathlib

import pytest

import llmspell
from llmspell import AgentState, CaptureRule, Schema, Scope
from llmspell.errors import MESSAGE_CHARS_MAX, LlmspellError
from llmspell.migration import Migration, Rename

ROOMS = {
    "sessions": lambda store, _: store.sessions,
    "session": lambda _, session: session,
    "artifacts": lambda store, _: store.artifacts,
    "session.artifacts": lambda _, session: session.artifacts,
    "captures": lambda store, _: store.captures,
    "session.captures": lambda _, session: session.captures,
    "migrations": lambda store, _: store.migrations,
    "schemas": lambda store, _: store.schemas,
    "access": lambda store, _: store.access,
    "agents": lambda store, _: store.agents,
    "state": lambda store, _: store.state,
    "events": lambda store, _: store.events,
    "hooks": lambda store, _: store.hooks,
    "sharing": lambda store, _: store.sharing,
    "store": lambda store, _: store,
}
LOOP: list = []
LOOP.append(LOOP)
WRONG = [
    None, 0, -1, 2**70, 10**5000, "", "\ud800", "a\0b", b"x", object(), [], {}, [None], [5], ["\ud800"], {"\ud800": 1},
    {1: 2}, {"a": object()}, ("a",), float("nan"), float("inf"), 1.5, True, print, Scope.agent("x"),
    pathlib.Path("/nowhere/\0"), LOOP,
]  # fmt: skip


def full_store():
    store = llmspell.open(":memory:")
    session = store.sessions.create("first")
    other = store.sessions.create("second")
    made = session.artifacts.put("a.txt", "hello"), session.artifacts.put("b.txt", "hallo")
    session.artifacts.put("a.txt", "hello again")
    session.checkpoint("early")
    store.state.set("k", 1)
    for version, field in (("1.0.0", "name"), ("2.0.0", "title")):
        store.schemas.register(Schema("person", version, {field: "string"}))
    store.schemas.bind("person", "1.0.0", prefix="person:")
    store.state.set("person:1", {"name": "x"})
    store.migrations.register(Migration("person", "1.0.0", "2.0.0", [Rename("name", "title")]))
    store.agents.save(AgentState("ag"))
    store.captures.set_rule(CaptureRule(name="r"))
    return store, session, other, made


def right(room, method, folder, store, session, other, made):
    """Arguments that fit, by their names."""
    one, another = (info.id for info in made)
    found = {
        "session_id": session.id, "a": session.id, "b": other.id, "path": str(folder / "out"), "name": "person",
        "to": "early", "label": "lab", "reason": "so", "count": 2, "policy": None, "fields": {}, "type": "a.b",
        "validator": print, "artifact": one, "name_or_id": one, "names_or_ids": [one], "old": 1, "new": 2,
        "kind": "derived_from", "other": another, "items": [{"name": "z", "data": "x"}], "version": 1, "content": "abc",
        "source": "tool", "rule": {"name": "q"}, "rules": [{"name": "q"}], "schema_name": "person",
        "to_version": "2.0.0", "id": session.id, "what": "person", "value": {"name": "x"}, "function": print,
        "migration": Migration("person", "2.0.0", "3.0.0", [Rename("name", "title")]),
        "schema": {"name": "n", "version": "1.0.0", "value": "string"}, "schemas": [], "key": "k",
        "principal": "agent:x", "scope": Scope.agent("y"), "rights": {"read"}, "boundary": "read-only",
        "agent_id": "ag", "role": "user", "tool": "t", "ms": 1.0, "state": AgentState("new"), "fn": lambda old: old,
        "data": "bytes", "session": other.id, "when": 1, "values": {"k": 1}, "keys": ["k"],
        "state_class": "trusted",
        "events": [{"type": "a.b"}], "pattern": "a.*", "point": "my.point", "callback": lambda _: None, "which": "x",
        "members": ["agent:x"], "stages": ["agent:x", "agent:y"], "artifact_id": one,
    }  # fmt: skip
    if "artifacts" in room:
        found |= {
            "name": "a.txt",
            "to": "c.txt",
            "path": str(folder / "given.zip") if method == "import_" else found["path"],
        }
    if room == "sessions" and method == "import_":
        found["path"] = str(folder / "given.bundle")
    if room == "schemas" and method == "compare":
        found |= {"old": "1.0.0", "new": "2.0.0"}
    if room == "store":
        found |= {"a": 1, "b": 2}
    if method in {"apply", "lazily"}:
        found["plan"] = store.migrations.plan("person", "2.0.0")
    if method == "lazily_agents":
        found["plan"] = store.migrations.plan("person", "2.0.0", from_version="1.0.0", agents=True)
    return found


@pytest.fixture
def folder(tmp_path):
    store, session, *_ = full_store()
    with store:
        store.sessions.export(session.id, tmp_path / "given.bundle")
        session.artifacts.export(tmp_path / "given.zip")
    return tmp_path


def methods_of(room):
    store, session, *_ = full_store()
    with store:
        owner = ROOMS[room](store, session)
        found = {name: getattr(owner, name) for name in dir(owner) if not name.startswith("_") and name != "close"}
        return {name: inspect.signature(one) for name, one in found.items() if callable(one)}


def tried(room, method, param, folder):
    """Each wrong value, with the error that it had; None when it was taken. The store is whole after the first such."""
    world, checked = None, False
    for value in WRONG:
        world = full_store() if world is None else world
        store, session, *_ = world
        call = getattr(ROOMS[room](store, session), method)
        fitting = right(room, method, folder, *world)
        given = {one.name: fitting[one.name] for one in inspect.signature(call).parameters.values() if needed(one)}
        try:
            call(**given | {param: value})
        except LlmspellError as error:
            yield value, error
        else:
            yield value, None
            with store:
                assert checked or store.verify().ok, (room, method, param)
            world, checked = None, True
    if world is not None:
        world[0].close()


def needed(param):
    return param.default is param.empty and param.kind not in {param.VAR_KEYWORD, param.VAR_POSITIONAL}


@pytest.mark.parametrize("room", ROOMS)
def test_no_argument_of_any_type_ends_in_an_error_that_is_not_ours(room, folder):
    for method, signature in methods_of(room).items():
        for param in signature.parameters.values():
            if param.kind in {param.VAR_KEYWORD, param.VAR_POSITIONAL}:
                continue
            for value, error in tried(room, method, param.name, folder):
                where = f"{room}.{method}({param.name}={type(value).__name__})"
                if param.annotation == "bool" and type(value) is not bool:
                    assert error is not None, f"{where} took what is neither True nor False"
                if error is not None:
                    assert error.code not in {"failed", "corrupt", "storage-failed"}, (where, str(error))
                    assert len(str(error).encode()) <= MESSAGE_CHARS_MAX, where
