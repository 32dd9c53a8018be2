"""Both adapters of the Database port pass its conformance suite, in memory and on disk."""

import pytest

from llmspell.testing.conformance import DatabaseConformance
from llmspell.testing.shared import SharedDatabaseConformance
from tests.storage.conftest import FACES, FILES, PLACES, Opener, named


@pytest.fixture
def harness(face, place, tmp_path):
    opener = Opener(face, place, tmp_path)
    yield opener()
    opener.close()


@pytest.fixture
def second(face, place, tmp_path, harness):
    opener = Opener(face, place, tmp_path)
    yield opener()
    opener.close()


@pytest.mark.parametrize("face,place", named(FACES, PLACES))
class TestDatabase(DatabaseConformance):
    pass


@pytest.mark.parametrize("face,place", named(FACES, FILES))
class TestSharedDatabase(SharedDatabaseConformance):
    pass
