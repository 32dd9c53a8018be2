"""State and artifacts against plain dicts: any run of operations, with crashes and reopenings in between."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import llmspell

pytestmark = pytest.mark.crash

KEYS = st.sampled_from(["a", "b", "käse", "long/path.1", "x" * 256])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
) | st.just("y" * 3000)
CONTENTS = st.binary(max_size=64) | st.builds(
    lambda seed: bytes([seed]) * 40_000 + bytes(range(256)) * 200, st.integers(0, 255)
)
NAMES = st.sampled_from(["one.txt", "two.bin", "sub/three.md"])


def abandon(store):
    """What a crash of the process leaves: files as they are, nothing closed, nothing synced on the way out."""
    folder = Path(store.path)
    copy = folder.with_name(folder.name + "x")
    shutil.copytree(folder, copy)
    store.__exit__(None, None, None)
    shutil.rmtree(folder)
    return copy


class Life(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="life-"))
        self.state = {}
        self.versions = {}
        self.artifacts = {}

    @initialize(durability=st.sampled_from(["full", "process"]))
    def begin(self, durability):
        self.durability = durability
        self.folder = self.home / "s"
        self.open()
        self.session_id = self.store.sessions.create("life").id

    def open(self):
        self.store = llmspell.open(self.folder, durability=self.durability)

    @property
    def session(self):
        return self.store.sessions.open(self.session_id)

    @rule(key=KEYS, value=VALUES)
    def set(self, key, value):
        self.versions[key] = self.versions.get(key, 0) + 1
        assert self.store.state.set(key, value) == self.versions[key]
        self.state[key] = value

    @rule(key=KEYS, value=VALUES, offset=st.integers(-1, 1))
    def compare_and_set(self, key, value, offset):
        seen = self.versions.get(key, 0) if key in self.state else 0
        wanted = max(0, seen + offset)
        if wanted == seen:
            self.versions[key] = self.versions.get(key, 0) + 1
            assert self.store.state.set(key, value, if_version=wanted) == self.versions[key]
            self.state[key] = value
        else:
            with pytest.raises(llmspell.Conflict):
                self.store.state.set(key, value, if_version=wanted)

    @rule(key=KEYS)
    def delete(self, key):
        was = self.state.pop(key, self) is not self
        assert self.store.state.delete(key) is was
        if was:
            self.versions[key] += 1

    @rule(values=st.dictionaries(KEYS, VALUES, max_size=3))
    def set_many(self, values):
        for key in values:
            self.versions[key] = self.versions.get(key, 0) + 1
        assert self.store.state.set_many(values) == {key: self.versions[key] for key in values}
        self.state |= values

    @precondition(lambda self: self.state)
    @rule()
    def clear(self):
        assert self.store.state.clear() == len(self.state)
        for key in self.state:
            self.versions[key] += 1
        self.state = {}

    @rule(name=NAMES, content=CONTENTS)
    def put(self, name, content):
        kept = self.artifacts.setdefault(name, [])
        kept.append(content)
        assert self.session.artifacts.put(name, content).version == len(kept)

    @rule(name=NAMES, back=st.integers(1, 3))
    def delete_version(self, name, back):
        kept = self.artifacts.get(name, [])
        number = len(kept) - back + 1
        if number < 1 or kept[number - 1] is None:
            with pytest.raises((llmspell.NotFound, llmspell.InvalidInput)):
                self.session.artifacts.delete(name, version=number)
        else:
            assert self.session.artifacts.delete(name, version=number) == 1
            kept[number - 1] = None

    @rule()
    def reopen(self):
        self.store.__exit__(None, None, None)
        self.open()

    @rule()
    def crash(self):
        self.folder = abandon(self.store)
        self.open()

    @invariant()
    def state_is_the_dict(self):
        if not hasattr(self, "store"):
            return
        assert self.store.state.items() == sorted(self.state.items())
        for key, value in self.state.items():
            entry = self.store.state.entry(key)
            assert repr(entry.value) == repr(value)
            assert entry.version == self.versions[key]

    @invariant()
    def artifacts_are_the_lists(self):
        if not hasattr(self, "store"):
            return
        for name, kept in self.artifacts.items():
            wanted = {number: content for number, content in enumerate(kept, 1) if content is not None}
            found = {}
            with contextlib.suppress(llmspell.NotFound):
                found = {
                    info.version: self.store.artifacts.get(info.id).read()
                    for info in self.session.artifacts.versions(name)
                }
            assert found == wanted

    def teardown(self):
        if hasattr(self, "store"):
            report = self.store.verify()
            self.store.__exit__(None, None, None)
            shutil.rmtree(self.home)
            assert report.ok, report.findings


class TestLife(Life.TestCase):
    settings = settings(
        max_examples=25,
        stateful_step_count=30,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@pytest.mark.slow
class TestLongLife(Life.TestCase):
    settings = settings(
        max_examples=200,
        stateful_step_count=60,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
