"""An encrypted store: nothing that was written is readable in its files, and nothing but its key opens it."""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import llmspell
from llmspell.adapters.sqlite.store import open_store
from llmspell.errors import Corrupt, InvalidInput, StorageFailed, WrongKey
from llmspell.model.ids import SystemIds
from llmspell.security.vault import StoreVault
from tests.vault.canaries import BIG, filled, found, word

PAGE = 4096
KEY = bytes(range(32))


def opened(folder, **options):
    return llmspell.open(folder, durability="process", **options)


def made(folder, values=50, **options):
    with opened(folder, encrypt=True, **options) as store:
        for number in range(values):
            store.state.set(f"k{number}", {"n": number, "text": "t" * 300})
    return folder


def main_of(folder):
    return next(Path(folder).rglob("main.db"))


def bytes_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_nothing_that_was_written_is_in_any_file(tmp_path, keys):
    session = filled(tmp_path / "s", encrypt=True)
    assert found(tmp_path) == (set(), 0)
    with opened(tmp_path / "s") as store:
        store.state.set("late", word("value"))
        assert found(tmp_path) == (set(), 0), "nor in the WAL"
        assert store.encrypted
        assert store.verify().ok
        reopened = store.sessions.get(session)
        assert (reopened.name, reopened.tags) == (word("name"), [word("tag")])
        again = store.sessions.open(session)
        assert again.state.get("sensitive") == word("sensitive")
        assert again.artifacts.get("big").read() == BIG
        assert store.agents.load(word("agent")).conversation[0].content == word("message")
    assert found(keys) == (set(), 0)


def test_equal_values_and_contents_make_different_files(tmp_path):
    for name in ("one", "two"):
        with opened(tmp_path / name, encrypt=True, key=KEY) as store, store.session("s") as session:
            session.artifacts.put("a", BIG, compression="none")
    one, two = (main_of(tmp_path / name).read_bytes() for name in ("one", "two"))
    pages = [{data[at : at + 64] for at in range(0, len(data), PAGE)} for data in (one, two)]
    assert not pages[0] & pages[1]
    assert len(pages[0]) == len(one) // PAGE


def test_content_is_kept_once_under_one_key(tmp_path):
    with opened(tmp_path / "s", encrypt=True) as store, store.session("s") as session:
        session.artifacts.put("a", BIG)
        session.artifacts.put("b", BIG)
        session.artifacts.put("c", BIG[:4000] + b"!" + BIG[4000:])
        session.artifacts.put("d", BIG[:4000] + b"?" + BIG[4000:])
    files = bytes_of(tmp_path / "s").items()
    assert sum(len(data) for path, data in files if path.suffix in {".db", ".pack"}) < 1.5 * len(BIG)


def test_lengths_in_a_pack_are_those_of_size_classes(tmp_path):
    sizes = set()
    for extra in (0, 1, 57):
        with opened(tmp_path / f"s{extra}", encrypt=True) as store, store.session("s") as session:
            session.artifacts.put("a", BIG[: (24 << 20) - 64 + extra], compression="none")
        sizes.add(sum(path.stat().st_size for path in (tmp_path / f"s{extra}").rglob("*.pack")))
    assert len(sizes) == 1


# -- keys ------------------------------------------------------------------------------------------


def wrong_keys(keys):
    yield "wrong-key", {"key": bytes(32)}
    (away := keys.with_name("away")).mkdir()
    for file in list(keys.iterdir()):
        file.rename(away / file.name)
    yield "key-needed", {}
    yield "key-needed", {"key": KEY}


def test_without_its_key_it_does_not_open_and_nothing_is_touched(tmp_path, keys):
    folder = made(tmp_path / "s")
    for encrypted_again in (False, True):
        before = bytes_of(folder)
        for code, options in wrong_keys(keys) if not encrypted_again else [("key-needed", {"encrypt": True})]:
            for read_only in (False, True):
                with pytest.raises(WrongKey) as refused:
                    opened(folder, read_only=read_only, **options)
                assert (refused.value.code, refused.value.exit_status) == (code, 12)
        assert bytes_of(folder) == before


