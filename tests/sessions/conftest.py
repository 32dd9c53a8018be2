"""Both faces, as the tests of the rooms have them, and the index of sessions at hand."""

from llmspell.sessions import index
from llmspell.sync.drive import drive
from tests.rooms.conftest import clock, face, store  # noqa: F401 - fixtures


def core(opened):
    """The asynchronous store inside of either face."""
    return getattr(opened, "_store", None) or opened._inner


def take_in(opened, rows_max=index.STEP_ROWS):
    """One step of the index of sessions, by a store of the synchronous face."""
    return drive(core(opened).journal.database.write(lambda tx: index.step(tx, rows_max)))


def read(opened, query):
    """What a query function gives over one consistent state."""
    return core(opened)._files.engine.read(query)


def take_in_through(of, opened):
    """The same by either face."""
    step = core(opened).journal.database.write(index.step)
    return of.settle(step) if hasattr(of, "settle") else drive(step)
