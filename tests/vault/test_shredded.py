"""A shredded session: no byte of it is in any file, the journal verifies and says so, and nothing else is touched."""

import asyncio
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

import llmspell
from llmspell import Scope
from llmspell.errors import Busy, Conflict, NotFound, Vetoed
from llmspell.model import limits
from llmspell.security.keyring import Keyring
from llmspell.shredding import service
from tests.vault.canaries import ELSEWHERE, PIECES, PLACES, filled, found, word

ENCRYPTED = pytest.mark.parametrize("encrypt", [False, True], ids=["plain", "encrypted"])


def noise(size, seed):
    return Random(seed).randbytes(size)


def opened(folder, **options):
    return llmspell.open(folder, durability="process", **options)


def test_the_search_finds_every_word_of_a_plain_store(tmp_path):
    filled(tmp_path / "s")
    words, pieces = found(tmp_path)
    assert words == {*PLACES, *ELSEWHERE} - {"sensitive"}
    assert pieces == len(PIECES)
    assert sum(path.stat().st_size for path in (tmp_path / "s").rglob("*.pack")) > 1 << 20


@ENCRYPTED
def test_no_byte_of_a_shredded_session_is_in_any_file(tmp_path, keys, encrypt):
    session = filled(tmp_path / "s", encrypt=encrypt)
    with opened(tmp_path / "s") as store:
        done = store.sessions.shred(session)
        while_open = found(tmp_path)
        report = store.verify()
        assert report.ok, report.findings
    left = set() if encrypt else set(ELSEWHERE)
    assert while_open == (left, 0)
    assert found(tmp_path) == (left, 0)
    assert found(keys) == (set(), 0)
    assert done.payloads > 70
    assert (done.state_keys, done.artifact_versions, done.runs) == (65, 3, 1)
    assert len(done.keys) == 1
    assert done.kept == {"agent.message_appended": 1, "agent.saved": 1, "state.set": 1}


def test_what_it_wrote_about_other_things_stays_and_reads(tmp_path):
    session = filled(tmp_path / "s")
    with opened(tmp_path / "s") as store:
        store.sessions.shred(session)
        assert store.state.get("global") == word("global")
        assert store.agents.load(word("agent")).conversation[0].content == word("message")
        other = store.sessions.open("other")
        assert other.state.get("k150") == "o" * 150
        assert len(other.state.keys()) == 260


@ENCRYPTED
def test_the_chain_stays_and_its_entries_say_that_they_are_erased(tmp_path, encrypt):
    session = filled(tmp_path / "s", encrypt=encrypt)
    with opened(tmp_path / "s") as store:
        before = {entry.seq: entry for entry in store.timeline(session=session, limit=10_000)}
        store.sessions.shred(session)
    with opened(tmp_path / "s") as store:
        after = {entry.seq: entry for entry in store.timeline(session=session, limit=10_000)}
        kept = [seq for seq, entry in after.items() if seq in before and not entry.erased]
        assert len(kept) == 3
        for seq, entry in before.items():
            now = after[seq]
            assert (now.id, now.at, now.kind, now.subject, now.hash) == (
                entry.id, entry.at, entry.kind, entry.subject, entry.hash,
            )  # fmt: skip
        erased = after[min(before)]
        assert erased.data is None
        assert erased.to_dict()["erased"] is True
        new = [entry for seq, entry in after.items() if seq not in before]
        assert [entry.kind for entry in new] == ["session.shredded", "payload.erased", "payload.erased"]
        assert len(new[0].data["keys"]) == 1
        ranges = [one for entry in new[1:] for one in entry.data["ranges"]]
        told = [seq for first, last in ranges for seq in range(first, last + 1)]
        assert set(before) - set(kept) <= set(told)
        assert store.verify().ok


def test_reads_say_that_it_was_erased(tmp_path):
    session = filled(tmp_path / "s")
    with opened(tmp_path / "s") as store:
        seq = store.timeline(session=session, limit=10_000).items[-1].seq
        assert store.at(seq).state_of(Scope.session(session)).get("long").startswith(word("long"))
        store.sessions.shred(session)
        for read in (
            lambda: store.sessions.get(session),
            lambda: store.sessions.open(session),
            lambda: store.at(seq).state_of(Scope.session(session)).get("long"),
            lambda: store.at(seq).state_of(Scope.session(session)).keys(),
        ):
            with pytest.raises(NotFound) as gone:
                read()
            assert gone.value.code == "erased"
        assert store.sessions.list().items[0].name == "other"
        with pytest.raises(NotFound):
            store.sessions.get(word("name"))


