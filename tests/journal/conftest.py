"""A journal over a database in memory, and looks past every check."""

import pytest

from llmspell.adapters.sqlite.blocking import BlockingDatabase
from llmspell.adapters.sqlite.store import open_store
from llmspell.entry_kinds import KINDS
from llmspell.journal.journal import Journal
from llmspell.model.clock import ManualClock
from llmspell.model.context import ROOT
from llmspell.model.ids import SequentialIds
from llmspell.sync.drive import drive


class Bench:
    """A journal whose clock and ids are set, and the connection under it."""

    def __init__(self):
        self.clock = ManualClock()
        self.ids = SequentialIds()
        self.files = open_store(":memory:", SequentialIds(1_000_000))
        self.journal = Journal(BlockingDatabase(self.files.engine), KINDS, self.clock, self.ids)
        self.sql = self.files.engine.writer.execute

    def append(self, kind, payload, *, scope="global", subject="thing", context=ROOT):
        async def work(writer):
            return await writer.append(kind, payload, await writer.scope(scope), subject)

        return self.write(work, context=context)

    def write(self, work, *, context=ROOT):
        return drive(self.journal.write(work, context=context))

    def read(self, query):
        return self.files.engine.read(query)

    def close(self):
        self.files.close()


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.close()