def test_the_key_is_from_wherever_keys_come_from(tmp_path, monkeypatch):
    (tmp_path / "key").write_text(KEY.hex())
    (tmp_path / "key").chmod(0o600)
    made(tmp_path / "s", key=KEY)
    monkeypatch.setenv("LLMSPELL_KEY", KEY.hex())
    for options in ({"key": KEY}, {"key": tmp_path / "key"}, {}):
        with opened(tmp_path / "s", **options) as store:
            assert store.state.get("k7")["n"] == 7
    monkeypatch.setenv("LLMSPELL_KEY", bytes(32).hex())
    with pytest.raises(WrongKey):
        opened(tmp_path / "s")


def test_rotation_changes_the_key_and_no_page(tmp_path):
    folder = made(tmp_path / "s", key=KEY)
    before = bytes_of(folder)
    (tmp_path / "next").write_text("5a" * 32)
    (tmp_path / "next").chmod(0o600)
    with opened(folder, key=KEY) as store:
        store.keys.rotate(tmp_path / "next")
        assert store.state.get("k1")["n"] == 1
    with pytest.raises(WrongKey):
        opened(folder, key=KEY)
    assert {path: data for path, data in bytes_of(folder).items() if path.suffix == ".db"} == {
        path: data for path, data in before.items() if path.suffix == ".db"
    }
    with opened(folder, key=tmp_path / "next") as store:
        store.state.set("k1", 2)
        assert store.verify().ok


def test_a_plain_store_does_not_become_encrypted(tmp_path):
    opened(tmp_path / "s").close()
    with pytest.raises(InvalidInput) as refused:
        opened(tmp_path / "s", encrypt=True)
    assert refused.value.code == "not-encrypted"
    with opened(tmp_path / "s") as store:
        assert not store.encrypted


def test_a_store_in_memory_has_nothing_to_encrypt():
    with pytest.raises(InvalidInput) as refused:
        llmspell.open(":memory:", encrypt=True)
    assert refused.value.code == "no-folder"


def test_a_creation_that_fails_half_way_is_started_over(tmp_path, monkeypatch):
    def fail(*_args, **_options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("llmspell.adapters.sqlite.folder.StoreFolder.publish", fail)
        with pytest.raises(StorageFailed):
            opened(tmp_path / "s", encrypt=True)
    made(tmp_path / "s")
    with opened(tmp_path / "s") as store:
        assert store.verify().ok


def test_both_faces_open_it(tmp_path):
    async def work():
        async with await llmspell.open_async(tmp_path / "s", encrypt=True) as store:
            await store.state.set("a", 1)

    asyncio.run(work())
    with opened(tmp_path / "s") as store:
        assert store.state.get("a") == 1


# -- processes and crashes -------------------------------------------------------------------------

WRITER = """
import sys, llmspell
with llmspell.open(sys.argv[1], durability="process") as store:
    for number in range(int(sys.argv[3])):
        store.state.update("count", lambda value: (value or 0) + 1)
        store.state.set(f"{sys.argv[2]}{number}", "v" * 400)
        print(number, flush=True)
"""


def writer(folder, name, count):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count)], stdout=subprocess.PIPE, text=True
    )


def test_two_processes_write_and_none_loses_anything(tmp_path):
    folder = made(tmp_path / "s", values=1)
    with opened(folder) as store:
        with writer(folder, "a", 150) as one, writer(folder, "b", 150) as two:
            for number in range(50):
                store.state.set(f"c{number}", number)
            assert [process.wait(120) for process in (one, two) if process.stdout.read()] == [0, 0]
        assert store.state.get("count") == 300
        assert store.verify().ok


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    folder = made(tmp_path / "s", values=1)
    for name in ("a", "b", "c"):
        with writer(folder, name, 100_000) as process:
            seen = [int(process.stdout.readline()) for _ in range(40)][-1]
            process.send_signal(signal.SIGKILL)
            seen = max([seen, *map(int, process.stdout.read().split())])
        with opened(folder) as store:
            assert store.state.get(f"{name}{seen}") == "v" * 400
            assert store.verify().ok


