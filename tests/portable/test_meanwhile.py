"""What others do while a bundle is taken in: import the same session, or collect contents that were here."""

import os
import subprocess
import sys

import pytest

import llmspell
from llmspell.artifacts.bundles.importing import OpenBundle
from llmspell.errors import AlreadyExists, Conflict
from llmspell.model import limits
from llmspell.portable.service import StorePorter

CONTENT = os.urandom(300_000)
SMALL = b"small content, beside its row" * 10
IMPORTER = """
import sys, llmspell
with llmspell.open(sys.argv[1]) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        print(store.sessions.import_(sys.argv[2], on_conflict="rename").outcome)
    except llmspell.LlmspellError as exc:
        print(exc.code)
"""


@pytest.fixture
def origin(tmp_path):
    """A store with a session, and its bundle."""
    with llmspell.open(tmp_path / "origin", durability="process") as store:
        session = store.sessions.create("s")
        session.artifacts.put("large", CONTENT)
        session.artifacts.put("small", SMALL)
        store.sessions.export(session.id, tmp_path / "s.bundle")
        session.artifacts.export(tmp_path / "s.zip")
    return tmp_path / "s.bundle"


@pytest.fixture
def store(tmp_path):
    with llmspell.open(tmp_path / "here", durability="process") as opened:
        yield opened


def before_each_try(monkeypatch, of, name, then):
    """Do ``then`` between the contents and the unit of each try; gives the tries."""
    real, tries = getattr(of, name), []

    def taken(*args, **named):
        value = real(*args, **named)
        tries.append(1)
        then(len(tries))
        return value

    monkeypatch.setattr(of, name, taken)
    return tries


def erased(store):
    """Contents that are here, and that the next collect takes."""
    other = store.sessions.create("other")
    other.artifacts.put("a", CONTENT)
    other.artifacts.put("b", SMALL)
    other.artifacts.delete("a", hard=True)
    other.artifacts.delete("b", hard=True)


def test_processes_that_import_one_bundle_at_once_each_have_a_session(origin, tmp_path):
    llmspell.open(tmp_path / "shared").close()
    command = [sys.executable, "-c", IMPORTER, str(tmp_path / "shared"), str(origin)]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for one in running:
        assert one.stdout.readline() == "ready\n"
    for one in running:
        one.stdin.write("go\n")
        one.stdin.flush()
    outcomes = sorted(one.communicate(timeout=60)[0].strip() for one in running)
    assert outcomes == ["imported", "renamed", "renamed", "renamed"]
    with llmspell.open(tmp_path / "shared") as store:
        assert len({info.name for info in store.sessions.list()}) == 4
        assert store.verify().ok


@pytest.mark.parametrize("rule", ["rename", "fail", "skip", "replace"])
def test_the_rule_decides_again_when_the_session_came_meanwhile(store, origin, monkeypatch, rule):
    def first(number):
        if number == 1:
            assert store.sessions.import_(origin).outcome == "imported"

    tries = before_each_try(monkeypatch, StorePorter, "_take_contents", first)
    asked = []
    store.hooks.register("before_session_import", lambda context: asked.append(context.data["id"]))
    if rule == "fail":
        with pytest.raises(AlreadyExists):
            store.sessions.import_(origin, on_conflict=rule)
        return
    done = store.sessions.import_(origin, on_conflict=rule)
    assert done.outcome == {"rename": "renamed", "skip": "skipped", "replace": "replaced"}[rule]
    assert len(tries) == (3 if rule == "rename" else 2)
    assert len(asked) == 2  # By each import once.
    assert store.sessions.open(done.id).artifacts.get("large").read() == CONTENT
    assert store.verify().ok


def test_a_session_comes_whole_when_its_contents_are_collected_meanwhile(store, origin, monkeypatch):
    erased(store)
    tries = before_each_try(
        monkeypatch, StorePorter, "_take_contents", lambda number: store.collect() if number == 1 else None
    )
    done = store.sessions.import_(origin)
    assert (len(tries), done.outcome) == (2, "imported")
    session = store.sessions.open(done.id)
    assert session.artifacts.get("large").read() == CONTENT
    assert session.artifacts.get("small").read() == SMALL
    assert store.verify().ok


def test_artifacts_come_whole_when_their_contents_are_collected_meanwhile(store, origin, monkeypatch):
    erased(store)
    target = store.sessions.create("target")
    seen = []
    store.hooks.register("before_artifact_put", lambda context: seen.append(context.data["name"]))
    tries = before_each_try(monkeypatch, OpenBundle, "stage", lambda number: store.collect() if number == 1 else None)
    report = target.artifacts.import_(origin.with_suffix(".zip"))
    assert (len(tries), len(report.artifacts), len(seen)) == (2, 2, 2)
    assert target.artifacts.get("large").read() == CONTENT
    assert target.artifacts.get("small").read() == SMALL
    assert store.verify().ok


@pytest.mark.parametrize("kind", ["session", "artifacts"])
def test_a_collect_at_each_try_is_a_conflict_in_the_end_and_nothing_changed(store, origin, monkeypatch, kind):
    target = store.sessions.create("target")
    of, name = (StorePorter, "_take_contents") if kind == "session" else (OpenBundle, "stage")
    real, tries = getattr(of, name), []

    def taken(*args, **named):
        other = store.sessions.create("again")
        other.artifacts.put("a", CONTENT)
        other.artifacts.delete("a", hard=True)
        value = real(*args, **named)
        tries.append(1)
        store.collect()
        return value

    def imported():
        if kind == "session":
            return store.sessions.import_(origin)
        return target.artifacts.import_(origin.with_suffix(".zip"))

    monkeypatch.setattr(of, name, taken)
    with pytest.raises(Conflict) as excinfo:
        imported()
    assert (excinfo.value.code, len(tries)) == ("content-collected", limits.CONFLICT_RETRIES_MAX)
    assert target.artifacts.list().items == []
    assert not store.sessions.list(name="s").items


def test_a_file_that_is_another_one_by_then_is_refused(store, origin, monkeypatch):
    erased(store)
    target = store.sessions.create("target")
    file = origin.with_suffix(".zip")

    def changed(_):
        store.collect()
        other = store.sessions.create("more")
        other.artifacts.put("c", "x")
        other.artifacts.export(file, overwrite=True)

    before_each_try(monkeypatch, OpenBundle, "stage", changed)
    with pytest.raises(Conflict) as excinfo:
        target.artifacts.import_(file)
    assert excinfo.value.code == "bundle-changed"
    assert target.artifacts.list().items == []
