"""Stores of both faces, and a schema in two versions."""

import pytest

from tests.rooms.conftest import FACES

ONE = {"name": "note", "version": "1.0.0", "value": {"type": "object", "fields": {"text": "string"}}}
TWO = {
    "name": "note", "version": "1.1.0",
    "value": {"type": "object", "fields": {"text": "string", "stars": {"type": "integer", "default": 0, "min": 0}}},
}  # fmt: skip


@pytest.fixture(params=sorted(FACES))
def face(request, tmp_path):
    made = FACES[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(face):
    return face.open()


def head(store):
    return store.stats()["last_seq"]
