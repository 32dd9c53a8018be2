"""Every operation through both faces, on stores given the same ids and the same clock: equal results, equal bytes."""

import pytest

import llmspell
from llmspell import RetentionPolicy
from llmspell.errors import LlmspellError
from llmspell.model.clock import ManualClock
from llmspell.model.ids import SequentialIds
from llmspell.model.scope import Scope
from tests.faces.test_signatures import METHODS
from tests.rooms.conftest import FACES

LARGE = bytes(range(256)) * 1000
WAIT_S = 30


def plain(value):
    """A result in JSON types."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, llmspell.Page):
        return [[plain(item) for item in value.items], value.next_cursor]
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "info"):
        return plain(value.info)
    return value


def content(store):
    return store.sessions.open("s").artifacts.get("large.bin")


def bundled(store):
    """All but the path, which is another for each face."""
    report = SESSION(store).artifacts.export(store.path.parent / "artifacts.zip", name="large*", overwrite=True)
    return {**report.to_dict(), "path": ""}


def progress(run):
    told = []
    run(lambda *numbers: told.append(list(numbers)))
    return told


def subscribed(store):
    with store.events.subscribe("state.*") as seen:
        store.state.set("watched", 1)
        event = seen.receive(timeout_s=WAIT_S)
    return event.type, event.data, event.seq, str(event.position)


def correlated(store):
    with store.correlate("work") as correlation:
        store.state.set("c", 1)
    return correlation


def block(store):
    with store.session("block", tags=["b"]) as session:
        store.state.set("in-block", 1)
    return session.refresh()


def refused(call):
    with pytest.raises(LlmspellError) as error:
        call()
    return error.value.code, error.value.message, error.value.details


def agent(name, number):
    state = llmspell.AgentState(name, agent_type="t", context_variables={"n": number})
    state.conversation = [llmspell.AgentMessage("user", n) for n in range(number)]
    return state


def saved(store):
    state = agent("a", 3)
    versions = [store.agents.save(state)]
    state.conversation.insert(1, llmspell.AgentMessage("system", "between"))
    return [*versions, store.agents.save(state), state, refused(lambda: store.agents.save(agent("a", 1)))]


def received(store):
    with store.acting_as("agent:q").events.subscribe("told") as seen:
        store.acting_as("agent:p").sharing.broadcast("told", {"n": 1}, ["agent:q"])
        event = seen.receive(timeout_s=WAIT_S)
    return event.type, event.data, event.source, event.target


def answered(store):
    q = store.acting_as("agent:q")
    with q.events.subscribe("ask", from_position="start") as questions:
        return q.sharing.respond(questions.receive(timeout_s=WAIT_S), "an answer")


def P(store, name):  # noqa: N802 - a principal
    return refused(lambda: store.acting_as(name).state_of(Scope.agent("a")).get("k"))


def exported(store):
    told = store.sessions.export("s", store.path.parent / "bundle", overwrite=True).to_dict()
    return {name: told[name] for name in ("entries", "contents", "left_out", "redacted")}


NOTE = {"name": "note", "version": "1.0.0", "value": {"type": "object", "fields": {"text": "string"}}}
SESSION = lambda store: store.sessions.open("s")
# In this order; each through its own name.
OPERATIONS = {
    "AsyncSessions.create": lambda store: store.sessions.create("s", tags=["t"], metadata={"m": 1}, state={"a": 1}),
    "AsyncSessions.open": SESSION,
    "AsyncSessions.get": lambda store: store.sessions.get("s"),
    "AsyncSessions.list": lambda store: store.sessions.list(limit=1, text="s", metadata={"m": 1}),
    "AsyncSessions.count": lambda store: [store.sessions.count(), store.sessions.count(tags=["t"], exact=True)],
    "AsyncSessions.recent": lambda store: store.sessions.recent(1),
    "AsyncSessions.children": lambda store: store.sessions.children("s"),
    "AsyncSessions.parents": lambda store: store.sessions.parents("s"),
    "AsyncSessions.tree": lambda store: store.sessions.tree("s"),
    "AsyncStore.state_of": lambda store: store.state_of(Scope.agent("a")).set("k", 1),
    "AsyncStore.correlate": correlated,
    "AsyncStore.session": block,
    "AsyncState.set": lambda store: [store.state.set("k", n) for n in range(3)],
    "AsyncState.get": lambda store: [store.state.get("k"), store.state.get("none", 5)],
    "AsyncState.entry": lambda store: store.state.entry("k"),
    "AsyncState.exists": lambda store: store.state.exists("k"),
    "AsyncState.delete": lambda store: [store.state.delete("k"), store.state.delete("k")],
    "AsyncState.update": lambda store: store.state.update("n", lambda value: value + 1, default=4),
    "AsyncState.history": lambda store: store.state.history("k"),
    "AsyncState.set_many": lambda store: store.state.set_many({"x": 1, "y": "long" * 1000}),
    "AsyncState.get_many": lambda store: store.state.get_many(["x", "y", "z"]),
    "AsyncState.keys": lambda store: store.state.keys(prefix="x"),
    "AsyncState.items": lambda store: store.state.items(),
    "AsyncState.copy_to": lambda store: store.state.copy_to(Scope.tool("t")),
    "AsyncState.move_to": lambda store: store.state_of(Scope.tool("t")).move_to(Scope.tool("u")),
    "AsyncState.set_default_class": lambda store: store.state_of(Scope.tool("u")).set_default_class("trusted"),
    "AsyncState.default_class": lambda store: store.state_of(Scope.tool("u")).default_class(),
    "AsyncState.clear": lambda store: store.state_of(Scope.tool("u")).clear(),
    "AsyncArtifacts.add_validator": lambda store: store.artifacts.add_validator("code", lambda fields, data: None),
    "AsyncArtifacts.put": lambda store: [
        SESSION(store).artifacts.put("f.txt", "one", type="code"),
        SESSION(store).artifacts.put("f.txt", "two"),
        SESSION(store).artifacts.put("large.bin", iter([LARGE, LARGE])),
        progress(lambda tell: SESSION(store).artifacts.put("large.bin", [LARGE] * 3, progress=tell)),
    ],
    "AsyncArtifacts.get": lambda store: SESSION(store).artifacts.get("f.txt").text(),
    "AsyncArtifacts.info": lambda store: SESSION(store).artifacts.info("f.txt", version=1),
    "AsyncArtifacts.versions": lambda store: SESSION(store).artifacts.versions("f.txt"),
    "AsyncArtifacts.list": lambda store: SESSION(store).artifacts.list(all_versions=True, limit=2),
    "AsyncArtifacts.diff": lambda store: SESSION(store).artifacts.diff("f.txt", 1),
    "AsyncArtifacts.tag_version": lambda store: SESSION(store).artifacts.tag_version("f.txt", 1, "v1"),
    "AsyncArtifacts.labels": lambda store: SESSION(store).artifacts.labels("f.txt"),
    "AsyncArtifacts.restore_version": lambda store: SESSION(store).artifacts.restore_version("f.txt", "v1"),
    "AsyncArtifacts.query": lambda store: store.artifacts.query(text="f txt", limit=1),
    "AsyncArtifacts.count": lambda store: store.artifacts.count(type="data"),
    "AsyncArtifacts.relate": lambda store: SESSION(store).artifacts.relate("f.txt", "depends_on", "large.bin"),
    "AsyncArtifacts.relations": lambda store: SESSION(store).artifacts.relations("f.txt"),
    "AsyncArtifacts.ancestors": lambda store: SESSION(store).artifacts.ancestors("f.txt"),
    "AsyncArtifacts.descendants": lambda store: SESSION(store).artifacts.descendants("large.bin"),
    "AsyncArtifacts.lineage": lambda store: SESSION(store).artifacts.lineage("f.txt"),
    "AsyncArtifacts.unrelate": lambda store: SESSION(store).artifacts.unrelate("f.txt", "depends_on", "large.bin"),
    "AsyncArtifacts.grant": lambda store: SESSION(store).artifacts.grant("f.txt", store.sessions.create("guest").id),
    "AsyncArtifacts.grants": lambda store: SESSION(store).artifacts.grants("f.txt"),
    "AsyncArtifacts.granted": lambda store: store.sessions.open("guest").artifacts.granted(),
    "AsyncArtifacts.revoke": lambda store: SESSION(store).artifacts.revoke("f.txt", store.sessions.get("guest").id),
    "AsyncArtifacts.audit": lambda store: SESSION(store).artifacts.audit("f.txt"),
    "AsyncArtifacts.export": bundled,
    "AsyncArtifacts.import_": lambda store: SESSION(store).artifacts.import_(
        store.path.parent / "artifacts.zip", on_conflict="rename"
    ),
    "AsyncArtifacts.rename": lambda store: SESSION(store).artifacts.rename("large (2).bin", "tree"),
    "AsyncArtifacts.history": lambda store: SESSION(store).artifacts.history("tree"),
    "AsyncArtifacts.delete_tree": lambda store: SESSION(store).artifacts.delete_tree("tree"),
    "AsyncArtifacts.update": lambda store: SESSION(store).artifacts.update("f.txt", tags=["u"]),
    "AsyncContent.read": lambda store: len(content(store).read()),
    "AsyncContent.text": lambda store: refused(lambda: content(store).text()),
    "AsyncContent.json": lambda store: refused(lambda: content(store).json())[0],
    "AsyncContent.stream": lambda store: [len(piece) for piece in content(store).stream(100_000)],
    "AsyncContent.range": lambda store: list(content(store).range(1000, 20)),
    "AsyncArtifacts.delete": lambda store: SESSION(store).artifacts.delete("f.txt", version=1),
    "AsyncArtifacts.put_many": lambda store: [
        item.to_dict()
        for item in SESSION(store)
        .artifacts.put_many(
            [
                {"name": "m.txt", "data": "1"},
                {"name": "../m", "data": ""},
                {"name": "m.txt", "data": "2"},
            ]
        )
        .items
    ],
    "AsyncArtifacts.get_many": lambda store: [
        item.to_dict() for item in SESSION(store).artifacts.get_many(["m.txt", "no"]).items
    ],
    "AsyncArtifacts.undelete": lambda store: SESSION(store).artifacts.undelete("f.txt", version=1),
    "AsyncArtifacts.deleted": lambda store: [
        SESSION(store).artifacts.delete("m.txt", version=1),
        SESSION(store).artifacts.deleted(),
    ],
    "AsyncArtifacts.delete_matching": lambda store: SESSION(store).artifacts.delete_matching(name="m.*", hard=True),
    "AsyncArtifacts.set_quota": lambda store: SESSION(store).artifacts.set_quota(versions_max=100),
    "AsyncCaptures.set_rules": lambda store: [
        store.captures.set_rules([{"name": "all"}]),
        SESSION(store).captures.set_rules([{"name": "mine"}]),
    ],
    "AsyncCaptures.set_rule": lambda store: SESSION(store).captures.set_rule({"name": "first"}, before="mine"),
    "AsyncCaptures.remove_rule": lambda store: SESSION(store).captures.remove_rule("mine"),
    "AsyncCaptures.rules": lambda store: SESSION(store).captures.rules(inherited=True),
    "AsyncCaptures.rule_for": lambda store: store.captures.rule_for(source="tool"),
    "AsyncCaptures.offer": lambda store: [
        SESSION(store).captures.offer("an output", source="tool"),
        SESSION(store).captures.offer(iter([LARGE]), source="agent", name="long"),
        SESSION(store).captures.offer({"n": 1}, source="user", record=True),
    ],
    "AsyncCaptures.counts": lambda store: SESSION(store).captures.counts(),
    "AsyncCaptures.unseal": lambda store: refused(lambda: SESSION(store).captures.unseal("tool/output")),
    "AsyncArtifacts.quota": lambda store: [SESSION(store).artifacts.quota(), store.artifacts.quota()],
    "AsyncStore.orphans": lambda store: store.orphans(),
    "AsyncStore.estimate": lambda store: store.estimate(),
    "AsyncStore.collect": lambda store: store.collect().to_dict() | {"freed_bytes": 0},
    "AsyncEvents.publish": lambda store: store.events.publish("x.y", {"n": 1}, tags=["t"]),
    "AsyncEvents.publish_many": lambda store: store.events.publish_many([{"type": "x.y"}, {"type": "x.z"}]),
    "AsyncEvents.subscribe": subscribed,
    "AsyncAgents.save": saved,
    "AsyncAgents.load": lambda store: [
        store.agents.load("a"),
        store.agents.load("a", at=store.stats()["last_seq"]),
        store.agents.load("no"),
    ],
    "AsyncAgents.update": lambda store: store.agents.update("b", lambda state: None, default=agent("b", 0)),
    "AsyncAgents.append": lambda store: store.agents.append("a", "user", "more", metadata={"m": 1}),
    "AsyncAgents.messages": lambda store: store.agents.messages("a", limit=2, newest_first=True),
    "AsyncAgents.record_tool": lambda store: store.agents.record_tool("a", "web", 5, ok=False),
    "AsyncAgents.list": lambda store: store.agents.list(limit=1),
    "AsyncAgents.exists": lambda store: [store.agents.exists("a"), store.agents.exists("no")],
    "AsyncAgents.delete": lambda store: [store.agents.delete("a"), store.agents.delete("a")],
    "AsyncAgents.history": lambda store: store.agents.history("a"),
    "AsyncSession.update": lambda store: SESSION(store).update(description="new"),
    "AsyncSession.history": lambda store: SESSION(store).history(),
    "AsyncSession.checkpoint": lambda store: SESSION(store).checkpoint("c"),
    "AsyncSession.checkpoints": lambda store: SESSION(store).checkpoints(),
    "AsyncSession.restore": lambda store: [SESSION(store).state.set("a", 2), SESSION(store).restore("c")],
    "AsyncSession.save": lambda store: SESSION(store).save(),
    "AsyncSession.suspend": lambda store: SESSION(store).suspend(),
    "AsyncSession.resume": lambda store: SESSION(store).resume(),
    "AsyncSession.fail": lambda store: SESSION(store).fail("why"),
    "AsyncSession.archive": lambda store: SESSION(store).archive(),
    "AsyncSession.unarchive": lambda store: [SESSION(store).unarchive(), SESSION(store).resume()],
    "AsyncSession.complete": lambda store: [
        SESSION(store).complete(),
        refused(lambda: SESSION(store).suspend()),
    ],
    "AsyncSession.refresh": lambda store: SESSION(store).refresh(),
    "AsyncSession.timeline": lambda store: SESSION(store).timeline(kinds=["state.set"]),
    "AsyncSessions.set_template": lambda store: store.sessions.set_template("t", {"tags": ["t"]}),
    "AsyncSessions.templates": lambda store: store.sessions.templates(),
    "AsyncSessions.set_retention": lambda store: store.sessions.set_retention(RetentionPolicy(max_count=500)),
    "AsyncSessions.retention": lambda store: store.sessions.retention(),
    "AsyncSessions.cleanup": lambda store: store.sessions.cleanup(dry_run=True).to_dict(),
    "AsyncSessions.save_all_active": lambda store: [info.name for info in store.sessions.save_all_active()],
    "AsyncSessions.restore_recent": lambda store: [info.name for info in store.sessions.restore_recent(2)],
    "AsyncSessions.fork": lambda store: store.sessions.fork("s", name="forked").info.name,
    "AsyncSessions.compare": lambda store: [
        store.sessions.open("forked").state.set("only here", 1),
        sorted(store.sessions.compare("s", "forked").fields),
        [one.key for one in store.sessions.compare("s", "forked").state],
        store.sessions.delete("forked"),
    ],
    "AsyncSessions.export": exported,
    "AsyncSessions.import_": lambda store: (
        store.sessions.import_(store.path.parent / "bundle", on_conflict="rename").outcome
    ),
    "AsyncSessions.shred": lambda store: store.sessions.shred("s", dry_run=True).to_dict(),
    "AsyncSchemas.register": lambda store: store.schemas.register(NOTE).to_dict(),
    "AsyncSchemas.register_all": lambda store: [
        one.hash for one in store.schemas.register_all([{**NOTE, "version": "1.0.1"}, {**NOTE, "version": "1.0.2"}])
    ],
    "AsyncSchemas.load_folder": lambda store: refused(lambda: store.schemas.load_folder("/nowhere/at/all")),
    "AsyncSchemas.get": lambda store: store.schemas.get("note", "1.0.0").hash,
    "AsyncSchemas.versions": lambda store: store.schemas.versions("note"),
    "AsyncSchemas.list": lambda store: [one.hash for one in store.schemas.list()],
    "AsyncSchemas.compare": lambda store: store.schemas.compare("note", "1.0.0", "1.0.1"),
    "AsyncSchemas.validator": lambda store: store.schemas.validator("even", lambda value: value % 2 == 0),
    "AsyncSchemas.check": lambda store: [str(one) for one in store.schemas.check(5, "note")],
    "AsyncSchemas.bind": lambda store: [
        store.schemas.bind("note", "1.0.0", prefix="n"),
        refused(lambda: store.state.set("n", 5)),
    ],
    "AsyncSchemas.bindings": lambda store: store.schemas.bindings(),
    "AsyncSchemas.bound": lambda store: store.schemas.bound("n/1"),
    "AsyncSchemas.unbind": lambda store: [store.schemas.unbind(prefix="n"), store.schemas.unbind()],
    "AsyncAccess.grant": lambda store: store.access.grant("agent:p", "agent:q", {"read", "write"}, expires_in_s=60),
    "AsyncAccess.grants": lambda store: store.access.grants(),
    "AsyncAccess.revoke": lambda store: store.access.revoke("agent:p", "agent:q", {"write"}),
    "AsyncAccess.set_boundary": lambda store: store.access.set_boundary("tool:open", {"read"}),
    "AsyncAccess.boundaries": lambda store: store.access.boundaries(),
    "AsyncAccess.cut_off": lambda store: [store.access.cut_off("agent:r"), P(store, "agent:r")],
    "AsyncAccess.cut_offs": lambda store: store.access.cut_offs(),
    "AsyncAccess.restore": lambda store: store.access.restore("agent:r"),
    "AsyncSharing.collaborate": lambda store: str(store.sharing.collaborate("board", ["agent:p", "agent:q"])),
    "AsyncSharing.pipeline": lambda store: store.sharing.pipeline("line", ["agent:p", "agent:q"]).stages,
    "AsyncStore.acting_as": lambda store: store.acting_as("agent:p").principal,
    "AsyncPrincipal.state_of": lambda store: store.acting_as("agent:p").state_of(Scope.agent("q")).get("k"),
    "AsyncPrincipalState.set": lambda store: store.acting_as("agent:p").own.set("k", 1),
    "AsyncPrincipalState.set_many": lambda store: store.acting_as("agent:p").own.set_many({"a": 1, "b": 2}),
    "AsyncPrincipalState.get": lambda store: [store.acting_as("agent:p").own.get("k"), P(store, "agent:q")],
    "AsyncPrincipalState.get_many": lambda store: store.acting_as("agent:p").own.get_many(["a", "b"]),
    "AsyncPrincipalState.entry": lambda store: store.acting_as("agent:p").own.entry("k"),
    "AsyncPrincipalState.exists": lambda store: store.acting_as("agent:p").own.exists("k"),
    "AsyncPrincipalState.keys": lambda store: store.acting_as("agent:p").own.keys(),
    "AsyncPrincipalState.items": lambda store: store.acting_as("agent:p").own.items(),
    "AsyncPrincipalState.update": lambda store: store.acting_as("agent:p").own.update("k", lambda value: value + 1),
    "AsyncPrincipalState.history": lambda store: store.acting_as("agent:p").own.history("k"),
    "AsyncPrincipalState.copy_to": lambda store: store.acting_as("agent:p").own.copy_to(Scope.shared("board")),
    "AsyncPrincipalState.move_to": lambda store: store.acting_as("agent:p").own.move_to(Scope.shared("board")),
    "AsyncPrincipalState.set_default_class": lambda store: store.acting_as("agent:p").own.set_default_class("trusted"),
    "AsyncPrincipalState.default_class": lambda store: store.acting_as("agent:p").own.default_class(),
    "AsyncPrincipalState.delete": lambda store: store.acting_as("agent:p").own.delete("k"),
    "AsyncPrincipalState.clear": lambda store: store.acting_as("agent:p").state_of(Scope.shared("board")).clear(),
    "AsyncPrincipalAccess.grant": lambda store: store.acting_as("agent:p").access.grant("tool:t", "agent:p", {"read"}),
    "AsyncPrincipalAccess.grants": lambda store: store.acting_as("agent:p").access.grants(),
    "AsyncPrincipalAccess.revoke": lambda store: store.acting_as("agent:p").access.revoke("tool:t", "agent:p"),
    "AsyncPrincipalAccess.audit": lambda store: store.acting_as("agent:p").access.audit(),
    "AsyncPrincipalEvents.publish": lambda store: store.acting_as("agent:p").events.publish("x.y", 1),
    "AsyncPrincipalEvents.publish_many": lambda store: store.acting_as("agent:p").events.publish_many(
        [{"type": "x.y"}]
    ),
    "AsyncPrincipalEvents.subscribe": received,
    "AsyncPrincipalSharing.broadcast": lambda store: store.acting_as("agent:p").sharing.broadcast("n", 1, ["tool:t"]),
    "AsyncPrincipalSharing.request": lambda store: refused(
        lambda: store.acting_as("agent:p").sharing.request("ask", 1, "agent:q", timeout_s=0.001)
    ),
    "AsyncPrincipalSharing.respond": answered,
    "AsyncAccess.audit": lambda store: store.access.audit(limit=1000),
    "AsyncStore.changes_of": lambda store: [
        store.state.set("made", 1, artifacts=[SESSION(store).artifacts.info("large.bin").id]),
        store.changes_of(SESSION(store).artifacts.info("large.bin").id),
    ],
    "AsyncStore.at": lambda store: store.at(5).seq,
    "AsyncStore.diff": lambda store: store.diff(5, 20),
    "AsyncView.state_of": lambda store: store.at(20).state_of(Scope.agent("a")).get("k"),
    "AsyncPastState.get": lambda store: [store.at(seq).state.get("k") for seq in range(15)],
    "AsyncPastState.entry": lambda store: store.at("-0s").state.entry("x"),
    "AsyncPastState.exists": lambda store: store.at(0).state.exists("x"),
    "AsyncPastState.keys": lambda store: store.at(15).state.keys(),
    "AsyncPastState.items": lambda store: store.at(15).state.items(),
    "AsyncPastState.history": lambda store: store.at(15).state.history("k"),
    "AsyncStore.timeline": lambda store: store.timeline(limit=1000),
    "AsyncSessions.delete": lambda store: store.sessions.delete("block"),
    "AsyncStore.stats": lambda store: {k: v for k, v in store.stats().items() if k not in {"path", "bytes"}},
    "AsyncStore.verify": lambda store: [store.verify(), progress(lambda tell: store.verify(progress=tell))],
    "AsyncStore.close": lambda store: store.close(),
}


def run(name, folder, operations):
    face = FACES[name](folder)
    face.clock = ManualClock(step_ns=1_000_000)
    store = face.open(ids=SequentialIds())
    results = {}
    try:
        for key, operation in operations.items():
            results[key] = plain(operation(store))
    finally:
        face.close()
    return results


def test_every_method_of_every_room_is_in_the_table():
    assert set(OPERATIONS) == {one.id for one in METHODS}


def test_every_operation_gives_the_same_through_both_faces(tmp_path):
    sync = run("sync", tmp_path / "sync", OPERATIONS)
    asynchronous = run("async", tmp_path / "async", OPERATIONS)
    for key in OPERATIONS:
        assert sync[key] == asynchronous[key], key
    verification = sync["AsyncStore.verify"][0]
    assert verification["ok"], verification
    assert verification["head"] == asynchronous["AsyncStore.verify"][0]["head"], "every byte of the journal is the same"
    assert sync["AsyncStore.verify"][1][-1][0] == verification["head"]["seq"]


def test_a_store_written_by_one_face_is_read_by_the_other(tmp_path):
    operations = {key: one for key, one in OPERATIONS.items() if key != "AsyncStore.close"}
    written = run("sync", tmp_path, operations)
    read = {"AsyncStore.timeline": lambda store: store.timeline(limit=1000)}
    timeline = run("async", tmp_path, read)["AsyncStore.timeline"][0]
    assert timeline[: len(written["AsyncStore.timeline"][0])] == written["AsyncStore.timeline"][0]
