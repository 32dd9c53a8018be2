"""Both faces, as the tests of the rooms have them, and a store with values to migrate."""

import pytest

from tests.migration.people import fill
from tests.rooms.conftest import clock, face, store  # noqa: F401 - fixtures


@pytest.fixture
def users(store):  # noqa: F811
    """A store with twenty of them."""
    fill(store, 20)
    return store
