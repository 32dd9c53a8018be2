"""Stores that find their keys in a folder of the test's own."""

import pytest


@pytest.fixture(autouse=True)
def keys(tmp_path, monkeypatch):
    folder = tmp_path / "keys"
    monkeypatch.setenv("LLMSPELL_KEYS", str(folder))
    return folder
