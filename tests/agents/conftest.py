"""Both faces, as the tests of the rooms have them."""

from tests.rooms.conftest import clock, face, store  # noqa: F401 - fixtures
