"""Kills a process at each system call of one operation on a keyring, and looks at what is left. Run as a script.

    python keyring_killed.py FOLDER OPERATION MODE

MODE says what the call that kills does before: ``before`` nothing, ``after`` all, ``half`` the half of a write,
``power`` all, and then every write that was not synced is lost. Prints how many kills there were; exits 1 with a
traceback when a keyring was not as it must be after one.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from llmspell.errors import NotFound, WrongKey
from llmspell.model.ids import secret_bytes
from llmspell.security.keyring import Keyring
from llmspell.security.keyring_file import KeyringFile
from llmspell.security.keyring_shared import SharedRing
from llmspell.security.keys import MasterKey

STORE, OLD, NEW = bytes(16), MasterKey(b"o" * 32), MasterKey(b"n" * 32)
CALLS = ("open", "write", "fsync", "ftruncate", "replace", "link", "unlink", "mkdir", "close")
REAL = {name: getattr(os, name) for name in CALLS}
KILLED, DONE = 9, 0


class Killer:
    """Counts the calls of ``os`` and ends the process at one of them."""

    def __init__(self, at, mode, ring):
        self.at, self.mode, self.ring = at, mode, ring
        self.count = 0
        self.lost = []  # (descriptor, offset, bytes before, size before) of writes that are not synced

    def arm(self):
        for name in CALLS:
            setattr(os, name, lambda *args, _name=name, **kwargs: self.call(_name, *args, **kwargs))

    def call(self, name, *args, **kwargs):
        self.count += 1
        last = self.count == self.at
        if last and self.mode == "before":
            self.kill()
        if name == "open" and args[1] & os.O_WRONLY:
            args = (args[0], args[1] & ~os.O_WRONLY | os.O_RDWR, *args[2:])  # So that we can put back what was there.
        if name == "write" and last and self.mode == "half":
            args = (args[0], bytes(args[1])[: len(args[1]) // 2])
        if name in {"write", "ftruncate"} and self.mode == "power":
            self.note(name, *args)
        try:
            result = REAL[name](*args, **kwargs)
        except OSError:
            if last:
                self.kill()
            raise
        if name == "fsync":
            same = os.fstat(args[0])
            self.lost = [one for one in self.lost if not os.path.samestat(os.fstat(one[0]), same)]
        if last:
            self.kill()
        return result

    def note(self, name, descriptor, what):
        size = os.fstat(descriptor).st_size
        at, count = (os.lseek(descriptor, 0, os.SEEK_CUR), len(what)) if name == "write" else (what, size)
        self.lost.append((os.dup(descriptor), at, os.pread(descriptor, count, at), size))

    def kill(self):
        for name in CALLS:
            setattr(os, name, REAL[name])
        if self.mode == "power":
            seen = visible(self.ring)
            for descriptor, at, before, size in reversed(self.lost):
                os.ftruncate(descriptor, size)
                os.pwrite(descriptor, before, at)
            (self.ring.parent / "visible").write_text(json.dumps(seen))
        os._exit(KILLED)


def visible(ring):
    """The ids of the keys that a process without the lock would use at this moment."""
    shared = SharedRing(KeyringFile(ring, 0), STORE, lambda: OLD)
    for master in (OLD, NEW):
        shared._master, shared._known = master, None
        try:
            shared._load()
        except (NotFound, WrongKey):
            continue
        return [one.hex() for one in shared.ring._by_id]
    return []


def begin(ring, operation):
    """A keyring before the operation, and its keys by name."""
    if operation == "create":
        return {}
    with Keyring.open(ring, OLD, STORE, create=True) as keyring:
        keys = {name: keyring.data_key(name) for name in ("a", "b", "gone")}
        keyring.shred("gone")
        del keys["gone"]
    if operation == "settle":  # A killed writer left a record that nobody counted, and half of one.
        whole = ring.read_bytes()
        with Keyring.open(ring, OLD, STORE) as keyring:
            keys["c"] = keyring.data_key("c")
        left = ring.read_bytes()
        ring.write_bytes(whole + left[len(whole) :] + b"\1" * 60)
    return keys


def operate(ring, operation):
    with Keyring.open(ring, OLD, STORE, create=operation == "create") as keyring:
        if operation in {"make", "settle"}:
            keyring.data_keys(["d", "e"])
        elif operation == "shred":
            keyring.shred("a")
        elif operation == "erase":
            keyring.apply_erasures([keyring.data_key("a").id, b"x" * 16])
        elif operation == "rotate":
            keyring.rotate(NEW)


def opened(ring, *, create=False):
    """The keyring with the one master key that opens it, and which that is."""
    masters = []
    for master in (OLD, NEW):
        try:
            Keyring.open(ring, master, STORE, create=create and master is OLD).close()
        except WrongKey:
            continue
        masters.append(master)
    assert len(masters) == 1, masters
    return Keyring.open(ring, masters[0], STORE), masters[0]


def check(ring, operation, keys, wrapped, mode, *, done):
    if operation == "create" and not done and not ring.exists():
        Keyring.open(ring, OLD, STORE, create=True).close()
    keyring, master = opened(ring)
    if operation == "rotate":
        assert not done or master is NEW
    seen = ring.parent / "visible"
    if mode == "power" and seen.exists():
        erased = keyring.erasures()
        for one in map(bytes.fromhex, json.loads(seen.read_text())):
            assert one in erased or keyring.key(one).id == one
        seen.unlink()
    if keyring.status().erased > 1 or operation not in {"shred", "erase"}:
        assert not done or operation not in {"shred", "erase"} or keyring.find("a") is None
    else:
        assert not done
    for name, key in keys.items():
        found = keyring.find(name)
        assert found == key or (name == "a" and found is None and key.id in keyring.erasures())
    if keyring.find("a") is None and "a" in keys:  # Nothing of the destroyed key is left anywhere.
        for path in ring.parent.iterdir():
            assert wrapped not in path.read_bytes(), path
    again = keyring.data_keys(["d", "e"])
    with Keyring.open(ring, master, STORE) as other:
        assert other.data_keys(["d", "e"]) == again
    assert sorted(path.name for path in ring.parent.iterdir()) == ["ring", "ring.lock"]
    keyring.close()


def main(folder, operation, mode):
    kills = 0
    while True:
        home = Path(folder) / str(kills)
        home.mkdir()
        ring = home / "ring"
        keys = begin(ring, operation)
        wrapped = wrapped_of(ring, keys)
        child = os.fork()
        if child == 0:
            Killer(kills + 1, mode, ring).arm()
            operate(ring, operation)
            os._exit(DONE)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in {KILLED, DONE}, status
        check(ring, operation, keys, wrapped, mode, done=status == DONE)
        shutil.rmtree(home)
        if status == DONE:
            print(kills)
            return
        kills += 1


def wrapped_of(ring, keys):
    """The wrapped bytes of the key ``a`` in the file."""
    if "a" not in keys:
        return secret_bytes(48)
    content = ring.read_bytes()
    at = content.index(keys["a"].id)
    return content[at + 44 : at + 92]


if __name__ == "__main__":
    main(*sys.argv[1:])
