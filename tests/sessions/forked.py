"""A session with something of each sort in it, for tests of forks: what changes all of it, and all that shows of it."""

from llmspell.errors import NotFound
from llmspell.model.scope import Scope

LARGE = bytes(range(256)) * 500


def filled(store, name="origin"):
    """A session with keys of each sort, versions, labels, a checkpoint and an event; gives it and its last entry."""
    session = store.sessions.create(
        name, description="d", tags=["a"], metadata={"m": 1}, config={"own": 1}, created_by="me", state={"first": 1}
    )
    session.state.set("changed", "old")
    session.state.set("long", "x" * 5000)
    session.state.set("gone", "was here")
    session.state.delete("gone")
    session.state.set("sealed", {"p": "hidden word"}, state_class="sensitive")
    session.state.set("short lived", 1, ttl_s=60)
    session.artifacts.put("r.md", b"one", tags=["t"], description="first")
    session.artifacts.put("r.md", LARGE)
    session.artifacts.put("other", b"other")
    session.artifacts.put("spare", b"spare")
    session.artifacts.put("deleted", b"deleted")
    session.artifacts.delete("deleted")
    session.artifacts.tag_version("r.md", 1, "v1")
    session.checkpoint("half")
    session.events.publish("step.done", {"n": 1})
    return session, store.stats()["last_seq"]


def change_all(session):
    """Do to each thing what can be done to it."""
    session.state.set("first", 2)
    session.state.delete("changed")
    session.state.set("gone", "again")
    session.state.set("new", 1)
    session.state.set("long", "y" * 5000)
    session.state.set("sealed", "other word", state_class="sensitive")
    session.artifacts.put("r.md", b"three")
    session.artifacts.update("r.md", version=1, description="changed", tags=["u"])
    session.artifacts.tag_version("r.md", 2, "v1")
    session.artifacts.delete("other")
    session.artifacts.put("mine", b"mine")
    session.checkpoint("later")
    session.events.publish("step.done", {"n": 2})
    session.update(name="renamed", description="changed")


def looks(store, session):
    """All that can be read of a session, without what tells which session it is."""
    state, artifacts = session.state, session.artifacts
    every = artifacts.list(all_versions=True).items
    past = store.at(store.stats()["last_seq"]).state_of(Scope.session(session.id))
    keys = ("first", "changed", "long", "gone", "sealed", "short lived", "new")
    own = {"id", "session", "stored_size"}
    return {
        "items": state.items(), "keys": state.keys(), "many": state.get_many(keys), "long": state.keys(prefix="long"),
        "each": {key: state.get(key, "nothing") for key in keys},
        "entries": {key: (one := state.entry(key)) and (one.value, one.version, one.expires_at) for key in keys},
        "history": {key: [(one.seq, one.value, one.version) for one in state.history(key)] for key in keys},
        "past": {key: past.get(key, "nothing") for key in keys}, "past items": past.items(),
        "artifacts": [{name: value for name, value in one.to_dict().items() if name not in own} for one in every],
        "contents": [store_of(artifacts, one) for one in every],
        "by id": [artifacts.info(one.id).name for one in every],
        "latest": [(one.name, one.version) for one in artifacts.list()],
        "labels": artifacts.labels("r.md"),
        "deleted": [artifacts_missing(artifacts, name) for name in ("deleted", "other", "mine")],
        "checkpoints": [(one.label, one.seq, one.state_hash) for one in session.checkpoints()],
    }  # fmt: skip


def store_of(artifacts, info):
    return artifacts.get(info.name, version=info.version).read()


def artifacts_missing(artifacts, name):
    try:
        return artifacts.info(name).version
    except NotFound as error:
        return error.code