def test_a_dry_run_tells_and_changes_nothing(tmp_path):
    session = filled(tmp_path / "s")
    with llmspell.open(tmp_path / "s", read_only=True) as store:
        told = store.sessions.shred(session, dry_run=True)
        assert told.dry_run
        assert (told.state_keys, told.artifact_versions, told.chunks > 100) == (65, 3, True)
        assert store.sessions.get(session).name == word("name")
    with opened(tmp_path / "s") as store:
        done = store.sessions.shred(session)
        assert (done.state_keys, done.contents, done.kept) == (told.state_keys, told.contents, told.kept)


@ENCRYPTED
def test_what_a_handle_of_before_writes_into_a_shredded_session_is_shredded_by_doing_it_again(tmp_path, keys, encrypt):
    with opened(tmp_path / "s", encrypt=encrypt) as store:
        with store.session("Interview") as session:
            session.state.set("name", "as it was")
        store.sessions.shred(session.id)
        elsewhere = store.state_of(Scope.session(session.id))
        session.state.set("late", "a word too late")
        session.state.set("sealed", "a word too late", state_class="sensitive")
        elsewhere.set("outside", "a word too late")
        session.events.publish("late.word", "a word too late")
        told = store.sessions.shred(session.id, dry_run=True)
        done = store.sessions.shred(session.id)
        assert (done.payloads, done.state_keys, len(done.keys)) == (4, 3, 1)
        assert (told.payloads, told.state_keys) == (4, 3)
        assert elsewhere.keys() == []
        assert elsewhere.get("late") is None
        assert store.verify().ok
        assert store.sessions.shred(session.id).payloads == 0
    assert not any(b"too late" in path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file())


