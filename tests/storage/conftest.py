"""Stores for the tests of storage: every adapter, in memory and on disk, one fixture each."""

import itertools

import pytest

from llmspell.adapters.sqlite.store import open_store
from llmspell.model.ids import SystemIds
from llmspell.security.keys import DataKey
from llmspell.security.vault import PageCipher
from llmspell.testing.harness import AsyncHarness, BlockingHarness

KEY = DataKey(b"k" * 32, b"i" * 16)


class OneKey:
    """A vault with the same key for every store."""

    def unlock(self, store_id, folder):
        return PageCipher(KEY, store_id)

    make = unlock


FACES = {"async": AsyncHarness, "blocking": BlockingHarness}
PLACES = {
    "memory": lambda folder: open_store(":memory:", SystemIds()),
    "process": lambda folder: open_store(folder / "store", SystemIds(), durability="process"),
    "full": lambda folder: open_store(folder / "store", SystemIds(), durability="full"),
    "sealed": lambda folder: open_store(
        folder / "store", SystemIds(), durability="process", encrypt=True, vault=OneKey()
    ),
}
PLAIN = ["process", "full"]
FILES = [*PLAIN, "sealed"]


def named(faces, places):
    return [
        pytest.param(FACES[face], PLACES[place], id=f"{face}-{place}")
        for face, place in itertools.product(faces, places)
    ]


class Opener:
    """Opens harnesses over one store of a test; each is another handle."""

    def __init__(self, face, place, folder):
        self._face = face
        self._place = place
        self._folder = folder
        self._open = []

    def __call__(self, **settings):
        files = self._place(self._folder)
        for name, value in settings.items():
            setattr(files.engine, name, value)
        harness = self._face(files.engine)
        self._open.append((harness, files))
        return harness

    def close(self):
        for harness, files in self._open:
            harness.close()
            files.close()
