"""The ring of a file that several processes read and change: always what the file says now.

What must stay true: without the lock only counted records are taken in, because others may not be durable; what is in
memory is never ahead of the file; a file put in the place of the one we read is noticed whatever it looks like.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol, runtime_checkable

from llmspell.errors import Busy, Corrupt, InvalidInput, LlmspellError, StorageFailed, WrongKey
from llmspell.security.keyring_file import FILE_BYTES_MAX, KeyringFile, Look, look_through, read
from llmspell.security.keyring_format import COUNT_AT, HEADER_BYTES, RECORD_BYTES, Ring, damaged
from llmspell.security.keys import MasterKey


@runtime_checkable
class Choice(Protocol):
    """A source that, while its key is rotated or after that was killed, has more than one key."""

    def __call__(self) -> MasterKey:
        """The key."""
        ...

    def candidates(self) -> Iterator[MasterKey]:
        """The keys of which one opens the keyring, without waiting for anybody."""
        ...


MasterSource = MasterKey | Choice | Callable[[], MasterKey]
"""A master key, or what gives it. A function is asked again when another process has rotated the key."""

_LOADS_MAX = 8
"""How often the file may be replaced while it is read."""


class SharedRing:
    """A ring, its file and the master key. Not for several threads at once."""

    ring: Ring

    def __init__(self, file: KeyringFile, store_id: bytes, master: MasterSource) -> None:
        self._file, self._store_id, self._master = file, store_id, master
        self._known: MasterKey | None = None
        self._descriptor = -1
        self._seen = Look(0, 0, 0, 0)
        self._settled = True

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._file.path

    @property
    def size_bytes(self) -> int:
        """How long the file was when it was read."""
        return self._seen.size

    def start(self, *, create: bool) -> None:
        """Read the file; make it when it is missing and ``create`` says so; clear what a killed writer left."""
        if create and not self.path.exists():
            self._file.make_folder()
            master = self._ask_once()
            with self._file.writing():
                if not self.path.exists():  # Another process may have made it meanwhile.
                    self._file.replace(Ring(master, self._store_id, 0, None).file([]))
        self._load()
        if self._file.is_left:
            with self.exclusive():
                pass  # It clears what is left.

    def refresh(self) -> None:
        """Take in what other processes changed. 1.5 µs when it is nothing."""
        if self._descriptor < 0:
            raise StorageFailed(f"the keyring {self.path} is closed", code="closed")
        now = self._file.look()
        if now != self._seen:
            self._read_anew(now)

    def settle(self) -> None:
        """Take in also what a killed writer made durable and did not count."""
        if not self._settled:
            with self.exclusive():
                pass

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock, with everything taken in that is in the file. Raises Busy and what reading raises."""
        with self._file.writing():
            self.refresh()
            self._read_anew(self._file.look())  # The clock of a file is coarse: a count may not have moved it.
            if not self._settled:
                self._settle()
            yield

    def make(self, names: Iterable[str]) -> None:
        """Make data keys for names, durably. Inside ``exclusive``."""
        new = list(names)
        records = self.ring.draft(new)
        self._file.lengthen(_end(self.ring), records, self.ring.count(len(new)), fresh=True)
        self.ring.absorb(records)
        self._seen = look_through(self._descriptor)

    def replace(self, content: bytes, master: MasterSource | None = None) -> None:
        """Put another file in the place of this one, which ``master`` opens (None: the same). Inside ``exclusive``.

        An error may come after the new file is in place, when the old one could not be overwritten. What is here then
        is what the file is.
        """
        try:
            self._file.replace(content)
        except LlmspellError:
            if self._file.begins_with(content[:COUNT_AT]):
                self._turn_to(master)
            raise
        self._turn_to(master)

    def close(self) -> None:
        """Close the file. Idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _turn_to(self, master: MasterSource | None) -> None:
        if master is not None:
            self._master, self._known = master, None
        self._load()

    def _read_anew(self, now: Look) -> None:
        """Read what was added; the whole file when it is another one, or its content is (a copy put over it)."""
        if now.same_file(self._seen) and now.size >= self._seen.size:
            seen = look_through(self._descriptor)
            with suppress(Corrupt):
                self._settled = _take_counted(self.ring, self._descriptor, seen)
                self._seen = seen
                return
        self._load()

    def _load(self) -> None:
        """Read the whole file. One that is replaced meanwhile may be half overwritten: then the next one is read."""
        for _ in range(_LOADS_MAX):
            descriptor = self._file.open()
            seen = look_through(descriptor)
            try:
                self._load_from(descriptor, seen)
            except BaseException as exc:
                os.close(descriptor)
                if not isinstance(exc, LlmspellError) or self._file.look().same_file(seen):
                    raise
            else:
                return
        raise Busy(f"{self.path} was replaced again and again while it was read", code="keyring-busy")

    def _load_from(self, descriptor: int, seen: Look) -> None:
        if seen.size > FILE_BYTES_MAX:
            raise damaged(f"it has {seen.size:,} bytes; at most {FILE_BYTES_MAX:,} are possible")
        ring = self._opened(read(descriptor, 0, HEADER_BYTES))
        settled = _take_counted(ring, descriptor, seen)
        self.close()
        # The descriptor stays open: so no later file gets its inode and passes for it.
        self._descriptor, self._seen, self.ring, self._settled = descriptor, seen, ring, settled

    def _opened(self, header: bytes) -> Ring:
        """The ring of a header. If the master key was rotated since we asked for it, its source is asked again."""
        known = self._known
        if known is not None:
            with suppress(WrongKey):
                return Ring.parse(header, known, self._store_id)
            self._known = None
        if isinstance(self._master, Choice):
            return self._chosen(header, self._master)
        return Ring.parse(header, self._ask_once(), self._store_id)

    def _chosen(self, header: bytes, choice: Choice) -> Ring:
        """The ring by the one of several keys that opens it. Whoever rotates may wait for our lock: wait for nobody."""
        refused: WrongKey | None = None
        for key in choice.candidates():
            try:
                ring = Ring.parse(header, key, self._store_id)
            except WrongKey as exc:
                refused = exc
            else:
                self._known = key
                return ring
        raise refused or WrongKey(f"there is no key for {self.path}", code="wrong-key")

    def _ask_once(self) -> MasterKey:
        if self._known is None:
            self._known = ask(self._master)
        return self._known

    def _settle(self) -> None:
        """Make durable and count what a killed writer had written and not counted; cut what it had begun."""
        end = _end(self.ring)
        tail = read(self._descriptor, end, FILE_BYTES_MAX)
        whole = self.ring.absorb(tail) * RECORD_BYTES
        try:
            self._file.lengthen(end, tail[:whole], self.ring.count(), fresh=False)
        except LlmspellError:
            self._load()  # What was taken in is not durable.
            raise
        self._seen, self._settled = look_through(self._descriptor), True


def ask(master: MasterSource) -> MasterKey:
    """The master key that a source gives. Raises InvalidInput (``invalid-key``), and what the source raises."""
    key = master if isinstance(master, MasterKey) else master()
    if type(key) is not MasterKey:
        raise InvalidInput(f"a master key is a MasterKey, not a {type(key).__name__}", code="invalid-key")
    return key


def _end(ring: Ring) -> int:
    return HEADER_BYTES + len(ring) * RECORD_BYTES


def _take_counted(ring: Ring, descriptor: int, seen: Look) -> bool:
    """Take the records in that the header counts; whether there are none besides. Raises Corrupt."""
    header = read(descriptor, 0, HEADER_BYTES)
    if not ring.is_of(header):
        raise damaged("it was overwritten while it was open")
    counted = ring.counted(header)
    if counted is None:
        return False
    missing = counted - len(ring)
    if missing < 0 or ring.absorb(read(descriptor, _end(ring), missing * RECORD_BYTES)) != missing:
        raise damaged(f"of {counted:,} records, {len(ring):,} are as they were written")
    return seen.size == _end(ring)
