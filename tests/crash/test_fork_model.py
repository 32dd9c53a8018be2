"""Forks of forks against plain dicts: whatever is done in one session, no other shows it, deletions and all."""

import contextlib
import copy
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import llmspell
from llmspell.model.scope import Scope

pytestmark = pytest.mark.crash

KEYS, NAMES, LABELS = st.sampled_from("abc"), st.sampled_from(["x", "y"]), st.sampled_from(["l", "m"])
NUMBERS = st.integers(0, 1 << 30)
SECRET = bytes(range(32))


class Twin:
    """What a session holds: keys with value and version; versions by name, None where one is deleted; labels."""

    def __init__(self):
        self.keys, self.versions, self.artifacts, self.labels = {}, {}, {}, {}


class Forks(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="forks-"))
        self.twins = {}
        self.past = []
        self.files = 0

    @initialize()
    def begin(self):
        self.folder = self.home / "store"
        self.store = llmspell.open(self.folder, durability="process", key=SECRET)
        self.twins[self.store.sessions.create("s").id] = Twin()

    def pick(self, number):
        id_ = sorted(self.twins)[number % len(self.twins)]
        return self.store.sessions.open(id_), self.twins[id_]

    def note(self, session, twin):
        """A moment to fork at, and to look back at."""
        self.past.append((session.id, self.store.stats()["last_seq"], copy.deepcopy(twin)))

    # -- state ---------------------------------------------------------------------------------------------------------

    @rule(which=NUMBERS, key=KEYS, value=st.integers() | st.just("y" * 3000))
    def set(self, which, key, value):
        session, twin = self.pick(which)
        twin.versions[key] = twin.versions.get(key, 0) + 1
        assert session.state.set(key, value) == twin.versions[key]
        twin.keys[key] = value

    @rule(which=NUMBERS, key=KEYS)
    def delete(self, which, key):
        session, twin = self.pick(which)
        had = key in twin.keys
        assert session.state.delete(key) == had
        if had:
            del twin.keys[key]
            twin.versions[key] += 1

    # -- artifacts -----------------------------------------------------------------------------------------------------

    @rule(which=NUMBERS, name=NAMES, content=st.integers(0, 9))
    def put(self, which, name, content):
        session, twin = self.pick(which)
        versions = twin.artifacts.setdefault(name, {})
        number = len(versions) + 1
        assert session.artifacts.put(name, str(content) * 30).version == number
        versions[number] = [str(content) * 30, ""]

    def there(self, twin, name):
        return sorted(number for number, held in twin.artifacts.get(name, {}).items() if held[-1] is not None)

    @rule(which=NUMBERS, name=NAMES, number=NUMBERS, text=st.integers(0, 9))
    def update(self, which, name, number, text):
        session, twin = self.pick(which)
        if numbers := self.there(twin, name):
            version = numbers[number % len(numbers)]
            session.artifacts.update(name, version=version, description=str(text))
            twin.artifacts[name][version][1] = str(text)

    @rule(which=NUMBERS, name=NAMES, number=NUMBERS)
    def remove(self, which, name, number):
        session, twin = self.pick(which)
        if numbers := self.there(twin, name):
            version = numbers[number % len(numbers)]
            assert session.artifacts.delete(name, version=version) == 1
            held = twin.artifacts[name][version]
            held += [session.id, None]
            twin.labels = {at: meant for at, meant in twin.labels.items() if at[0] != name or meant != version}
        else:
            with contextlib.suppress(llmspell.NotFound):
                session.artifacts.delete(name)
                raise AssertionError("nothing was there to delete")

    @rule(which=NUMBERS, name=NAMES, number=NUMBERS)
    def bring_back(self, which, name, number):
        session, twin = self.pick(which)
        held = twin.artifacts.get(name, {})
        gone = sorted(one for one, what in held.items() if what[-1] is None and what[-2] == session.id)
        if gone:
            version = gone[number % len(gone)]
            before = session.artifacts.labels(name)
            assert session.artifacts.undelete(name, version=version) == 1
            del held[version][-2:]
            for label, meant in session.artifacts.labels(name).items():
                assert before.get(label, version) == meant
                twin.labels[name, label] = meant

    @rule(which=NUMBERS, name=NAMES, number=NUMBERS, label=LABELS)
    def tag(self, which, name, number, label):
        session, twin = self.pick(which)
        if numbers := self.there(twin, name):
            version = numbers[number % len(numbers)]
            session.artifacts.tag_version(name, version, label)
            twin.labels[name, label] = version

    # -- forks ---------------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.twins) < 6)
    @rule(which=NUMBERS)
    def fork(self, which):
        session, twin = self.pick(which)
        self.twins[self.store.sessions.fork(session.id, name="s").id] = copy.deepcopy(twin)
        self.note(session, twin)

    @precondition(lambda self: self.past and len(self.twins) < 6)
    @rule(which=NUMBERS)
    def fork_back(self, which):
        session, seq, twin = self.past[which % len(self.past)]
        if session in self.twins:
            self.twins[self.store.sessions.fork(session, seq, name="s").id] = copy.deepcopy(twin)

    @precondition(lambda self: len(self.twins) > 1)
    @rule(which=NUMBERS)
    def forget(self, which):
        session, _ = self.pick(which)
        self.store.sessions.delete(session.id)
        del self.twins[session.id]

    @precondition(lambda self: len(self.twins) < 6)
    @rule(which=NUMBERS)
    def import_(self, which):
        session, twin = self.pick(which)
        self.files += 1
        self.store.sessions.export(session.id, self.home / str(self.files), key=SECRET, secrets=True)
        done = self.store.sessions.import_(self.home / str(self.files), key=SECRET, on_conflict="rename")
        arrived = copy.deepcopy(twin)
        for versions in arrived.artifacts.values():
            for held in versions.values():
                held[-2:] = ["elsewhere", None] if held[-1] is None else held[-2:]
        self.twins[done.id] = arrived

    @rule()
    def collect(self):
        self.store.collect()

    @rule()
    def reopen(self):
        self.store.__exit__(None, None, None)
        self.store = llmspell.open(self.folder, durability="process", key=SECRET)

    # -- what must hold ------------------------------------------------------------------------------------------------

    @invariant()
    def every_session_shows_its_own_and_its_past(self):
        for id_, twin in self.twins.items():
            session = self.store.sessions.open(id_)
            assert dict(session.state.items()) == twin.keys
            assert session.state.keys() == sorted(twin.keys)
            shown = session.artifacts.list(all_versions=True).items
            wanted = sorted((name, number) for name in twin.artifacts for number in self.there(twin, name))
            assert [(one.name, one.version) for one in shown] == wanted
            assert sorted((one.name, one.version) for one in session.artifacts.query()) == wanted
            for one in shown:
                assert one.description == twin.artifacts[one.name][one.version][1]
            found = {(name, label): at for name in "xy" for label, at in session.artifacts.labels(name).items()}
            assert found == twin.labels

    def teardown(self):
        for id_, twin in self.twins.items():
            session = self.store.sessions.open(id_)
            for name in twin.artifacts:
                for number in self.there(twin, name):
                    content = session.artifacts.get(name, version=number).text()
                    assert content == twin.artifacts[name][number][0]
        for id_, seq, twin in self.past:
            assert dict(self.store.at(seq).state_of(Scope.session(id_)).items()) == twin.keys
        report = self.store.verify()
        assert report.ok, [finding.what for finding in report.findings]
        self.store.__exit__(None, None, None)
        shutil.rmtree(self.home, ignore_errors=True)


Forks.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestForks = pytest.mark.timeout(600)(Forks.TestCase)
