"""kill -9 at every write-side system call: what was acknowledged is there, nothing is half there, verify is clean."""

import random
import shutil

import pytest

import llmspell
from llmspell.artifacts.blob import unpack_ids
from tests.crash import sweep, worker

pytestmark = pytest.mark.crash

OPERATIONS = (
    "state", "session", "small", "large", "delete", "agent", "migrate", "collect", "undelete", "import", "hard",
    "session-import", "session-delete", "capture", "fork",
)  # fmt: skip
SLICE = 7
"""In the ordinary run every seventh call is tried, and the last; ``make crash`` tries each."""


@pytest.fixture(scope="module", autouse=True)
def _strace():
    reason = sweep.missing()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def seed(tmp_path_factory):
    """A store with what the operations need, copied for every try."""
    folder = tmp_path_factory.mktemp("seed") / "store"
    with llmspell.open(folder) as store:
        session = store.sessions.create("base")
        for number in range(1, 6):
            session.artifacts.put("doomed.txt", f"doomed {number}")
            session.artifacts.put("deleted.txt", f"deleted {number}")
            # Each shares most of its chunks with the others and with what stays, and has some of its own.
            session.artifacts.put("erased.bin", shared(number))
        session.artifacts.put("stays.bin", shared(0)[:700_000])
        session.artifacts.delete("deleted.txt")
        store.captures.set_rules([{"name": "tools", "count_max": 10}])
        other = store.sessions.create("bundled")
        first = other.artifacts.put("bundled-a", "small")
        other.artifacts.put("bundled-b", shared(9)[:400_000], derived_from=[first.id])
        other.artifacts.put("bundled-c", b"")
        other.artifacts.put("bundled-d", "small, too")
        other.artifacts.tag_version("bundled-a", 1, "v1")
        other.artifacts.export(worker.bundled(folder))
        for letter in "abcd":
            other.artifacts.delete(f"bundled-{letter}", hard=True)
        store.sessions.delete(other.id)
        store.collect()
        going = {}
        for number in range(1, 6):
            going[number] = fill(store.sessions.create(f"going-{number}"), number).id
        store.state.set("going", [going[number] for number in sorted(going)])
    with llmspell.open(folder.with_name("elsewhere")) as elsewhere:
        carried = fill(elsewhere.sessions.create("carried"), 6)
        elsewhere.sessions.export(carried.id, worker.carried(folder))
    return folder


def fill(session, number):
    """What a session has that is deleted, or imported."""
    session.state.set_many({"n": number, "long": "x" * 5000, "gone": 1})
    session.state.delete("gone")
    first = session.artifacts.put("small", f"small {number}")
    session.artifacts.put("large", shared(number)[300_000:], derived_from=[first.id])
    session.artifacts.put("large", b"second")
    session.artifacts.put("undone", f"undone {number}")
    session.artifacts.tag_version("large", 1, "v1")
    session.artifacts.delete("undone")
    return session


def is_filled(session, number):
    assert session.state.items() == [("long", "x" * 5000), ("n", number)]
    assert session.artifacts.get("small").text() == f"small {number}"
    assert session.artifacts.get("large", version="v1").read() == shared(number)[300_000:]
    assert session.artifacts.get("large").read() == b"second"
    assert session.artifacts.info("large", version=1).derived_from == [session.artifacts.info("small").id]
    assert [info.name for info in session.artifacts.deleted()] == ["undone"]
    return True


def shared(number):
    """Large content, whose far half is its own."""
    return random.Random(0).randbytes(600_000) + random.Random(number).randbytes(200_000)


def check(folder, operation, acks):
    """The oracle: after any kill, each attempt is there whole or not at all, in order, and each acknowledged one is."""
    with llmspell.open(folder, create=False) as store:
        report = store.verify()
        assert report.ok, [finding.what for finding in report.findings]
        done = DONE[operation](store)
        assert done == sorted(done), done
        assert set(acks) <= set(done), (acks, done)
        assert len(done) <= len(acks) + 2, (acks, done)  # the warm-up, and one that was written but not acknowledged
        if operation in OF_CONTENT:
            nothing_left_over(store)
            assert DONE[operation](store) == done
        store.state.set("alive", value=True)
        assert store.state.get("alive") is True


def nothing_left_over(store):
    """After the next collect there is no row without content, no content without a row, and no chunk without either."""
    store.collect()
    orphans = store.orphans()
    assert (orphans.content_count, orphans.chunks, orphans.files, orphans.in_progress) == (0, 0, [], False)
    report = store.verify()
    assert report.ok, [finding.what for finding in report.findings]
    files = store._store._files
    named = {row[0] for row in files.engine.read(lambda view: view.all(NAMED))}
    blobs = files.engine.read(lambda view: view.all("SELECT digest, chunk_ids, chunk_count FROM blob"))
    assert {row[0] for row in blobs} == named
    chunks = {number for _, packed, count in blobs if packed for number in unpack_ids(packed, count)}
    assert {chunk.id for chunk in files.content.scan(0, 100_000)} == chunks


