import pytest


@pytest.fixture
def ring(tmp_path):
    """Where a test's keyring is; its folder is not there yet."""
    return tmp_path / "keys" / "ring"
