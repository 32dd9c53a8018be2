import pytest

from tests.checks.planted import Planted


@pytest.fixture
def planted(tmp_path):
    return Planted(tmp_path)