def test_what_was_written_meanwhile_joins_what_was_left_to_do(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with opened(tmp_path / "s") as store:
        with store.session("Interview") as session:
            session.artifacts.put("notes", noise(1 << 21, 1))
        elsewhere = store.state_of(Scope.session(session.id))
        elsewhere.set("before", "a word before")
        with monkeypatch.context() as patched:
            patched.setattr(service.Shredder, "_destroy_key", killed)
            with pytest.raises(Killed):
                store.sessions.shred(session.id)
        elsewhere.set("meanwhile", "a word meanwhile")
        done = store.sessions.shred(session.id)
        assert done.chunks > 0
        assert store.verify().ok
    assert not any(b"a word " in path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file())


def test_what_a_session_has_in_memory_is_forgotten(tmp_path):
    with opened(tmp_path / "s") as store:
        with store.session("Interview") as session:
            session.state.set("name", "in memory", state_class="ephemeral")
        store.sessions.shred(session.id)
        assert store.state_of(Scope.session(session.id)).get("name") is None


def test_a_session_whose_key_is_not_here_is_not_said_to_be_shredded(tmp_path, monkeypatch):
    with opened(tmp_path / "s") as store, store.session("Interview") as session:
        session.state.set("name", "sealed", state_class="sensitive")
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("LLMSPELL_KEYS", str(tmp_path / "other keys"))
        with opened(tmp_path / "s") as store:
            with pytest.raises(NotFound) as gone:
                store.sessions.shred(session.id)
            assert gone.value.code == "keyring-missing"
            assert store.sessions.get(session.id).name == "Interview"
    with opened(tmp_path / "s") as store:
        assert len(store.sessions.shred(session.id).keys) == 1


def test_a_key_that_is_gone_when_shredding_goes_on_is_asked_for(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with opened(tmp_path / "s") as store:
        with store.session("Interview") as session:
            session.state.set("name", "sealed", state_class="sensitive")
        with monkeypatch.context() as patched:
            patched.setattr(service.Shredder, "_destroy_key", killed)
            with pytest.raises(Killed):
                store.sessions.shred(session.id)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("LLMSPELL_KEYS", str(tmp_path / "other keys"))
        with opened(tmp_path / "s") as store, pytest.raises(NotFound) as gone:
            store.sessions.shred(session.id)
        assert gone.value.code == "keyring-missing"
    with opened(tmp_path / "s") as store:
        assert not store.verify().ok
        assert len(store.sessions.shred(session.id).keys) == 1
        assert store.keys.status().erased == 1
        assert store.verify().ok


def test_a_dry_run_counts_what_was_written_from_outside(tmp_path):
    with opened(tmp_path / "s") as store:
        with store.session("Interview") as session:
            session.state.set("name", "one")
        store.state_of(Scope.session(session.id)).set("name", "two")
        told = store.sessions.shred(session.id, dry_run=True)
        assert told.payloads == store.sessions.shred(session.id).payloads == 4


def test_content_that_another_session_has_stays_and_the_report_says_so(tmp_path):
    content = bytes(range(256)) * 8
    with opened(tmp_path / "s") as store:
        one, two = store.sessions.create("one"), store.sessions.create("two")
        for session in (one, two):
            session.artifacts.put(f"{session.info.name}.bin", content)
        base = noise(3 << 20, 1)
        one.artifacts.put("mine", base + noise(2 << 20, 2))
        two.artifacts.put("theirs", base + noise(2 << 20, 3))
        one.complete()
        done = store.sessions.shred(one.id)
        assert done.shared == ["one.bin"]
        assert done.shared_chunks > 100
        assert done.chunks > 100
        assert two.artifacts.get("two.bin").read() == content
        assert two.artifacts.get("theirs").read() == base + noise(2 << 20, 3)
        assert store.verify().ok
    assert not any(noise(2 << 20, 2)[:64] in path.read_bytes() for path in (tmp_path / "s").rglob("*.db"))


def test_an_active_session_is_refused(tmp_path):
    with opened(tmp_path / "s") as store:
        session = store.sessions.create("busy")
        for dry_run in (True, False):
            with pytest.raises(Conflict) as refused:
                store.sessions.shred(session.id, dry_run=dry_run)
            assert refused.value.code == "session-active"
        session.suspend()
        store.sessions.shred(session.id)


def test_a_session_that_others_depend_on_is_refused_unless_detached(tmp_path):
    with opened(tmp_path / "s") as store:
        parent, other = store.sessions.create("parent"), store.sessions.create("other")
        child = store.sessions.create("child", parent=parent.id)
        source = parent.artifacts.put("source", b"source")
        parent.artifacts.grant(source.id, other.id)
        other.artifacts.put("made", b"made", derived_from=[source.id])
        parent.complete()
        for needing in (child, other):
            with pytest.raises(Conflict) as refused:
                store.sessions.shred(parent.id)
            assert (refused.value.code, refused.value.details["sessions"]) == ("session-needed", [needing.id])
            if needing is child:
                child.complete()
                store.sessions.shred(child.id)
        store.sessions.shred(parent.id, detach=True)
        assert other.artifacts.info("made").derived_from == [source.id]
        assert store.verify().ok


def test_a_session_that_never_was_is_not_found(tmp_path):
    with opened(tmp_path / "s") as store, pytest.raises(NotFound) as refused:
        store.sessions.shred("01a1fdad-8e90-74f9-afc1-46bd7318be7a")
    assert refused.value.code == "session-not-found"


def test_a_deleted_session_can_be_shredded(tmp_path):
    session = filled(tmp_path / "s")
    with opened(tmp_path / "s") as store:
        store.sessions.delete(session)
        store.sessions.shred(session)
        assert store.verify().ok
    assert found(tmp_path) == (set(ELSEWHERE), 0)


def test_a_hook_may_refuse_it(tmp_path):
    with opened(tmp_path / "s") as store:
        session = store.sessions.create("kept")
        session.complete()

        @store.hooks.on("before_session_delete")
        def refuse(context):
            return llmspell.Cancel(f"no {context.data['reason']}")

        with pytest.raises(Vetoed, match="no shred"):
            store.sessions.shred(session.id)
        assert store.sessions.get(session.id).name == "kept"


class Killed(BaseException):
    """What stands for the end of the process."""


STEPS = {
    "key": (service.Shredder, "_destroy_key"),
    "keyring": (Keyring, "shred"),
    "payloads": (service.Shredder, "_erase"),
    "content": (service, "remove_content"),
    "rewriting": (service, "write_anew"),
    "end": (service, "_finish"),
}


@pytest.mark.parametrize("step", STEPS)
@ENCRYPTED
def test_a_kill_at_any_step_is_finished_by_doing_it_again(tmp_path, monkeypatch, step, encrypt):
    session = filled(tmp_path / "s", encrypt=encrypt)

    def die(*_args, **_options):
        raise Killed

    with opened(tmp_path / "s") as store, monkeypatch.context() as patch:
        patch.setattr(*STEPS[step], die)
        with pytest.raises(Killed):
            store.sessions.shred(session)
    with opened(tmp_path / "s") as store:
        findings = store.verify().findings
        assert [finding.where for finding in findings] == ["meta"], "an unfinished shredding, and nothing else, is told"
        store.sessions.shred(session)
        assert store.verify().ok
    assert found(tmp_path) == (set() if encrypt else set(ELSEWHERE), 0)


KILLED = """
import os, sys
import llmspell
from llmspell.adapters.sqlite import scrub
from llmspell.journal.journal import Journal
from llmspell.adapters.sqlite.content import SqliteContent

folder, session, at = sys.argv[1], sys.argv[2], int(sys.argv[3])
calls = 0

def counted(owner, name):
    inner = getattr(owner, name)
    def outer(*args, **options):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), 9)
        return inner(*args, **options)
    setattr(owner, name, outer)

for owner, name in ((Journal, "write"), (SqliteContent, "remove"), (SqliteContent, "overwrite"), (scrub, "_truncate")):
    counted(owner, name)
with llmspell.open(folder, durability="process") as store:
    store.sessions.shred(session)
print("done")
"""


def test_kill_9_at_each_write_is_finished_by_doing_it_again(tmp_path):
    session = filled(tmp_path / "s")
    for at in range(1, 20):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path / "s"), session, str(at)], capture_output=True, check=False
        )
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert at > 4
    with opened(tmp_path / "s") as store:
        assert store.verify().ok
    assert found(tmp_path) == (set(ELSEWHERE), 0)


