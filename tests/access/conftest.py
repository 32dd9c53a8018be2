"""Stores of both faces with two principals, and what a refusal came to."""

import pytest

from llmspell.errors import AccessDenied
from llmspell.model.scope import Scope
from tests.rooms.conftest import FACES

A, B, C = Scope.agent("a"), Scope.agent("b"), Scope.agent("c")


@pytest.fixture(params=sorted(FACES))
def face(request, tmp_path):
    made = FACES[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(face):
    return face.open()


@pytest.fixture
def clock(face):
    return face.clock


@pytest.fixture
def a(store):
    handle = store.acting_as("agent:a")
    handle.own.set("k", "of a")
    return handle


@pytest.fixture
def b(store):
    return store.acting_as("agent:b")


def denied(call, code="access-denied"):
    """The error of a call that must be refused."""
    with pytest.raises(AccessDenied) as error:
        call()
    assert error.value.code == code
    return error.value


def head(store):
    return store.stats()["last_seq"]