NAMED = (
    "SELECT DISTINCT digest FROM artifact a WHERE NOT EXISTS (SELECT 1 FROM artifact_erased e WHERE e.artifact = a.id)"
)


def done_states(store):
    items = store.state.items(prefix="key-")
    assert all(value == {"n": int(key[4:])} for key, value in items)
    return [int(key[4:]) for key, _ in items]


def done_sessions(store):
    found = [info for info in store.sessions.list(order_by="created_at").items if info.name.startswith("session-")]
    for info in found:
        assert info.tags == ["t"]
        assert store.sessions.open(info.id).state.get("n") == int(info.name[8:])
    return [int(info.name[8:]) for info in found]


def done_versions(name, wanted):
    def done(store):
        try:
            versions = store.sessions.open("base").artifacts.versions(name)
        except llmspell.NotFound:
            return []
        assert [info.version for info in versions] == list(range(1, len(versions) + 1))
        for info in versions:
            assert store.artifacts.get(info.id).read() == wanted(info.version)
        return [info.version for info in versions]

    return done


def done_deletes(store):
    """Each version is there, or can be brought back."""
    artifacts = store.sessions.open("base").artifacts
    left = {info.version for info in artifacts.versions("doomed.txt")}
    gone = {info.version: info.id for info in artifacts.deleted(name="doomed.txt")}
    assert (left | gone.keys(), left & gone.keys()) == ({1, 2, 3, 4, 5}, set())
    for version in left:
        assert artifacts.get("doomed.txt", version=version).text() == f"doomed {version}"
    return sorted(gone)


def done_undeletes(store):
    """Each version is there, or can still be brought back."""
    artifacts = store.sessions.open("base").artifacts
    left = {info.version for info in artifacts.deleted(name="deleted.txt")}
    back = [info.version for info in artifacts.list(all_versions=True) if info.name == "deleted.txt"]
    assert sorted([*left, *back]) == [1, 2, 3, 4, 5]
    for version in back:
        assert artifacts.get("deleted.txt", version=version).text() == f"deleted {version}"
    return back


def done_erasures(store):
    """Each version is there whole, or gone for good."""
    artifacts = store.sessions.open("base").artifacts
    left = {info.version: info.id for info in artifacts.versions("erased.bin")}
    assert artifacts.deleted(name="erased.bin") == []
    for version, artifact in left.items():
        assert store.artifacts.get(artifact).read() == shared(version)
    assert artifacts.get("stays.bin").read() == shared(0)[:700_000]
    return sorted({1, 2, 3, 4} - left.keys())


def done_session_deletes(store):
    """Each session is there whole, or gone with its state and artifacts, which can only be deleted for good."""
    gone = []
    for number, session in enumerate(store.state.get("going"), 1):
        if store.sessions.list(name=f"going-{number}").items:
            assert is_filled(store.sessions.open(session), number)
            continue
        gone.append(number)
        assert store.state_of(llmspell.Scope.session(session)).items() == []
        assert store.artifacts.query(session=session).items == []
        assert len(store.artifacts.deleted(session=session)) in {0, 4}
        if store.artifacts.deleted(session=session):
            assert store.artifacts.delete_matching(session=session, deleted=True, hard=True) == 4
    return gone


def done_session_imports(store):
    """Each session that came is whole."""
    found = [info for info in store.sessions.list(order_by="created_at").items if info.name.startswith("carried")]
    assert all(is_filled(store.sessions.open(info.id), 6) for info in found)
    return sorted(1 if info.name == "carried" else int(info.name[9:-1]) for info in found)


def done_imports(store):
    artifacts = store.sessions.open("base").artifacts
    there = {info.name: info for info in artifacts.list() if info.name.startswith("bundled")}
    done = []
    for number in (1, 2, 3, 4):
        suffix = "" if number == 1 else f" ({number})"
        names = [f"bundled-{letter}{suffix}" for letter in "abcd"]
        found = [there[name] for name in names if name in there]
        assert len(found) in {0, 4}, "a bundle is there whole or not at all"
        if found:
            assert artifacts.get(names[1]).read() == shared(9)[:400_000]
            assert found[1].derived_from == [found[0].id]
            assert artifacts.get(names[0], version="v1").text() == "small"
            done.append(number)
    return done