@ENCRYPTED
def test_other_handles_that_have_its_pages_at_hand_bring_nothing_back(tmp_path, encrypt):
    session = filled(tmp_path / "s", encrypt=encrypt)
    with opened(tmp_path / "s") as held, opened(tmp_path / "s") as store:
        held.state.set("warm", 1)
        other = held.sessions.open("other")
        assert held.sessions.get(session).name == word("name")
        assert len(held.timeline(limit=10_000).items) > 300
        store.sessions.shred(session)
        for number in range(60):
            other.state.set(f"between{number}", number)
        held.state.set("warm", 2)
        assert held.verify().ok
    assert found(tmp_path) == (set() if encrypt else set(ELSEWHERE), 0)


READER = """
import sys, apsw
connection = apsw.Connection(sys.argv[1], flags=apsw.SQLITE_OPEN_READONLY)
connection.execute("BEGIN")
next(connection.execute("SELECT count(*) FROM entry"))
print("reading", flush=True)
sys.stdin.readline()
"""


def test_a_reader_that_does_not_end_makes_it_busy_and_it_goes_on_later(tmp_path, monkeypatch):
    session = filled(tmp_path / "s")
    monkeypatch.setattr(limits, "BUSY_TIMEOUT_S", 0.2)
    main = next(Path(tmp_path / "s").rglob("main.db"))
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(main)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout.readline() == "reading\n"
        with opened(tmp_path / "s") as store:
            with pytest.raises(Busy):
                store.sessions.shred(session)
            with pytest.raises(NotFound):
                store.sessions.get(session)
            reader.communicate("\n", timeout=60)
            store.sessions.shred(session)
            assert store.verify().ok
    assert found(tmp_path) == (set(ELSEWHERE), 0)


def test_artifacts_put_meanwhile_are_whole_afterwards(tmp_path):
    async def work():
        async with await llmspell.open_async(tmp_path / "s", durability="process") as store:
            doomed, other = await store.sessions.create("doomed"), await store.sessions.create("other")
            contents = [noise(400_000, seed) for seed in range(8)]
            for number, content in enumerate(contents):
                await doomed.artifacts.put(f"a{number}", content)
            await doomed.complete()

            async def put(name, content):
                while True:
                    try:
                        return await other.artifacts.put(name, content)
                    except Conflict as exc:
                        if exc.code != "content-collected":
                            raise

            async def puts():
                for number, content in enumerate(contents):
                    await put(f"b{number}", content + b"tail")

            await asyncio.gather(store.sessions.shred(doomed.id), puts())
            for number, content in enumerate(contents):
                assert await (await other.artifacts.get(f"b{number}")).read() == content + b"tail"
            report = await store.verify()
            assert report.ok, report.findings

    asyncio.run(work())


def test_a_session_is_shredded_in_memory_too():
    with llmspell.open(":memory:") as store:
        session = store.sessions.create("s", state={"a": 1})
        session.artifacts.put("a", b"content")
        session.complete()
        assert store.sessions.shred(session.id).state_keys == 1
        assert store.verify().ok


def test_a_shredded_session_that_had_a_rule_for_new_keys_leaves_a_store_that_verifies(tmp_path):
    with opened(tmp_path / "s") as store:
        session = store.sessions.create("one")
        session.state.set_default_class("sensitive")
        session.state.set("k", 1)
        fork = store.sessions.fork(session.id)
        session.complete()
        store.sessions.shred(session.id, detach=True)
        assert store.verify().findings == []
    with opened(tmp_path / "s") as store:
        state = store.state_of(Scope.session(fork.id))
        state.set("k", 2)
        assert state.entry("k").state_class == "sensitive"
        assert store.verify().ok
