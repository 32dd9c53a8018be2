"""A store of the first format with something in each table that migrations touch."""

import random

import pytest

import llmspell

BIG = random.Random(7).randbytes(300_000)
"""Incompressible, so that it goes to the content file."""


@pytest.fixture
def folder(tmp_path):
    """The folder of a closed store: state, a session, small and large content."""
    with llmspell.open(tmp_path / "store") as store:
        store.state.set("a", {"n": 1})
        store.state.set("long", "text " * 1000)
        session = store.sessions.create("work", state={"k": [1, 2]})
        session.artifacts.put("small.txt", "small")
        session.artifacts.put("large.bin", BIG)
    return tmp_path / "store"