@pytest.fixture
def with_log(tmp_path):
    """A store whose last writes are in the WAL only, as a kill leaves it."""
    folder = made(tmp_path / "s")
    with opened(folder) as store:
        for number in range(30):
            store.state.set(f"late{number}", number)
        shutil.copytree(folder, tmp_path / "killed")
    return tmp_path / "killed"


def test_a_log_cut_anywhere_gives_what_came_before(with_log, tmp_path):
    wal = next(with_log.rglob("main.db-wal"))
    whole = wal.read_bytes()
    for cut in random.Random(1).sample(range(33, len(whole)), 12):
        shutil.copytree(with_log, copy := tmp_path / f"cut{cut}")
        for shared in copy.rglob("*-shm"):
            shared.unlink()
        next(copy.rglob("main.db-wal")).write_bytes(whole[:cut])
        with opened(copy) as store:
            late = [store.state.get(f"late{number}") for number in range(30)]
            there = [number for number in late if number is not None]
            assert there == list(range(len(there)))
            assert store.verify().ok


def test_a_first_page_torn_while_the_log_has_it_is_taken_from_the_log(with_log):
    main = main_of(with_log)
    data = bytearray(main.read_bytes())
    data[100:1500] = bytes(1400)
    main.write_bytes(data)
    for shared in with_log.rglob("*-shm"):
        shared.unlink()
    with opened(with_log) as store:
        assert store.state.get("late29") == 29
        assert store.verify().ok


def test_a_rollback_journal_that_somebody_puts_there_is_not_looked_at(tmp_path):
    folder = made(tmp_path / "s")
    before = main_of(folder).read_bytes()
    main_of(folder).with_name("main.db-journal").write_bytes(bytes.fromhex("d9d505f920a163d7") + os.urandom(8192))
    with opened(folder) as store:
        assert store.verify().ok
    assert main_of(folder).read_bytes()[PAGE:] == before[PAGE:]


# -- attacks ---------------------------------------------------------------------------------------


def outcome(folder):
    """What opening and verifying comes to: the errors' words, empty when all is well."""
    try:
        with opened(folder, read_only=True) as store:
            for number in range(50):
                store.state.get(f"k{number}")
            return [finding.what for finding in store.verify().findings]
    except (Corrupt, StorageFailed) as exc:
        return [exc.message]


def test_a_changed_byte_of_any_page_is_found(tmp_path):
    folder = made(tmp_path / "s")
    whole = main_of(folder).read_bytes()
    pages = len(whole) // PAGE
    for page in range(pages):
        data = bytearray(whole)
        data[page * PAGE + random.Random(page).randrange(PAGE)] ^= 1
        main_of(folder).write_bytes(data)
        assert outcome(folder), f"page {page + 1} of {pages}"
    main_of(folder).write_bytes(whole)
    assert outcome(folder) == []


