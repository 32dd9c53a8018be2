"""The part of a whole life that is about sessions and their artifacts, one at a time; see ``test_whole_life.py``."""

import random
import tempfile
from copy import deepcopy
from itertools import count
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

import llmspell
from tests.crash.lived import STEPS, Lived, Version, World
from tests.crash.test_model import VALUES

NAMES = ("a.txt", "b", "c/d.md")
LABELS = st.sampled_from(["v1", "best"])
PICK = st.integers(0, 20)
_NOISE = [random.Random(seed).randbytes(150_000) for seed in range(2)]


def _large(which, at):
    """Does not compress, and shares most chunks with what is like it but for the place."""
    return _NOISE[which][:at] + bytes(5) + _NOISE[which][at:]


DATA = st.binary(max_size=20) | st.builds(_large, st.integers(0, 1), st.sampled_from([1, 70_000]))


def code(call):
    """The code of the refusal that a call gives."""
    with pytest.raises(llmspell.errors.LlmspellError) as refused:
        call()
    return refused.value.code


class Living(RuleBasedStateMachine):
    """``self.past`` has the picture after each step by the last entry, ``self.exported`` bundles of sessions."""

    def __init__(self):
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="whole-life-"))
        self.world = World()
        self.marks = count(1)
        self.past, self.moments = {}, {}
        self.exported, self.archives, self.pages = [], [], []

    @initialize(durability=st.sampled_from(["full", "process"]))
    def begin(self, durability):
        self.durability = durability
        self.folder = self.home / "s"
        self.open()
        self.create()
        for number in range(3):
            self.put(0, 0, b"%d" % number, [number - 1] if number else [])
        self.create()
        for edited in (_large(0, 1), _large(0, 70_000)):
            self.put(1, 1, edited, [])

    def open(self):
        self.store = llmspell.open(self.folder, durability=self.durability)

    # -- what a rule is about ------------------------------------------------------------------------------------------

    def session(self, pick):
        live = self.world.live()
        return live[pick % len(live)]

    def artifacts(self, session):
        return self.store.sessions.open(session.id).artifacts

    def version(self, pick):
        found = self.world.versions()
        return found[pick % len(found)] if found else None

    def room(self, version):
        """The handle that may change it: a fork's for what it inherits."""
        return self.artifacts(self.world.owner(version)) if version.inherited else self.store.artifacts

    def some_name(self, session, pick):
        """Mostly one that is there."""
        names = [*sorted({version.name for version in session.there()}), NAMES[pick % len(NAMES)]]
        return names[pick % len(names)]

    # -- sessions ------------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.world.live()) < 5)
    @rule()
    def create(self):
        name = f"session {next(self.marks)}"
        made = self.store.sessions.create(name, tags=["t"], state={"k": name})
        self.world.sessions[made.id] = Lived(made.id, name, tags=["t"], state={"k": name})

    @rule(pick=PICK, key=st.sampled_from("kl"), value=VALUES)
    def set(self, pick, key, value):
        session = self.session(pick)
        self.store.sessions.open(session.id).state.set(key, value)
        session.state[key] = value

    @rule(pick=PICK, tags=st.lists(LABELS, max_size=2, unique=True))
    def update_session(self, pick, tags):
        session = self.session(pick)
        self.store.sessions.open(session.id).update(tags=tags)
        session.tags = tags

    @rule(pick=PICK, verb=st.sampled_from([*STEPS, "unarchive"]))
    def step(self, pick, verb):
        session = self.session(pick)
        handle = self.store.sessions.open(session.id)
        call = (lambda: handle.fail("why")) if verb == "fail" else getattr(handle, verb)
        allowed, to = STEPS.get(verb, ({"archived"}, session.was))
        if session.status not in allowed:
            assert code(call) == "illegal-transition"
            return
        call()
        if verb == "archive":
            session.was = session.status
        session.status = to

    @rule(pick=PICK, label=LABELS)
    def checkpoint(self, pick, label):
        session = self.session(pick)
        handle = self.store.sessions.open(session.id)
        if label in session.checkpoints:
            assert code(lambda: handle.checkpoint(label)) == "checkpoint-exists"
            return
        handle.checkpoint(label)
        session.checkpoints[label] = deepcopy(session.state)

    @rule(pick=PICK, label=LABELS)
    def restore(self, pick, label):
        session = self.session(pick)
        handle = self.store.sessions.open(session.id)
        if label not in session.checkpoints:
            assert code(lambda: handle.restore(label)) == "checkpoint-not-found"
            return
        handle.restore(label)
        session.state = deepcopy(session.checkpoints[label])

    @precondition(lambda self: len(self.world.live()) > 1)
    @rule(pick=PICK)
    def delete_session(self, pick):
        session = self.session(pick)
        self.store.sessions.delete(session.id)
        self.forget(session)

    @precondition(lambda self: len(self.world.live()) < 5)
    @rule(pick=PICK)
    def fork(self, pick):
        session = self.session(pick)
        self.forked(session, deepcopy(session), None)

    @precondition(lambda self: len(self.world.live()) < 5 and self.moments)
    @rule(pick=PICK, ago=PICK)
    def fork_then(self, pick, ago):
        """At an entry of the past; before a fork began it is its origin that is forked."""
        seqs = sorted(self.moments)
        seq = seqs[-1 - ago % len(seqs)]
        session = self.session(pick)
        then = self.moments[seq].get(session.id)
        if then is not None and then.live and then.life == session.life:
            self.forked(session, deepcopy(then), seq)

    def forked(self, session, then, at):
        name = f"fork {next(self.marks)}"
        made = self.store.sessions.fork(session.id, at, name=name)
        assert made.info.forked_from == session.id
        fork = then.fork(made.id, name)
        for version in list(fork.files.values()):
            if any(one.files[version.id].erased for one in self.world.sessions.values() if version.id in one.files):
                fork.delete(version, hard=True)
        self.world.sessions[made.id] = fork

    def forget(self, session):
        for version in session.there():
            session.delete(version, hard=False)
        session.files = {one.id: one for one in session.files.values() if not one.inherited}
        session.state, session.live = {}, False
        for key in [key for key in self.world.grants if session.id in {key[0], key[3]}]:
            del self.world.grants[key]

    # -- artifacts -----------------------------------------------------------------------------------------------------

    def is_put_away(self, session, call):
        """Whether the session is archived, and so takes nothing, as the call is told."""
        if session.status == "archived":
            assert code(call) == "session-archived"
        return session.status == "archived"

    def stored(self, session, info, data, mark, origins):
        assert info.version == session.last.get(info.name, 0) + 1
        session.add(Version(info.id, info.name, info.version, data, mark, info.tags))
        self.world.relations |= {(info.id, "derived_from", origin): True for origin in origins}

    @rule(pick=PICK, name=PICK, data=DATA, origins=st.lists(PICK, max_size=2))
    def put(self, pick, name, data, origins):
        session = self.session(pick)
        artifacts, name = self.artifacts(session), self.some_name(session, name)
        mark, found = next(self.marks), [self.version(origin) for origin in origins]
        shown = {one.id for one in session.there()}
        own = list(dict.fromkeys(one.id for one in found if one is not None and one.id in shown))
        given = {"tags": ["new"], "metadata": {"n": mark}, "derived_from": own}
        if not self.is_put_away(session, lambda: artifacts.put(name, data, **given)):
            self.stored(session, artifacts.put(name, data, **given), data, mark, own)

    @rule(pick=PICK)
    def restore_version(self, pick):
        old = self.version(pick)
        if old is None:
            return
        session = self.world.owner(old)
        artifacts = self.artifacts(session)
        if self.is_put_away(session, lambda: artifacts.restore_version(old.name, old.number)):
            return
        info = artifacts.restore_version(old.name, old.number)
        origins = [other for one, kind, other in self.world.relations
                   if (one, kind) == (old.id, "derived_from") and self.world.relations[one, kind, other]]  # fmt: skip
        self.stored(session, info, old.data, old.mark, [*origins, old.id])

    @rule(pick=PICK, tags=st.lists(LABELS, max_size=2, unique=True))
    def update(self, pick, tags):
        version = self.version(pick)
        if version is not None:
            info = self.room(version).update(version.id, tags=tags)
            self.adopted(version, info.id)
            version.tags = tags

    def adopted(self, version, id_):
        """A fork that changes what it inherits has its own of it from then on, made of the same."""
        assert (id_ != version.id) is version.inherited
        if version.inherited:
            for key in [key for key, by_put in self.world.relations.items() if key[0] == version.id and by_put]:
                self.world.relations[id_, *key[1:]] = True
            self.world.owner(version).adopt(version, id_)

    @rule(pick=PICK, label=LABELS)
    def tag_version(self, pick, label):
        version = self.version(pick)
        if version is not None:
            session = self.world.owner(version)
            self.artifacts(session).tag_version(version.name, version.number, label)
            session.labels[version.name, label] = version.number

    @rule(pick=PICK, to=st.sampled_from([*NAMES, "x", "y"]))
    def rename(self, pick, to):
        version = self.version(pick)
        if version is None:
            return
        session = self.world.owner(version)
        artifacts, name = self.artifacts(session), version.name
        if self.is_put_away(session, lambda: artifacts.rename(name, to)):
            return
        if to in session.last:
            assert code(lambda: artifacts.rename(name, to)) == "artifact-exists"
            return
        assert artifacts.rename(name, to) == len(session.there(name))
        for one in session.there(name):
            self.adopted(one, artifacts.info(to, version=one.number).id)
        session.rename(name, to)
        for key in [key for key in self.world.grants if key[:2] == (session.id, name)]:
            self.world.grants[session.id, to, *key[2:]] = self.world.grants.pop(key)

    @rule(pick=PICK, hard=st.booleans())
    def delete_version(self, pick, hard):
        version = self.version(pick)
        if version is None:
            return
        room, refusals = self.room(version), self.refusals([version]) if hard else set()
        if refusals:
            assert code(lambda: room.delete(version.id, hard=True)) in refusals
            return
        assert room.delete(version.id, hard=hard) == 1
        self.world.delete(self.world.owner(version), version, hard=hard)

    def refusals(self, versions):
        """Why these cannot be deleted for good."""
        inherited = {"artifact-inherited" for one in versions if one.inherited}
        return inherited | {"artifact-needed" for one in versions if not one.inherited and self.world.forks_with(one)}

    @rule(pick=PICK, name=PICK, hard=st.booleans())
    def delete_name(self, pick, name, hard):
        session = self.session(pick)
        artifacts, name = self.artifacts(session), self.some_name(session, name)
        gone = [one for one in session.gone(name) if not one.inherited]
        meant = session.there(name) + (gone if hard else [])
        if not meant:
            assert code(lambda: artifacts.delete(name, hard=hard)) == "artifact-not-found"
            return
        refusals = self.refusals(meant) if hard else set()
        if refusals:
            assert code(lambda: artifacts.delete(name, hard=hard)) in refusals
            return
        assert artifacts.delete(name, hard=hard) == len(meant)
        for version in meant:
            self.world.delete(session, version, hard=hard)

    @rule(pick=PICK, each=st.booleans())
    def undelete(self, pick, each):
        """A version by its id, or every one of a name."""
        found = [(one, version) for one in self.world.sessions.values() for version in one.gone()]
        if not found:
            return
        session, version = found[pick % len(found)]
        artifacts = self.artifacts(session) if session.live else self.store.artifacts
        back = [version] if each else session.gone(version.name)
        back = [one for one in back if not one.of_before]
        call = lambda: artifacts.undelete(version.id if each else version.name)
        if not session.live:
            assert code(lambda: artifacts.undelete(version.id)) == "session-not-found"
        elif not self.is_put_away(session, call):
            if not back:
                assert code(call) == ("session-not-found" if each else "artifact-not-found")
                return
            assert call() == len(back)
            for one in sorted(back, key=lambda one: one.number):
                told = artifacts.labels(one.name)
                one.aside = [label for label in one.aside if label in told or not one.inherited]
                session.undelete(one)

    @rule(pick=PICK)
    def delete_for_good(self, pick):
        """What was deleted, also with its session."""
        found = [(one, version) for one in self.world.sessions.values() for version in one.gone()]
        found = [(session, version) for session, version in found if not version.inherited]
        if found:
            session, version = found[pick % len(found)]
            if self.refusals([version]):
                assert code(lambda: self.store.artifacts.delete(version.id, hard=True)) == "artifact-needed"
                return
            assert self.store.artifacts.delete(version.id, hard=True) == 1
            self.world.delete(session, version, hard=True)
