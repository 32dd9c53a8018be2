"""Threads, processes and handles that use one keyring agree."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmspell.errors import (
    Busy,
)
from llmspell.security.keys import MasterKey
from llmspell.security.lockfile import locked
from tests.security.rings import MASTER, made, opened


def test_processes_that_make_the_same_keys_at_once_get_the_same(ring):
    script = Path(__file__).with_name("keyring_racing.py")
    racers = [
        subprocess.Popen(
            [sys.executable, script, ring, str(seed), "40"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for seed in range(4)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    told = [racer.communicate(timeout=60)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4
    assert len(set(told)) == 1
    with opened(ring, MASTER, bytes(16)) as keyring:
        assert keyring.status().keys == 40


def test_threads_that_make_the_same_key_at_once_get_the_same(ring):
    with opened(ring, create=True) as keyring, ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda number: keyring.data_key(f"{number % 10}"), range(200)))
        assert len(set(keys)) == keyring.status().keys == 10


def test_whoever_waits_too_long_for_the_lock_is_told(ring):
    made(ring, "a")
    with opened(ring, busy_timeout_s=0.01) as keyring, locked(ring.parent / "ring.lock", 1):
        assert keyring.data_key("a")  # Reading needs no lock.
        with pytest.raises(Busy) as refused:
            keyring.data_key("b")
        assert refused.value.code == "keyring-busy"


def test_a_waiting_writer_goes_on_when_the_lock_is_free(ring):
    made(ring, "a")
    held, release = threading.Event(), threading.Event()

    def hold():
        with locked(ring.parent / "ring.lock", 1):
            held.set()
            release.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(30)
    with opened(ring) as keyring, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(keyring.data_key, "b")
        release.set()
        assert waiting.result(30) == keyring.find("b")
    holder.join()


def test_a_copy_written_over_the_open_file_is_noticed(ring):
    a, b = made(ring, "a", "b")
    older = ring.read_bytes()
    with opened(ring) as keyring:
        keyring.data_key("c")
        keyring.shred("b")
        ring.write_bytes(older)
        assert keyring.data_keys(["a", "b"]) == [a, b]
        assert keyring.find("c") is None


def test_a_link_to_the_keyring_stays_a_link(ring, tmp_path):
    made(ring, "a", "b")
    link = tmp_path / "link"
    link.symlink_to(ring)
    with opened(link) as keyring:
        keyring.shred("a")
    assert link.is_symlink()
    assert [path.name for path in tmp_path.iterdir() if path.is_file() and not path.is_symlink()] == []


names = st.sampled_from("abcdef")
steps = st.one_of(
    st.tuples(st.just("make"), st.lists(names, min_size=1, max_size=3)),
    st.tuples(st.just("shred"), st.lists(names, min_size=1, max_size=2)),
    st.tuples(st.just("rotate"), st.just([])),
    st.tuples(st.just("reopen"), st.just([])),
)


@settings(max_examples=60)
@given(history=st.lists(st.tuples(st.integers(0, 1), steps), max_size=25))
def test_two_handles_agree_with_a_dict_after_any_history(tmp_path_factory, history):
    ring = tmp_path_factory.mktemp("any") / "ring"
    now = [MASTER]
    handles = [opened(ring, lambda: now[0], create=True) for _ in range(2)]
    model, gone = {}, set()
    for which, (act, some) in history:
        keyring = handles[which]
        if act == "make":
            for name, key in zip(some, keyring.data_keys(some), strict=True):
                assert model.setdefault(name, key) == key
        elif act == "shred":
            shredded = {model.pop(name).id for name in set(some) if name in model}
            assert set(keyring.shred(*some)) == shredded
            gone |= shredded
        elif act == "rotate":
            fresh = MasterKey.generate()
            keyring.rotate(lambda: now[0]) if now[0].id != keyring.status().master_id else keyring.rotate(fresh)
            now[0] = fresh
            keyring._shared._master = lambda: now[0]
        else:
            keyring.close()
            handles[which] = opened(ring, lambda: now[0])
        for one in handles:
            assert {name: one.find(name) for name in "abcdef"} == {name: model.get(name) for name in "abcdef"}
            assert one.erasures() == gone
    for one in handles:
        one.close()
