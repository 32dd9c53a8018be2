"""Stores that find their keys in a folder of the test's own, which no test searches for canaries."""

import pytest


@pytest.fixture(autouse=True)
def keys(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("keys") / "keys"
    monkeypatch.setenv("LLMSPELL_KEYS", str(folder))
    return folder
