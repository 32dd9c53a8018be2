"""The blocking adapter: interrupts, and who commits for whom."""

import pytest

from llmspell.adapters.sqlite.blocking import BlockingDatabase
from llmspell.adapters.sqlite.store import open_store
from llmspell.model.ids import SystemIds
from llmspell.sync.drive import drive
from llmspell.testing.harness import BlockingHarness
from llmspell.testing.units import check_chain, journal_over, note, put


@pytest.fixture(params=["process", "full"])
def files(request, tmp_path):
    opened = open_store(tmp_path / "store", SystemIds(), durability=request.param)
    yield opened
    opened.close()


class Interrupting:
    """An engine's connection whose next COMMIT is followed by an interrupt, as Ctrl-C may come at any bytecode."""

    def __init__(self, connection):
        self._connection = connection
        self.armed = False

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, sql, *args):
        result = self._connection.execute(sql, *args)
        if sql == "COMMIT" and self.armed:
            self.armed = False
            raise KeyboardInterrupt
        return result


def test_an_interrupt_right_after_commit_harms_no_later_write(files):
    harness = BlockingHarness(files.engine)
    journal = journal_over(harness.database)
    drive(journal.write(note("one")))
    files.engine.writer = connection = Interrupting(files.engine.writer)
    connection.armed = True
    with pytest.raises(KeyboardInterrupt):
        drive(journal.write(note("two")))
    assert drive(journal.write(note("three"))) == 3
    assert [entry.data["text"] for entry in check_chain(harness)] == ["one", "two", "three"]


def test_an_interrupt_inside_a_unit_leaves_nothing_and_the_turn_is_given_back(files):
    database = BlockingDatabase(files.engine)

    async def interrupted(tx):
        await tx.run("INSERT INTO watermark (name, seq) VALUES (?, ?)", ("half", 1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(database.write(interrupted))
    assert drive(database.write(put("a", 1))) == 1
    assert drive(database.one("SELECT count(*) FROM watermark")) == (1,)