@pytest.mark.parametrize("change", ["a byte", "all of it"])
def test_a_changed_page_of_the_contents_file_is_found(tmp_path, change):
    folder = made(tmp_path / "s")
    with llmspell.open(folder) as store, store.session("s") as session:
        session.artifacts.put("big", random.Random(1).randbytes(4 << 20))
    path = main_of(folder).with_name("content.db")
    whole = path.read_bytes()
    size = 4 * PAGE
    heads = [page for page in range(len(whole) // size) if page < 12 or page % 40 == 0]
    for page in heads:
        data = bytearray(whole)
        if change == "a byte":
            data[page * size + 17] ^= 1
        else:
            data[page * size : (page + 1) * size] = bytes(size)
        path.write_bytes(data)
        assert outcome(folder), f"page {page + 1}"
    path.write_bytes(whole)
    assert outcome(folder) == []


def test_pages_that_were_swapped_are_refused(tmp_path):
    folder = made(tmp_path / "s")
    whole = main_of(folder).read_bytes()
    pages = [whole[at : at + PAGE] for at in range(0, len(whole), PAGE)]
    for one in range(1, len(pages) - 1):
        swapped = list(pages)
        swapped[one], swapped[one + 1] = swapped[one + 1], swapped[one]
        main_of(folder).write_bytes(b"".join(swapped))
        assert outcome(folder)


def test_a_page_of_another_store_under_the_same_master_key_is_refused(tmp_path):
    one, two = (made(tmp_path / name, key=KEY) for name in ("one", "two"))
    data = main_of(one).read_bytes()[:PAGE] + main_of(two).read_bytes()[PAGE:]
    main_of(one).write_bytes(data)
    with pytest.raises(Corrupt):
        opened(one, key=KEY)


def test_pages_of_an_older_day_are_found(tmp_path):
    folder = made(tmp_path / "s")
    old = main_of(folder).read_bytes()
    with opened(folder) as store:
        for number in range(20):
            store.state.set(f"k{number}", "new")
    new = main_of(folder).read_bytes()
    changed = [at for at in range(0, len(old), PAGE) if old[at : at + PAGE] != new[at : at + PAGE]]
    assert len(changed) > 4
    for at in changed:
        main_of(folder).write_bytes(new[:at] + old[at : at + PAGE] + new[at + PAGE :])
        assert outcome(folder)


def test_a_head_without_the_mark_of_the_key_is_refused(tmp_path):
    folder = made(tmp_path / "s")
    files = open_store(folder, SystemIds(), durability="process", vault=StoreVault(None))
    files.engine.before_commit = None
    files.engine.writer.execute("UPDATE meta SET value = zeroblob(32) WHERE name = 'head_mark'")
    with pytest.raises(Corrupt) as found_by_verify:
        files.check_mark()
    files.close()
    with pytest.raises(Corrupt) as refused:
        opened(folder)
    assert (refused.value.code, found_by_verify.value.code) == ("head-mark", "head-mark")


def test_pieces_of_a_pack_that_were_swapped_or_changed_are_refused(tmp_path):
    with opened(tmp_path / "s", encrypt=True) as store, store.session("s") as session:
        session.artifacts.put("a", BIG, compression="none")
    pack = next((tmp_path / "s").rglob("*.pack"))
    whole = pack.read_bytes()
    half = len(whole) // 2
    for damaged in (
        whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :],
        whole[half:] + whole[:half],
        whole[:-1],
    ):
        pack.write_bytes(damaged)
        with opened(tmp_path / "s") as store:
            with pytest.raises(Corrupt):
                store.sessions.open("s").artifacts.get("a").read()
            assert not store.verify().ok


def test_the_file_that_names_the_store_is_no_way_in(tmp_path):
    folder, other = made(tmp_path / "s"), made(tmp_path / "t")
    mark = next(folder.rglob("sealed"))
    said = mark.read_bytes()
    for wrong in (b"", b"llmspell encrypted store 2 x\n", next(other.rglob("sealed")).read_bytes()):
        mark.write_bytes(wrong)
        with pytest.raises((Corrupt, StorageFailed)):
            opened(folder)
    mark.unlink()
    with pytest.raises((Corrupt, StorageFailed)):
        opened(folder)
    mark.write_bytes(said)
    assert outcome(folder) == []


def test_a_collect_moves_what_is_alive_in_a_sealed_pack(tmp_path):
    noise = random.Random(5)
    first, second = noise.randbytes(10 << 20), noise.randbytes(12 << 20)
    with llmspell.open(tmp_path / "s", key=bytes(range(32)), encrypt=True) as store:
        session = store.sessions.create("s")
        session.artifacts.put("both.bin", first + second)
        session.artifacts.put("kept.bin", (first + second)[-(3 << 20) :])
        session.artifacts.delete("both.bin", hard=True)
        report = store.collect()
        assert report.freed_bytes > (10 << 20), report
        assert session.artifacts.get("kept.bin").read() == second[-(3 << 20) :]
    with llmspell.open(tmp_path / "s", key=bytes(range(32))) as store:
        assert store.sessions.open("s").artifacts.get("kept.bin").read() == second[-(3 << 20) :]
        assert store.verify().ok


@pytest.mark.parametrize("flags", [{"encrypt": 1}, {"encrypt": "no"}, {"create": 0}, {"read_only": None}])
def test_a_flag_that_is_neither_true_nor_false_makes_no_store(tmp_path, flags):
    with pytest.raises(InvalidInput):
        llmspell.open(tmp_path / "s", **flags)
    assert not (tmp_path / "s").exists()