def done_captures(store):
    session = store.sessions.open("base")
    done = done_versions("tool/killed", lambda number: worker.content(number) + b"end")(store)
    stored = [entry.data["id"] for entry in session.timeline(kinds=["artifact.stored"], limit=1000).items]
    captured = [entry.data["id"] for entry in session.timeline(kinds=["artifact.captured"]).items]
    assert len(captured) == len(done)
    assert set(captured) <= set(stored)
    assert sum(one.captured for one in session.captures.counts()) == len(done), "the cap counts what is there"
    return done


def done_turns(store):
    state = store.agents.load("agent")
    if state is None:
        return []
    done = state.custom_data["done"]
    assert [message.content for message in state.conversation if message.role == "user"] == done
    assert state.conversation[0].content == f"turn {done[-1]}"
    assert [message.number for message in state.conversation] == list(range(1, 2 * len(done) + 2))
    assert state.version == len(done)
    return done


def done_migrations(store):
    run = store.migrations.status()
    if run is not None and run.open:
        assert not run.alive
        store.migrations.resume(run.id)
    values = dict(store.state.items(prefix="chain:"))
    if not values:
        return []
    (name,) = values["chain:0"]
    version = int(name[1:])
    assert values == {f"chain:{n}": {f"m{version}": n} for n in range(6)}
    assert {one.status for one in store.migrations.list()} <= {"completed"}
    return list(range(1, version))


def done_forks(store):
    """A fork is there with all it goes back to, or not at all; its own version of an artifact likewise."""
    base = store.sessions.open("base")
    found = [info for info in store.sessions.list(order_by="created_at").items if info.name.startswith("fork-")]
    done = []
    for info in found:
        fork = store.sessions.open(info.id)
        assert info.forked_from == base.id
        assert len(fork.artifacts.versions("doomed.txt")) == 5
        assert fork.artifacts.get("erased.bin").read() == shared(5)
        assert fork.artifacts.get("stays.bin").read() == shared(0)[:700_000]
        own = fork.artifacts.info("stays.bin")
        assert own.tags in ([], ["t"])
        if own.tags:
            done.append(int(info.name[5:]))
    assert base.artifacts.info("stays.bin").tags == []
    return done


DONE = {
    "create": done_states,
    "state": done_states,
    "session": done_sessions,
    "small": done_versions("small.txt", lambda n: f"small {n}".encode()),
    "large": done_versions("large.bin", worker.content),
    "delete": done_deletes,
    "agent": done_turns,
    "migrate": done_migrations,
    "collect": done_erasures,
    "hard": done_erasures,
    "session-import": done_session_imports,
    "session-delete": done_session_deletes,
    "undelete": done_undeletes,
    "import": done_imports,
    "capture": done_captures,
    "fork": done_forks,
}
OF_CONTENT = {"small", "large", "delete", "undelete", "import", "collect", "hard", "session-import", "session-delete"}


def sweep_thread(seed, tmp_path, face, operation, durability, thread, step):
    """Kill later and later until a run ends by itself; gives how many calls there were."""
    nth, killed_last = 1, 0
    while True:
        folder = tmp_path / f"{thread}-{nth}"
        shutil.copytree(seed, folder)
        run = sweep.run_killed(face, operation, folder, durability, thread, nth)
        check(folder, operation, run.acks)
        shutil.rmtree(folder)
        if not run.killed:
            return killed_last
        killed_last = nth
        nth += step


def sweep_all(seed, tmp_path, face, operation, durability, step):
    """Sweep every thread of the worker; gives how many calls there were."""
    warm = tmp_path / "warm"
    for beside in (worker.carried, worker.bundled):
        shutil.copy(beside(seed), beside(warm))
    shutil.copytree(seed, warm)
    threads = sweep.count_threads(face, operation, warm, durability)
    total = sum(sweep_thread(seed, tmp_path, face, operation, durability, thread, step) for thread in range(threads))
    assert total >= SLICE, "the sweep killed nothing: it proves nothing"
    return total


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("face", ["sync", "async"])
def test_slice_of_kills_loses_nothing_acknowledged(seed, tmp_path, face, operation):
    sweep_all(seed, tmp_path, face, operation, "full", SLICE)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("durability", ["full", "process"])
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("face", ["sync", "async"])
def test_kill_at_every_call_loses_nothing_acknowledged(seed, tmp_path, face, operation, durability):
    sweep_all(seed, tmp_path, face, operation, durability, 1)


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_kill_while_a_store_is_created_leaves_a_place_to_create_it(tmp_path, step):
    nth, kills = 1, 0
    while True:
        folder = tmp_path / str(nth)
        run = sweep.create_killed(folder, "full", nth)
        with llmspell.open(folder) as store:
            assert store.verify().ok
            assert store.state.get("key-1", "nothing") in ({"n": 1}, "nothing")
            assert not run.acks or store.state.get("key-1") == {"n": 1}
        if not run.killed:
            break
        kills += 1
        nth += step
    assert kills >= 2, "the sweep killed nothing: it proves nothing"
