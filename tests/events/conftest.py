import pytest

from tests.events.journal import DEADLINE_S, Store, join_threads_of


@pytest.fixture
def store():
    made = Store()
    yield made
    assert made.dispatcher.close(DEADLINE_S)
    join_threads_of(made.dispatcher)
